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
from etl_assets.extract.dlt.values import encoded, object_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlt.common.schema import Schema

    from etl_assets.extract.dlt.resource import Resource

_ID: Final = "_dlt_id"
_LOAD_ID: Final = "_dlt_load_id"
_OWN: Final = frozenset({_LOAD_ID, "_dlt_parent_id", "_dlt_list_idx"})
_LENGTH: Final = 20
"""The number of hexadecimal digits of a number of a record."""
_DEEPEST: Final = 1000
_ENCODE: Final = msgspec.json.Encoder(order="deterministic").encode
_MOST_NAMES: Final = 20
_MOST_SHAPES: Final = 10_000


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
        self._sound: set[Any] = set()
        self._tables: dict[tuple[str, ...], str] = {}

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
                name = self._name_of((*place[1], *place[2]))
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

    def _name_of(self, path: tuple[str, ...]) -> str:
        """Return the name of the table of a path."""
        if (name := self._tables.get(path)) is None:
            name = self._tables[path] = self._schema.naming.shorten_fragments(*path)
            self._found.setdefault(name)
        return name

    def _number(self, record: dict[str, Any]) -> str:
        """Return the number of a record, which is the same for the same primary key, or else the same contents."""
        known = {name: record[name] for name in self._key if name in record}
        plain = object_of(known if self._key and len(known) == len(self._key) else record)
        return sha256(encoded(plain, _ENCODE)).hexdigest()[:_LENGTH]

    def _check_names(self, row: dict[str, Any], depth: int) -> None:
        """Raise if names of a row, or of one below it, are the same once dlt has rewritten them."""
        lists: list[tuple[list[Any], int]] = []
        shape = _shape_of(row, depth, lists)
        if shape not in self._sound:
            self._check_shape(shape)
            if len(self._sound) >= _MOST_SHAPES:
                self._sound.clear()
            self._sound.add(shape)
        for values, left in lists:
            for value in values:
                if type(value) is dict:
                    self._check_names(value, left)
                elif type(value) is list:
                    self._check_names({"list": value}, left - 1)

    def _check_shape(self, shape: tuple[Any, ...]) -> None:
        names = list(self._columns_of(shape, ()))
        if len(set(names)) < len(names) or not _OWN.isdisjoint(names):
            raise DeliveryError(
                f"A record of {self._origin} has two names that are the same in the tables of dlt, or one that dlt "
                "gives itself. Nothing was written. Rename one of them by add_map of the resource."
            )

    def _columns_of(self, shape: tuple[Any, ...], path: tuple[str, ...]) -> Iterator[str]:
        naming = self._schema.naming
        for name in shape:
            own = name[0] if type(name) is tuple else name
            own = naming.normalize_path(own) if own and not own.isspace() else "_empty"
            if type(name) is tuple:
                yield from self._columns_of(name[1], (*path, own))
            else:
                yield naming.shorten_fragments(*path, own)


def _shape_of(row: dict[str, Any], depth: int, lists: list[tuple[list[Any], int]]) -> tuple[Any, ...]:
    """Return the names of a row, each with those below it if it is a dict; add the lists that are tables."""
    shape: list[Any] = []
    for name, value in row.items():
        type_ = type(value)
        if type_ is dict and depth > 0:
            shape.append((name, _shape_of(value, depth - 1, lists)))
            continue
        if type_ is list and depth > 0:
            lists.append((value, depth - 1))
        shape.append(name)
    return tuple(shape)


def _primary_key(resource: Resource) -> tuple[str, ...]:
    """Return the declared primary key, if it does not depend on the items."""
    key = (resource.resource._hints or {}).get("primary_key")  # noqa: SLF001 -- dlt shows it only in a schema's names
    if isinstance(key, str):
        return (key,) if key else ()
    return tuple(map(str, key)) if isinstance(key, list | tuple) else ()
