"""Which sources have partitions that are known to have no key in common, and what says so of their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from etl_assets.postgres.tables.ddl import identifier
from etl_assets.schema import DELIVERY_ID

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection


def known_disjoint(connection: Connection, source: str, declaration: str) -> bool:
    """Whether every row of a source's table is known to lie in its partition under a declaration."""
    row = connection.execute("SELECT declaration FROM etl.disjoint_partitions WHERE source = %s", (source,)).fetchone()
    return row is not None and row[0] == declaration


def record_disjoint(connection: Connection, source: str, declaration: str) -> None:
    """Remember that every row of a source's table lies in its partition under a declaration."""
    connection.execute(
        "INSERT INTO etl.disjoint_partitions (source, declaration) VALUES (%s, %s) ON CONFLICT (source) DO UPDATE "
        "SET declaration = excluded.declaration, known_since = clock_timestamp()",
        (source, declaration),
    )


def extremes(connection: Connection, table: str, column: str) -> list[tuple[str, Any, Any]]:
    """The partitions that the rows of a table came in, each with the least and the greatest value of a column."""
    question = sql.SQL(
        "SELECT d.partition, min(t.{column}), max(t.{column}) FROM {table} t "
        "JOIN etl.delivery d ON d.id = t.{delivery} GROUP BY 1"
    ).format(
        column=sql.Identifier(column),
        table=identifier(table),
        delivery=sql.Identifier(DELIVERY_ID),
    )
    return connection.execute(question).fetchall()
