"""Conditions over stored rows, in SQL: names, values, and queries for the rows that break a condition.

An audit runs these queries through Great Expectations, which replaces ``{batch}`` by the rows to check. ``postgres``
has the statements that load or store data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.schema.names import DELETED_AT

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ROWS: Final = 10_000
"""Largest number of rows that one query returns; a count of this number means that many or more."""
_ESCAPED: Final = frozenset("\\'{}:%")


def name(identifier: str) -> str:
    """Return a name in quotes."""
    return '"' + identifier.replace('"', '""') + '"'


def table(path: str) -> str:
    """Return ``schema.table`` in quotes."""
    return ".".join(name(part) for part in path.split("."))


def text(value: str) -> str:
    """Return any text as a literal, with the characters escaped that Great Expectations would interpret."""
    escaped = "".join(f"\\u{ord(character):04X}" if character in _ESCAPED else character for character in value)
    return f"E'{escaped}'" if escaped != value else f"'{value}'"


def value(written: object, type_: str) -> str:
    """Return a value as a literal of a Postgres type."""
    return f"{text(str(written))}::{type_}"


def rows_where(condition: str, key: Sequence[str]) -> str:
    """Return the query for the keys of the rows that meet a condition over the alias ``child``."""
    columns = ", ".join(f"child.{name(column)}" for column in key)
    return f"SELECT {columns} FROM (SELECT * FROM {{batch}}) AS child WHERE {condition} LIMIT {MOST_ROWS}"


def rows_without_parent(columns: Sequence[str], parent: str, parent_columns: Sequence[str], key: Sequence[str]) -> str:
    """Return the query for the keys of the rows whose parent is missing, or is marked as deleted.

    The parent's table may have no marks. So the name of their column stands alone, beside a column of this name that
    is always null: it means the column of the table if there is one.

    Args:
        columns: The columns that refer to the parent.
        parent: ``schema.table`` of the parent.
        parent_columns: The parent's columns, in the same order.
        key: The key columns of the rows.
    """
    keys = ", ".join(f"child.{name(column)}" for column in key)
    pairs = zip(columns, parent_columns, strict=True)
    match = " AND ".join(f"parent.{name(theirs)} = child.{name(ours)}" for ours, theirs in pairs)
    theirs = ", ".join(map(name, parent_columns))
    refers = " AND ".join(f"child.{name(column)} IS NOT NULL" for column in columns)
    return (
        f"SELECT {keys} FROM {{batch}} AS child LEFT JOIN (SELECT present.* FROM (SELECT NULL::timestamptz AS "
        f"{name(DELETED_AT)}) AS unmarked CROSS JOIN LATERAL (SELECT {theirs} FROM {table(parent)} "
        f"WHERE {name(DELETED_AT)} IS NULL) AS present) AS parent ON {match} "
        f"WHERE {refers} AND parent.{name(parent_columns[0])} IS NULL LIMIT {MOST_ROWS}"
    )
