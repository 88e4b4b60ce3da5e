"""The tables that dlt makes of nested records: the rows of one of them.

A list in a record is a table of its own, whose rows have ``_dlt_parent_id``, the ``_dlt_id`` of the row that they are
of, and ``_dlt_list_idx``, their place in the list. dlt numbers records by chance; here the number of a record is made
of its primary key, if the resource declares one, or else of all of its contents. So the same records always give the
same rows.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from etl_assets.errors import DeliveryError
from etl_assets.extract.dlt.values import UnknownTypeError, object_of, with_large_integers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dlt.common.schema import Schema

    from etl_assets.extract.dlt.resource import Resource

_ID: Final = "_dlt_id"
_LOAD_ID: Final = "_dlt_load_id"
_OWN: Final = frozenset({_ID, _LOAD_ID, "_dlt_parent_id", "_dlt_list_idx"})
_LENGTH: Final = 20
"""The number of hexadecimal digits of a number of a record."""
_DEEPEST: Final = 1000
_ENCODE: Final = msgspec.json.Encoder(order="deterministic").encode
_MOST_NAMES: Final = 20


class Nested:
    """Makes rows of records."""

    def __init__(self, schema: Schema, resource: Resource, table: str) -> None:
        """Take dlt's schema.

        Args:
            schema: Of the source, with the hints of the resource.
            resource: The resource.
            table: The table whose rows are wanted.
        """
        self._schema = schema
        self._origin = resource.origin
        self._table = table
        self._key = _primary_key(resource)
        deepest = resource.resource.max_table_nesting
        if deepest is None and resource.source is not None:
            deepest = resource.source.max_table_nesting
        self._deepest = _DEEPEST if deepest is None else deepest
        self._found: dict[str, None] = {}

    def rows(self, record: dict[str, Any], root: str) -> list[dict[str, Any]]:
        """Return the rows of the wanted table that a record gives.

        Args:
            record: As the resource yields it.
            root: The table of the record itself.

        Raises:
            DeliveryError: If two of its names become the same name, so that a value would be lost.
        """
        self._check_names(record, self._deepest)
        item = record if record.get(_ID) else {**record, _ID: self._number(record)}
        made = self._schema.normalize_data_item(item, "", root)
        rows: list[dict[str, Any]] = []
        try:
            place, row = next(made)
            while True:
                name = self._schema.naming.shorten_fragments(*place[1], *place[2])
                self._found.setdefault(name)
                if name == self._table:
                    rows.append({column: value for column, value in row.items() if column != _LOAD_ID})
                place, row = made.send(self._may_have(name))
        except StopIteration:
            return rows

    def check_found(self) -> None:
        """Raise if the wanted table is none of those that the records gave, although they gave some."""
        if self._found and self._table not in self._found and not self._is_below():
            names = ", ".join(map(repr, sorted(self._found)[:_MOST_NAMES]))
            raise DeliveryError(
                f"{self._origin} gives no table {self._table!r}: dlt makes {names} of it. Nothing was written. Correct "
                "table=."
            )

    def _is_below(self) -> bool:
        """Whether the table may be one of lists that happen to be empty."""
        return any(self._may_have(name) for name in self._found)

    def _may_have(self, name: str) -> bool:
        """Whether lists of a table's rows may give the wanted table."""
        return self._table.startswith(f"{name}__")

    def _number(self, record: dict[str, Any]) -> str:
        """Return the number of a record, which is the same for the same primary key, or else the same contents."""
        known = {name: record[name] for name in self._key if name in record}
        try:
            plain = object_of(known if self._key and len(known) == len(self._key) else record)
            text = _ENCODE(with_large_integers(plain))
        except UnknownTypeError as error:
            raise DeliveryError(
                f"A record of {self._origin} {error.problem}. Nothing was written. Make it a text, a number or a dict, "
                "for example by add_map of the resource."
            ) from None
        return sha256(text).hexdigest()[:_LENGTH]

    def _check_names(self, row: dict[str, Any], depth: int) -> None:
        """Raise if names of a row are the same once dlt has rewritten them."""
        names: dict[str, None] = {}
        lists: list[tuple[list[Any], int]] = []
        count = 0
        for name, value, left in self._fields(row, depth, ()):
            count += 1
            names.setdefault(name)
            if type(value) is list and left > 0:
                lists.append((value, left - 1))
        if len(names) < count or not _OWN.isdisjoint(names.keys() - {_ID}):
            raise DeliveryError(
                f"A record of {self._origin} has two names that are the same in the tables of dlt, or one that dlt "
                "gives itself. Nothing was written. Rename one of them by add_map of the resource."
            )
        for values, left in lists:
            for value in values:
                if type(value) is dict:
                    self._check_names(value, left)
                elif type(value) is list:
                    self._check_names({"list": value}, left - 1)

    def _fields(self, row: dict[str, Any], depth: int, path: Sequence[str]) -> Iterator[tuple[str, Any, int]]:
        naming = self._schema.naming
        for name, value in row.items():
            own = naming.normalize_path(name) if name and not name.isspace() else "_empty"
            if type(value) is dict and depth > 0 and value:
                yield from self._fields(value, depth - 1, (*path, own))
            else:
                yield naming.shorten_fragments(*path, own), value, depth


def _primary_key(resource: Resource) -> tuple[str, ...]:
    """Return the declared primary key, if it does not depend on the items."""
    key = (resource.resource._hints or {}).get("primary_key")  # noqa: SLF001 -- dlt shows it only in a schema's names
    if isinstance(key, str):
        return (key,) if key else ()
    return tuple(map(str, key)) if isinstance(key, list | tuple) else ()
