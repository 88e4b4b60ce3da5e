"""The tables that a dump has so far, and which of them is the declared one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.sql_dump.grammar import NAME
from etl_assets.extract.formats.sql_dump.names import parts, shown

if TYPE_CHECKING:
    from etl_assets.extract.formats.sql_dump.options import SqlDumpOptions

_NAME: Final = re.compile(NAME)
_MOST_SHOWN: Final = 50
_MOST_KEPT: Final = 10_000


class Tables:
    """What the statements up to now say of tables.

    Args:
        options: With the declared table.
        where: Name of the dump in errors.

    Attributes:
        schema: The schema of names without one; empty if it is not known.
        database: The database of all names; empty before the dump connects to one.
        columns: The columns of the declared table, by its CREATE TABLE; None if there is none that lists them.
    """

    def __init__(self, options: SqlDumpOptions, where: str) -> None:
        self._options = options
        self._where = where
        self._wanted = parts(options.table.encode(), options.dialect, "utf-8")
        self._seen: dict[tuple[str, ...], None] = {}
        self._found: tuple[str, tuple[str, ...]] | None = None
        self.schema = ""
        self.database = ""
        self.columns: tuple[str, ...] | None = None

    @property
    def found(self) -> bool:
        """Whether the dump has the declared table."""
        return self._found is not None

    def use(self, schema: bytes) -> None:
        """Remember the schema of the names without one."""
        self.schema = self._parts(schema)[0]

    def is_wanted(self, name: bytes) -> bool:
        """Return whether a name means the declared table, and remember that the dump has this table.

        Raises:
            DeliveryError: If the dump has two tables that the declared name can mean.
        """
        full = self._full(name)
        if len(self._seen) < _MOST_KEPT:
            self._seen.setdefault(full)
        if not self._matches(full):
            return False
        if self._found is not None and self._found != (self.database, full):
            places = " and ".join(
                shown(tuple(filter(None, (database, *table)))) for database, table in self._both(full)
            )
            raise DeliveryError(
                f"{self._where} has more than one table that table={self._options.table!r} can mean: {places}. Nothing "
                "was written. Declare the table with its schema, or make a dump of one database."
            )
        self._found = (self.database, full)
        return True

    def are_in(self, text: bytes) -> bool:
        """Return whether a part of a statement has a name that can mean the declared table."""
        return any(self._matches(self._full(name[0])) for name in _NAME.finditer(text))

    def missing(self) -> DeliveryError:
        """Return the error that the dump does not have the declared table."""
        names = sorted(map(shown, self._seen))
        listed = ", ".join(names[:_MOST_SHOWN]) + (", …" if len(names) > _MOST_SHOWN else "")
        has = f"it has {listed}" if names else "it has no table at all"
        return DeliveryError(
            f"{self._where} has no table {self._options.table}; {has}. Nothing was written. Declare table= as one of "
            "them, and the dialect of the dump."
        )

    def _full(self, name: bytes) -> tuple[str, ...]:
        full = self._parts(name)
        if self._options.dialect == "sqlite":
            full = tuple(part.lower() for part in full)
        return (self.schema, *full) if len(full) == 1 and self.schema else full

    def _parts(self, name: bytes) -> tuple[str, ...]:
        try:
            return parts(name, self._options.dialect, self._codec)
        except UnicodeDecodeError:
            return parts(name, self._options.dialect, "latin-1")

    @property
    def _codec(self) -> str:
        return "utf-8" if self._options.transcoded else self._options.codec

    def _matches(self, full: tuple[str, ...]) -> bool:
        tail, wanted = full[-len(self._wanted) :], self._wanted
        if self._options.dialect == "sqlite":
            return [part.lower() for part in tail] == [part.lower() for part in wanted]
        return tail == wanted

    def _both(self, full: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        found = self._found
        return (found, (self.database, full)) if found else ()
