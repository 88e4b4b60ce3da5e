"""The table ``etl.disjoint_partitions``: sources whose partitions are known to have no key in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection


def known_disjoint(connection: Connection, source: str, declaration: str) -> bool:
    """Return whether every row of a source's table is known to be in its own partition under a declaration."""
    row = connection.execute("SELECT declaration FROM etl.disjoint_partitions WHERE source = %s", (source,)).fetchone()
    return row is not None and row[0] == declaration


def record_disjoint(connection: Connection, source: str, declaration: str) -> None:
    """Record that every row of a source's table is in its own partition under a declaration."""
    connection.execute(
        "INSERT INTO etl.disjoint_partitions (source, declaration) VALUES (%s, %s) ON CONFLICT (source) DO UPDATE "
        "SET declaration = excluded.declaration, known_since = clock_timestamp()",
        (source, declaration),
    )


def extremes(connection: Connection, table: str, column: str) -> list[tuple[str, Any, Any]]:
    """Return the partitions in which the rows of a table were delivered, each with the range of a column's values.

    Returns:
        For each partition: its key, and the least and the greatest value of the column.
    """
    query = sql.SQL(
        "SELECT d.partition, min(t.{column}), max(t.{column}) FROM {table} t "
        "JOIN etl.delivery d ON d.id = t.{delivery} GROUP BY 1"
    ).format(
        column=sql.Identifier(column),
        table=identifier(table),
        delivery=sql.Identifier(DELIVERY_ID),
    )
    return connection.execute(query).fetchall()
