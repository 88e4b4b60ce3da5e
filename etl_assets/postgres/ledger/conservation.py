"""Whether what the ledger says of a delivery is what the tables hold.

That each line of the ledger adds up is a constraint of the ledger; here is asked whether the lines, together, account
for the delivery, the quarantine and the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from etl_assets.model.counts import RECORDS, ROWS
from etl_assets.postgres.tables.ddl import exists, identifier

if TYPE_CHECKING:
    from typing import LiteralString

    from etl_assets.model.counts import Sum
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection


def conservation(connection: Connection, source: str, table: str, delivery: Delivery) -> list[str]:
    """Hold the ledger against the manifest, the quarantine and the table.

    The table is read once from end to end; each question is one statement, so that what other runs commit meanwhile
    is seen whole or not at all.

    Args:
        connection: To the warehouse.
        source: Name of the source.
        table: ``schema.table`` that only this source writes.
        delivery: A complete one.

    Returns:
        What does not add up, in words that hold no record contents; nothing when all is well.
    """
    return [*_of_delivery(connection, delivery), *table_violations(connection, source, table)]


def table_violations(connection: Connection, source: str, table: str) -> list[str]:
    """Hold the number of rows of a table against all that the ledger says was inserted and deleted."""
    rows = sql.SQL("(SELECT count(*) FROM {})").format(identifier(table))
    row = connection.execute(
        sql.SQL(
            "SELECT {rows}, coalesce(sum(b.inserted) - sum(b.deleted), 0)::bigint FROM etl.batch b "
            "JOIN etl.delivery d ON d.id = b.delivery_id WHERE d.source = %s"
        ).format(rows=rows if exists(connection, table) else sql.SQL("0")),
        (source,),
    ).fetchone()
    held, accounted = row or (0, 0)
    if held == accounted:
        return []
    return [f"{table} holds {held} rows, and the ledger says {accounted} were inserted and not deleted"]


def _of_delivery(connection: Connection, delivery: Delivery) -> list[str]:
    row = connection.execute(
        f"SELECT count(*), {_total(RECORDS.total)}, {_total('rejected')}, {_total(*RECORDS.parts)}, "
        f"{_total(ROWS.total)}, {_total(*ROWS.parts)}, "
        "(SELECT count(*) FROM etl.rejected r WHERE r.delivery_id = %(id)s AND r.generation = %(generation)s) "
        "FROM etl.batch WHERE delivery_id = %(id)s AND generation = %(generation)s AND kind = 'ingest'",
        {"id": delivery.id, "generation": delivery.generation},
    ).fetchone()
    batches, read, rejected, accounted, produced, written, quarantined = row or (0,) * 7
    manifest = delivery.manifest
    compared = (
        (batches, len(manifest.spans), "batches in the ledger", "in its manifest"),
        (read, manifest.records, "records in the ledger", "in its manifest"),
        (accounted, read, f"records {_listed(RECORDS)}", RECORDS.total),
        (written, produced, f"rows {_listed(ROWS)}", ROWS.total),
        (quarantined, rejected, "records in the quarantine", "rejected according to the ledger"),
    )
    return [
        f"{delivery} has {found} {what}, and {expected} {other}"
        for found, expected, what, other in compared
        if found != expected
    ]


def _total(*counts: LiteralString) -> LiteralString:
    """The sum of some counts over all entries, in SQL."""
    return "coalesce(sum(" + " + ".join(counts) + "), 0)::bigint"


def _listed(sum_: Sum) -> str:
    return f"{', '.join(sum_.parts[:-1])} or {sum_.parts[-1]}"
