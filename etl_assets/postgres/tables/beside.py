"""The table that is built beside another one, which it is to replace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from etl_assets.postgres.tables.ddl import exists
from etl_assets.postgres.tables.marks import drop_view
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.staging import REBUILDS, staging_of
from etl_assets.schema import DELIVERY_ID

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection


def beside(table: str) -> str:
    """Return the name of the table beside ``schema.table``."""
    return f"{REBUILDS}.{table.split('.', 1)[1]}"


def has_marks_below(connection: Connection, table: str, least: int) -> bool:
    """Return whether a table has a row whose delivery has an id below a number."""
    if not exists(connection, table):
        return False
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {} < %s)").format(
        identifier(table), sql.Identifier(DELIVERY_ID)
    )
    row = connection.execute(query, (least,)).fetchone()
    return bool(row and row[0])


def shift_marks(connection: Connection, table: str, by: int) -> None:
    """Add a number to the delivery's id in every row; the table is written again as a whole."""
    column = sql.Identifier(DELIVERY_ID)
    statement = sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE bigint USING {} + {}")
    connection.execute(statement.format(identifier(table), column, column, sql.Literal(by)))
    connection.execute(sql.SQL("ANALYZE {}").format(identifier(table)))


def drop(connection: Connection, table: str) -> None:
    """Drop a table beside another one, and what is staged for it."""
    drop_view(connection, table)
    for name in (table, staging_of(table)):
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(identifier(name)))


def count(connection: Connection, table: str) -> int:
    """Return how many rows a table has; 0 if there is none."""
    if not exists(connection, table):
        return 0
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(identifier(table))).fetchone()
    return int(row[0]) if row else 0
