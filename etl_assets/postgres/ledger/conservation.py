"""Compare the ledger of a delivery with its manifest and the quarantine, and the ledger of a source with its table.

A constraint of ``etl.batch`` checks that each entry adds up. This module checks that all entries together account for
the delivery, the quarantine and the table. A run compares its deliveries; the audit counts the rows of the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from etl_assets.model.counts import RECORDS, ROWS
from etl_assets.postgres.ledger.entries import STORED
from etl_assets.postgres.tables.ddl import exists
from etl_assets.postgres.tables.names import identifier

if TYPE_CHECKING:
    from typing import LiteralString

    from etl_assets.model.counts import Sum
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection


def conservation(connection: Connection, delivery: Delivery) -> list[str]:
    """Compare the ledger of a delivery with its manifest and the quarantine.

    It is one statement, so that it sees a commit of another run either completely or not at all.

    Args:
        connection: To the warehouse.
        delivery: A complete delivery.

    Returns:
        One sentence for each difference, without record contents; empty when there is none.
    """
    row = connection.execute(
        f"SELECT count(*), {_sum_sql(RECORDS.total)}, {_sum_sql('rejected')}, {_sum_sql(*RECORDS.parts)}, "
        f"{_sum_sql(ROWS.total)}, {_sum_sql(*ROWS.parts)}, "
        "(SELECT count(*) FROM etl.rejected r WHERE r.delivery_id = %(id)s AND r.generation = %(generation)s) "
        "FROM etl.batch WHERE delivery_id = %(id)s AND generation = %(generation)s AND kind = 'ingest'",
        {"id": delivery.id, "generation": delivery.generation},
    ).fetchone()
    batches, read, rejected, accounted, produced, written, quarantined = row or (0,) * 7
    manifest = delivery.manifest
    comparisons = (
        (batches, len(manifest.spans), "batches in the ledger", "in its manifest"),
        (read, manifest.records, "records in the ledger", "in its manifest"),
        (accounted, read, f"records {_parts_text(RECORDS)}", RECORDS.total),
        (written, produced, f"rows {_parts_text(ROWS)}", ROWS.total),
        (quarantined, rejected, "records in the quarantine", "rejected according to the ledger"),
    )
    return [
        f"{delivery} has {actual} {what}, and {expected} {other}"
        for actual, expected, what, other in comparisons
        if actual != expected
    ]


def table_violations(connection: Connection, source: str, table: str) -> list[str]:
    """Compare the number of rows of a table with the numbers that the ledger inserted and deleted.

    Args:
        connection: To the warehouse.
        source: Name of the source.
        table: ``schema.table`` that only this source writes.

    Returns:
        One sentence if they differ; empty if they do not.
    """
    stored, accounted = stored_and_entered(connection, source, table)
    if stored == accounted:
        return []
    return [f"{table} has {stored} rows, and the ledger says {accounted} were inserted and not deleted"]


def stored_and_entered(connection: Connection, source: str, table: str) -> tuple[int, int]:
    """Return how many rows a table has, and how many the ledger inserted and did not delete.

    The table is read once from end to end. It is one statement, so that it sees a commit of a run either completely or
    not at all. The arguments are those of `table_violations`.
    """
    rows = sql.SQL("(SELECT count(*) FROM {})").format(identifier(table))
    row = connection.execute(
        sql.SQL("SELECT {rows}, (e.inserted - e.deleted)::bigint FROM {entered} e").format(
            rows=rows if exists(connection, table) else sql.SQL("0"), entered=sql.SQL(STORED)
        ),
        {"sources": [source]},
    ).fetchone()
    return row or (0, 0)


def _sum_sql(*counts: LiteralString) -> LiteralString:
    """Return SQL for the sum of some counts over all entries."""
    return "coalesce(sum(" + " + ".join(counts) + "), 0)::bigint"


def _parts_text(sum_: Sum) -> str:
    return f"{', '.join(sum_.parts[:-1])} or {sum_.parts[-1]}"
