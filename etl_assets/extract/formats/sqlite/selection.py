"""The statement that reads a table or a query in an order that depends on the bytes alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.published_names import check_names
from etl_assets.extract.formats.sqlite.database import refused
from etl_assets.model.text import names_text

if TYPE_CHECKING:
    import sqlite3

_ROWID: Final = ("rowid", "_rowid_", "oid")
_LOWEST_ROWID: Final = -(2**63)
_RENAMED: Final = re.compile(r"(.+):[0-9]+", re.DOTALL)
"""How SQLite names the second column of one name in a subquery."""


@dataclass(frozen=True)
class Selection:
    """What is read.

    Attributes:
        statement: Its first column is the rowid or NULL. Its parameter is the first rowid, or how many rows are before.
        names: The published names.
        label: The table in locations; empty for a query.
        has_rowid: Whether the rows have rowids.
    """

    statement: str
    names: tuple[str, ...]
    label: str
    has_rowid: bool

    @property
    def start(self) -> int:
        """The parameter for all rows."""
        return _LOWEST_ROWID if self.has_rowid else 0


def tables_of(connection: sqlite3.Connection) -> tuple[list[str], frozenset[str]]:
    """Return the names of the tables and views, and those of the virtual tables among them."""
    rows = connection.execute(
        "SELECT name, type = 'table' AND NOT coalesce(rootpage, 0) FROM sqlite_master "
        "WHERE type IN ('table', 'view') ORDER BY name"
    ).fetchall()
    return [name for name, _ in rows], frozenset(name for name, is_virtual in rows if is_virtual)


def quoted(name: str) -> str:
    """Return a name as SQLite reads it in a statement."""
    return '"' + name.replace('"', '""') + '"'


def of_table(connection: sqlite3.Connection, table: str, where: str) -> Selection:
    """Return the statement for a table.

    Args:
        connection: Not restricted yet.
        table: As declared; SQLite ignores the case of A to Z.
        where: Name of the file in errors.

    Raises:
        DeliveryError: If there is no such table, or it has no order of its own.
    """
    name = _name_of(connection, table, where)
    names = tuple(row[1] for row in connection.execute(f"PRAGMA table_xinfo({quoted(name)})") if row[6] != 1)
    _check(names, where)
    key = [column[2] for column in connection.execute(f"PRAGMA index_info({quoted(name)})")]
    if key:
        order = ", ".join(map(quoted, key))
        statement = f"SELECT NULL, * FROM {quoted(name)} ORDER BY {order} LIMIT -1 OFFSET ?"
        return Selection(statement, names, name, has_rowid=False)
    taken = {column.lower() for column in names}
    rowid = next((alias for alias in _ROWID if alias not in taken), None)
    if rowid is None:
        raise refused(where, f"has a table whose rowid has no name, {name!r}", "Read it by a query")
    statement = f"SELECT {rowid}, * FROM {quoted(name)} WHERE {rowid} >= ? ORDER BY {rowid}"
    return Selection(statement, names, name, has_rowid=True)


def of_query(connection: sqlite3.Connection, query: str, where: str) -> Selection:
    """Return the statement for a query: its rows, sorted by all columns.

    Raises:
        DeliveryError: If two of its columns have one name.
        sqlite3.Error: If it cannot be run.
    """
    inner = f"(\n{query.strip().rstrip(';')}\n)"
    described = connection.execute(f"SELECT * FROM {inner} LIMIT 0").description
    names = tuple(column[0] for column in described)
    _check(names, where)
    order = ", ".join(f"{place} COLLATE BINARY" for place in range(2, len(names) + 2))
    statement = f"SELECT NULL, * FROM {inner} ORDER BY {order} LIMIT -1 OFFSET ?"
    return Selection(statement, names, "", has_rowid=False)


def _name_of(connection: sqlite3.Connection, table: str, where: str) -> str:
    """Return the name of a table as stored."""
    rows = connection.execute(
        "SELECT name, type, rootpage FROM sqlite_master WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE",
        (table,),
    ).fetchall()
    if not rows:
        listed = ", ".join(tables_of(connection)[0]) or "none; they may be in a -wal file that is missing here"
        raise refused(where, f"has no table {table!r}; its tables are: {listed}", "Correct table, or check the feed")
    name, type_, rootpage = rows[0]
    if type_ == "view" or not rootpage:
        problem = f"has a view or a virtual table, and no table, {name!r}: its rows have no order"
        raise refused(where, problem, "Read a view by a query; have a virtual table published as a table")
    return str(name)


def _check(names: tuple[str, ...], where: str) -> None:
    renamed = [match[1] for name in names if (match := _RENAMED.fullmatch(name)) and match[1] in names]
    if renamed:
        raise refused(where, f"has two columns of one name: {names_text(renamed)}", "Rename one in the query: AS other")
    if not names or not all(names):
        raise refused(where, "has a column without a name", "Name it in a query: AS other")
    check_names(names, where, "Rename the column in a query")
