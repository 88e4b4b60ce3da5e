"""SQL for an auditor of stored tables: a session that cannot write, and views of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.postgres.tables.marks import NOT_MARKED
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.postgres.connection import Connection

SESSION: Final = {
    "options": "-c TimeZone=UTC -c DateStyle=ISO -c jit=off -c work_mem=64MB -c lock_timeout=60s "
    "-c client_connection_check_interval=500ms",
    "application_name": "etl_assets audit",
    "connect_timeout": 15,
}
"""Arguments of an auditor's connection."""

READ_ONLY: Final = "SET default_transaction_read_only = on"


def deliveries_of(connection: Connection, source: str, partition: str) -> list[int]:
    """Return the ids of all deliveries of a partition."""
    rows = connection.execute(
        "SELECT id FROM etl.delivery WHERE source = %s AND partition = %s ORDER BY id", (source, partition)
    ).fetchall()
    return [delivery_id for (delivery_id,) in rows]


def rows_view(name: str, table: str, deliveries: Sequence[int] | None, *, marked: bool = False) -> str:
    """Return the statement that creates a temporary view of a table's rows, all or only those of some deliveries.

    Args:
        name: Of the view.
        table: ``schema.table``.
        deliveries: Ids of the deliveries; all rows when None.
        marked: Whether the table has rows that are marked as deleted; they are left out.
    """
    conditions: list[sql.Composable] = [sql.SQL("true")]
    if marked:
        conditions.append(NOT_MARKED)
    if deliveries is not None:
        conditions.append(
            sql.SQL("t.{} = ANY ({}::bigint[])").format(sql.Identifier(DELIVERY_ID), sql.Literal(list(deliveries)))
        )
    statement = sql.SQL("CREATE TEMPORARY VIEW {} AS SELECT * FROM {} t WHERE {}").format(
        sql.Identifier(name), identifier(table), sql.SQL(" AND ").join(conditions)
    )
    return statement.as_string(None)
