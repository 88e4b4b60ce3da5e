"""The partitions with which something is to be done, whatever the publisher has now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.errors import REFUSALS

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

NEWEST_RUN: Final = (
    "FROM etl.run WHERE source = p.source AND partition = p.partition AND status IN ('succeeded', 'failed', 'crashed') "
    "AND step NOT IN ('replay', 'rebuild') ORDER BY id DESC LIMIT 1"
)
"""Of a partition ``p``: the newest of its runs that have ended, by a search of an index."""


def due_partitions(connection: Connection, source: str, fingerprint: str, verdict_fingerprint: str) -> set[str]:
    """Return the partitions with a delivery that is to be loaded.

    A delivery is not loaded to its end, or is stale; or the newest one was refused, under another declaration.

    Args:
        connection: To the warehouse.
        source: Name of the source.
        fingerprint: Of what decides which rows the same bytes become.
        verdict_fingerprint: Of everything that decides how a run ends.
    """
    rows = connection.execute(
        "SELECT partition FROM etl.delivery WHERE source = %(source)s AND (status IN ('landed', 'loading') "
        "OR (status = 'complete' AND (fingerprint <> %(fingerprint)s OR needs_reload))) "
        "UNION SELECT partition FROM (SELECT DISTINCT ON (partition) partition, status FROM etl.delivery "
        "WHERE source = %(source)s ORDER BY partition, id DESC) newest WHERE status = 'refused' AND NOT EXISTS "
        "(SELECT FROM etl.run r WHERE r.source = %(source)s AND r.partition = newest.partition "
        "AND r.declaration = %(declaration)s AND r.error_class = ANY (%(refusals)s))",
        {
            "source": source,
            "fingerprint": fingerprint,
            "declaration": verdict_fingerprint,
            "refusals": list(REFUSALS),
        },
    ).fetchall()
    return {partition for (partition,) in rows}


def failed_partitions(connection: Connection, source: str) -> set[str]:
    """Return the partitions of a source whose newest run failed or crashed: for each, one search of an index."""
    rows = connection.execute(
        f"SELECT p.partition FROM etl.partition_total p CROSS JOIN LATERAL (SELECT status {NEWEST_RUN}) newest "
        "WHERE p.source = %s AND newest.status <> 'succeeded'",
        (source,),
    ).fetchall()
    return {partition for (partition,) in rows}
