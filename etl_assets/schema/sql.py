"""Conditions over stored rows, written in SQL: names, values, and the query for the rows that break a condition.

An audit asks these through Great Expectations, which puts the rows in question in the place of ``{batch}``. Statements
that load or keep data are ``postgres``'s business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ROWS: Final = 10_000
"""So many rows at most are brought by one query; a count that high means that many or more."""
_ESCAPED: Final = frozenset("\\'{}:%")


def name(identifier: str) -> str:
    """A name in quotes."""
    return '"' + identifier.replace('"', '""') + '"'


def table(path: str) -> str:
    """``schema.table`` in quotes."""
    return ".".join(name(part) for part in path.split("."))


def text(value: str) -> str:
    """A text as a literal, whatever it holds: what has a meaning for those who pass the query on is escaped."""
    escaped = "".join(f"\\u{ord(each):04X}" if each in _ESCAPED else each for each in value)
    return f"E'{escaped}'" if escaped != value else f"'{value}'"


def value(written: object, type_: str) -> str:
    """A value as a literal of a Postgres type."""
    return f"{text(str(written))}::{type_}"


def rows_where(condition: str, key: Sequence[str]) -> str:
    """The query for the keys of the rows that meet a condition, which calls their table ``child``."""
    columns = ", ".join(f"child.{name(each)}" for each in key)
    return f"SELECT {columns} FROM (SELECT * FROM {{batch}}) AS child WHERE {condition} LIMIT {MOST_ROWS}"


def rows_without_parent(columns: Sequence[str], parent: str, parent_columns: Sequence[str], key: Sequence[str]) -> str:
    """The query for the keys of the rows that refer to a row which is not there.

    Args:
        columns: That refer.
        parent: ``schema.table`` of the parent.
        parent_columns: That they refer to, in the same order.
        key: Of the rows.
    """
    keys = ", ".join(f"child.{name(each)}" for each in key)
    pairs = zip(columns, parent_columns, strict=True)
    match = " AND ".join(f"parent.{name(theirs)} = child.{name(ours)}" for ours, theirs in pairs)
    refers = " AND ".join(f"child.{name(each)} IS NOT NULL" for each in columns)
    return (
        f"SELECT {keys} FROM {{batch}} AS child LEFT JOIN {table(parent)} AS parent ON {match} "
        f"WHERE {refers} AND parent.{name(parent_columns[0])} IS NULL LIMIT {MOST_ROWS}"
    )
