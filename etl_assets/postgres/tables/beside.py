"""The table that is built beside another one, which it is to replace; and what the write mode makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.postgres.tables import history_table, marks
from etl_assets.postgres.tables.ddl import columns_of, exists
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.staging import REBUILDS, staging_of
from etl_assets.schema import DELIVERY_ID

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection


OF_DELIVERIES: Final = (DELIVERY_ID, history_table.ENDED_BY)
"""The columns that have ids of deliveries."""


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
    """Add a number to the ids of deliveries in every row; the table is written again as a whole."""
    names = [name for name in OF_DELIVERIES if name in columns_of(connection, table)]
    change = sql.SQL("ALTER COLUMN {0} TYPE bigint USING {0} + {1}")
    changes = [change.format(sql.Identifier(name), sql.Literal(by)) for name in names]
    connection.execute(sql.SQL("ALTER TABLE {} {}").format(identifier(table), sql.SQL(", ").join(changes)))
    connection.execute(sql.SQL("ANALYZE {}").format(identifier(table)))


def drop_views(connection: Connection, table: str) -> None:
    """Drop the views and the function that the write mode made of a table beside another one, ``schema.table``."""
    marks.drop_view(connection, table)
    history_table.drop_views(connection, table)


def drop(connection: Connection, table: str) -> None:
    """Drop a table beside another one, in whatever form, and what is staged for it."""
    stored = history_table.stored_in_use(connection, table)
    drop_views(connection, table)
    for name in (stored, staging_of(table)):
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(identifier(name)))


def count(connection: Connection, table: str) -> int:
    """Return how many rows a table has; 0 if there is none."""
    if not exists(connection, table):
        return 0
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(identifier(table))).fetchone()
    return int(row[0]) if row else 0
