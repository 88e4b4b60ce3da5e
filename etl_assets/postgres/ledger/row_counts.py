"""The table ``etl.row_count``: how many rows the ledger has of each partition, kept by a trigger on ``etl.batch``.

So no run counts the rows of a table. That the table has as many rows is an invariant, which the audit and
``etl-assets doctor`` check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.postgres.ledger.invariants import QueriedInvariant
from etl_assets.postgres.ledger.rebuilt import no_rebuild
from etl_assets.postgres.tables.marks import has_marks
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELETED_AT

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

ROW_COUNTS_ARE_THOSE_OF_THE_LEDGER: Final = QueriedInvariant(
    "row_counts_are_those_of_the_ledger",
    "The kept row count of each partition is the sum of its ledger entries",
    "Somebody changed schema etl by hand, or disabled its trigger: run `SELECT etl.recount_rows()` as its owner",
    "WITH entered AS (SELECT d.source, d.partition, sum(etl.entered_rows(b)) AS rows, "
    "sum(etl.entered_versions(b)) AS versions FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id "
    "GROUP BY 1, 2) SELECT 'partition ' || quote_literal(partition) || ' of ' || source, "
    "format('is kept as %s rows and %s versions, and its ledger has %s and %s', coalesce(c.rows, 0), "
    "coalesce(c.versions, 0), coalesce(e.rows, 0), coalesce(e.versions, 0)) "
    "FROM etl.row_count c FULL JOIN entered e USING (source, partition) WHERE (coalesce(c.rows, 0), "
    "coalesce(c.versions, 0)) <> (coalesce(e.rows, 0), coalesce(e.versions, 0)) "
    f"AND {no_rebuild()} ORDER BY source, partition",
)
_ROWS: Final = (
    "SELECT (coalesce((SELECT sum(rows) FROM etl.row_count WHERE source = %(source)s), 0) "
    "- coalesce((SELECT sum(rows) FROM etl.retention WHERE source = %(source)s), 0))::bigint"
)
_PARTITION_ROWS: Final = (
    "SELECT coalesce((SELECT rows FROM etl.row_count WHERE source = %(source)s AND partition = %(partition)s), 0) "
    "WHERE NOT EXISTS (SELECT FROM etl.retention WHERE source = %(source)s AND rows > 0) "
    "AND (EXISTS (SELECT FROM etl.disjoint_partitions WHERE source = %(source)s) "
    "OR NOT EXISTS (SELECT FROM pg_index WHERE indrelid = to_regclass(%(table)s) AND indisprimary))"
)


def count_rows(connection: Connection, source: str, table: str) -> int:
    """Return how many rows a table has according to the ledger; of a table of versions, the current ones.

    Rows that are marked as deleted do not count. They are counted by their index.

    Args:
        connection: To the warehouse.
        source: The name of its deliveries in ``etl.delivery``.
        table: ``schema.table``, or the view of its current versions.
    """
    row = connection.execute(_ROWS, {"source": source}).fetchone()
    rows = int(row[0]) if row else 0
    if not has_marks(connection, table):
        return rows
    marked = connection.execute(
        sql.SQL("SELECT count(*) FROM {} WHERE {} IS NOT NULL").format(identifier(table), sql.Identifier(DELETED_AT))
    ).fetchone()
    return rows - int(marked[0]) if marked else rows


def count_partition_rows(connection: Connection, source: str, table: str, partition: str) -> int | None:
    """Return how many rows of a table are those of a partition according to the ledger.

    Args:
        connection: To the warehouse.
        source: The name of its deliveries in ``etl.delivery``.
        table: ``schema.table``.
        partition: Key of the partition.

    Returns:
        The number; None if rows may have moved between partitions, or were dropped for their age.
    """
    values = {"source": source, "table": table, "partition": partition}
    row = connection.execute(_PARTITION_ROWS, values).fetchone()
    return int(row[0]) if row else None
