"""The statements that read a declared table or query: which rows of which columns, in which order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.database.dialects.base import Dialect
    from etl_assets.extract.database.extractor import DatabaseExtractor
    from etl_assets.extract.database.reading import Reading
    from etl_assets.extract.incremental import Cursor
    from etl_assets.model.partitions import Partition

_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_TOKEN: Final = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|(?<![\w:]):(start|end|key)\b", re.DOTALL
)
_MISFIT: Final = "etl_assets_misfit"


@dataclass(frozen=True)
class Selection:
    """What is read of a partition.

    Attributes:
        dialect: The SQL of the database.
        extractor: What is declared.
        partition: Which part of it.
    """

    dialect: Dialect
    extractor: DatabaseExtractor
    partition: Partition

    @property
    def table(self) -> tuple[str, ...]:
        """The parts of the table's name; none for a query."""
        return parts_of(self.extractor.table)

    @property
    def query(self) -> str:
        """The query, with the partition's window and key in it; empty for a table."""
        values = {"start": self.partition.start, "end": self.partition.end, "key": self.partition.key}

        def filled(found: re.Match[str]) -> str:
            value = values[found[1]] if found[1] else None
            return found[0] if value is None else self.dialect.literal(value)

        return _TOKEN.sub(filled, self.extractor.query.strip().rstrip(";"))

    def conditions(self, since: Cursor | None, *, nullable: bool) -> list[str]:
        """Return the conditions of the rows.

        Args:
            since: The value from which everything is read; None for everything.
            nullable: Whether the column of such values may have none.
        """
        found = list(self._of_partition())
        if since is not None and self.extractor.incremental is not None:
            column = self.dialect.quote(self.extractor.incremental.by)
            later = self.dialect.at_least(column, since)
            found.append(f"({later} OR {self.dialect.has_no_value(column, since)})" if nullable else later)
        return found

    def without_partition(self) -> str:
        """Return the statement that counts the rows that belong to no partition."""
        column = self.dialect.quote(self.extractor.partition_column)
        return self._select(["count(*)"], [self.dialect.has_no_value(column, self.partition.start)])

    def rows(self, readings: Sequence[Reading], conditions: Sequence[str]) -> str:
        """Return the statement that reads rows; its columns are named like those of the database."""
        columns = [f"{reading.expression} AS {self.dialect.quote(reading.column.name)}" for reading in readings]
        if misfit := self.dialect.misfit(readings):
            columns.append(f"{misfit} AS {self.dialect.quote(_MISFIT)}")
        order = ", ".join(f"q.{self.dialect.quote(name)}" for name in self.extractor.order_by)  # not the text of it
        return self._select(columns, conditions) + (f" ORDER BY {order}" if order else "")

    def newest(self, conditions: Sequence[str]) -> str:
        """Return the statement for the largest value of the incremental column, as text, and the number of rows."""
        by = self.extractor.incremental
        largest = self.dialect.as_text(f"max({self.dialect.quote(by.by)})") if by is not None else "NULL"
        return self._select([largest, "count(*)"], conditions)

    @property
    def _relation(self) -> str:
        if self.table:
            return f"{'.'.join(map(self.dialect.quote, self.table))} q"
        return f"({self.query}\n) q"

    def _select(self, columns: Sequence[str], conditions: Sequence[str]) -> str:
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {', '.join(columns)} FROM {self._relation}{where}"

    def _of_partition(self) -> Sequence[str]:
        if not self.extractor.partition_column:
            return ()
        column = self.dialect.quote(self.extractor.partition_column)
        start, end = self.partition.start, self.partition.end
        if start is None or end is None:
            return (f"{column} = {self.dialect.literal(self.partition.key)}",)
        return self.dialect.at_least(column, start), self.dialect.less_than(column, end)


def parts_of(table: str) -> tuple[str, ...]:
    """Return the parts of a table's name, ``public.orders`` or ``public."with.point"``; none if it is no name."""
    parts: list[str] = []
    place = 0
    while found := _PART.match(table, place):
        parts.append(found[1].replace('""', '"') if found[1] else found[2])
        place = found.end()
        if place == len(table):
            return tuple(parts)
        if table[place] != ".":
            break
        place += 1
    return ()


def placeholders_of(query: str) -> set[str]:
    """Return the names of the placeholders of a query: ``start``, ``end`` and ``key``."""
    return {found[1] for found in _TOKEN.finditer(query) if found[1]}
