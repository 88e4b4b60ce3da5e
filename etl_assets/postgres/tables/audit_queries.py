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


BY_INDEX: Final = "SET enable_seqscan = off"
READ_ONLY_NOW: Final = "SET TRANSACTION READ ONLY"


def deliveries_of_partition(connection: Connection, source: str, partition: str) -> tuple[list[int], int]:
    """Return the ids of all deliveries of a partition, and the number of records of the largest."""
    rows = connection.execute(
        "SELECT id, records FROM etl.delivery WHERE source = %s AND partition = %s ORDER BY id", (source, partition)
    ).fetchall()
    return [delivery_id for delivery_id, _ in rows], max((records for _, records in rows), default=0)


def deliveries_of_run(connection: Connection, source: str, run_id: str) -> tuple[list[int], int]:
    """Return what a run wrote of a source without partitions, and the newest delivery, which it may have left as it is.

    Args:
        connection: To the warehouse.
        source: The name of the deliveries.
        run_id: Of the run.

    Returns:
        The ids of the deliveries, and the number of their records.
    """
    rows = connection.execute(
        "SELECT id, records FROM etl.delivery WHERE source = %(source)s AND id IN (SELECT delivery_id FROM etl.batch "
        "WHERE run_id = %(run)s UNION (SELECT id FROM etl.delivery WHERE source = %(source)s AND partition = '' "
        "ORDER BY id DESC LIMIT 1)) ORDER BY id",
        {"source": source, "run": run_id},
    ).fetchall()
    return [delivery_id for delivery_id, _ in rows], sum(records for _, records in rows)


def rows_query(table: str, deliveries: Sequence[int] | None, *, marked: bool = False) -> sql.Composed:
    """Return the query for a table's rows, all or only those of some deliveries.

    Args:
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
    return sql.SQL("SELECT * FROM {} t WHERE {}").format(identifier(table), sql.SQL(" AND ").join(conditions))


def rows_view(name: str, table: str, deliveries: Sequence[int] | None, *, marked: bool = False) -> str:
    """Return the statement that creates a temporary view of a table's rows; the other arguments are the same."""
    rows = rows_query(table, deliveries, marked=marked)
    return sql.SQL("CREATE TEMPORARY VIEW {} AS {}").format(sql.Identifier(name), rows).as_string(None)


def has_index(connection: Connection, table: str, columns: Sequence[str]) -> bool:
    """Return whether a table has a B-tree over all rows that begins with some columns, in any order."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam "
        "WHERE i.indrelid = to_regclass(%(table)s) AND m.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL "
        "AND ARRAY(SELECT a.attname::text FROM unnest(i.indkey) WITH ORDINALITY k (attnum, place) JOIN pg_attribute a "
        "ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.place <= cardinality(%(columns)s::text[]) "
        "ORDER BY 1) = ARRAY(SELECT unnest(%(columns)s::text[]) ORDER BY 1))",
        {"table": table, "columns": list(columns)},
    ).fetchone()
    return bool(row and row[0])
