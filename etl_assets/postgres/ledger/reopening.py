"""Takes dismissals of records back, so that the records wait again.

Of a case only the record of the newest delivery waits, so it is that one which is reopened: it was dismissed, or it is
known because an older record with the same bytes was. The dismissals of the older ones end with it, or the next reload
would close it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg.rows import class_row

from etl_assets.postgres.ledger import locks

if TYPE_CHECKING:
    from collections.abc import Collection

    from etl_assets.postgres.connection import Connection

_OLDER_DISMISSED: Final = (
    "FROM etl.rejected e JOIN etl.delivery f ON f.id = e.delivery_id WHERE e.source = r.source "
    "AND e.identity = r.identity AND e.raw_sha256 = r.raw_sha256 AND (f.rank, f.id) < (d.rank, d.id) "
)
_STATES: Final = (
    "SELECT r.id, r.source, r.partition, r.status, CASE "
    "WHEN r.status NOT IN ('dismissed', 'known') THEN 'it is not dismissed' "
    "WHEN r.status = 'dismissed' AND r.closed_by IS NOT NULL THEN 'the publisher has corrected it since' "
    "WHEN n.id IS NOT NULL THEN format('a newer delivery brought it again: record %%s', n.id) "
    f"WHEN r.status = 'known' AND NOT EXISTS (SELECT {_OLDER_DISMISSED} AND e.status = 'dismissed') "
    "THEN 'it is known because an older one was corrected; correct it, too' END AS obstacle "
    "FROM etl.rejected r JOIN etl.delivery d ON d.id = r.delivery_id LEFT JOIN LATERAL ("
    "SELECT o.id FROM etl.rejected o JOIN etl.delivery n ON n.id = o.delivery_id AND n.generation = o.generation "
    "WHERE o.source = r.source AND o.identity = r.identity AND o.status <> 'superseded' "
    "AND (n.rank, n.id) > (d.rank, d.id) ORDER BY n.rank DESC, n.id DESC, o.record_no DESC LIMIT 1) n ON true "
    "WHERE r.id = ANY (%(ids)s) ORDER BY r.id"
)
_REOPEN: Final = (
    "WITH chosen AS (SELECT r.id, r.status, r.correction AS former, last.former_status, last.former_correction "
    "FROM etl.rejected r LEFT JOIN LATERAL (SELECT former_status, former_correction FROM etl.decision d "
    "WHERE d.rejected_id = r.id AND d.decision = 'dismissed' AND r.status = 'dismissed' ORDER BY d.id DESC LIMIT 1) "
    "last ON true WHERE r.id = ANY (%(ids)s)), "
    "entered AS (INSERT INTO etl.decision (rejected_id, decision, reviewer, note, former_status, former_correction) "
    "SELECT id, 'reopened', %(who)s, %(note)s, status, former FROM chosen ORDER BY id) "
    # a reviewer without a correction is one who dismissed it
    "UPDATE etl.rejected r SET status = CASE WHEN c.former_status = 'parked' AND NOT EXISTS "
    "(SELECT FROM unnest(r.rules) rule WHERE rule NOT LIKE '%%\\_\\_references') THEN 'parked' ELSE 'open' END, "
    "correction = c.former_correction, correction_counts = false, closed_by = NULL, note = coalesce(%(note)s, r.note), "
    "reviewer = CASE WHEN c.former_correction IS NOT NULL THEN %(who)s END, "
    "reviewed_at = CASE WHEN c.former_correction IS NOT NULL THEN clock_timestamp() END "
    "FROM chosen c WHERE r.id = c.id RETURNING r.id"
)
_END_OLDER_DISMISSALS: Final = (
    "UPDATE etl.rejected o SET status = 'repeated', closed_by = r.delivery_id FROM etl.rejected r "
    "JOIN etl.delivery d ON d.id = r.delivery_id, etl.delivery f WHERE r.id = ANY (%(ids)s) AND f.id = o.delivery_id "
    "AND o.source = r.source AND o.identity = r.identity AND o.raw_sha256 = r.raw_sha256 "
    "AND (f.rank, f.id) < (d.rank, d.id) AND o.status IN ('dismissed', 'known')"
)
DISMISSED: Final = ("dismissed", "known")
"""The statuses of records that may be reopened."""


@dataclass(frozen=True)
class Closed:
    """A record that is to be reopened.

    Attributes:
        id: Its id.
        source: Its source.
        partition: Its partition.
        status: Its status.
        obstacle: Why it cannot be reopened; None if it can.
    """

    id: int
    source: str
    partition: str
    status: str
    obstacle: str | None


def states(connection: Connection, ids: Collection[int]) -> list[Closed]:
    """Return whether records can be reopened, by id; those that do not exist are left out."""
    with connection.cursor(row_factory=class_row(Closed)) as cursor:
        return cursor.execute(_STATES, {"ids": list(ids)}).fetchall()


def reopen(connection: Connection, ids: Collection[int], who: str, note: str | None) -> list[Closed]:
    """Take the dismissals of records back: they wait again, with the corrections that the dismissals withdrew.

    Args:
        connection: To the warehouse.
        ids: Ids of the records.
        who: Who decided.
        note: Why.

    Returns:
        The records as they were before; those without an obstacle wait now.
    """
    with connection.transaction():
        for source in sorted({closed.source for closed in states(connection, ids)}):
            locks.lock_writes(connection, source)
        found = states(connection, ids)
        values = {"ids": [closed.id for closed in found if closed.obstacle is None], "who": who, "note": note}
        connection.execute(_REOPEN, values)
        connection.execute(_END_OLDER_DISMISSALS, values)
    return found
