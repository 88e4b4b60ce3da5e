"""Small read-only queries for the metadata of assets. No load depends on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets.postgres.ledger.order import newest_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.postgres.connection import Connection

MOST_WAITING: Final = 10_000
"""Records that wait are counted up to this number."""
_SAMPLE_SIZE: Final = 5
_NEWEST: Final = (
    "(SELECT rank, partition, id FROM etl.delivery d WHERE source = %(source)s AND status IN ('complete', 'refused') "
    f"AND {{others}} ORDER BY {newest_first()} LIMIT 1)"
)
_OTHERS: Final = "(d.rank, d.id) < (o.rank, o.id) AND (d.partition <> o.partition OR d.partition = '')"
"""The next older delivery of another partition: each is a search of an index, however many deliveries there are."""


def sample_places(connection: Connection, delivery_ids: Sequence[int]) -> dict[str, list[str]]:
    """Return the locations of the first records that broke each rule in the newest reading of some deliveries.

    Their contents are never among them.
    """
    rows = connection.execute(
        "SELECT rule, (array_agg('record ' || r.record_no || ' at ' || r.location ORDER BY d.id, r.record_no))"
        "[1:%(limit)s::integer] FROM etl.rejected r JOIN etl.delivery d ON d.id = r.delivery_id "
        "AND d.generation = r.generation CROSS JOIN unnest(r.rules) rule WHERE d.id = ANY (%(ids)s) GROUP BY rule",
        {"ids": list(delivery_ids), "limit": _SAMPLE_SIZE},
    ).fetchall()
    reported = connection.execute(
        "SELECT b.places FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id AND d.generation = b.generation "
        "WHERE d.id = ANY (%s) AND b.places <> '{}' ORDER BY d.id, b.number",
        (list(delivery_ids),),
    ).fetchall()
    places: dict[str, list[str]] = dict(rows)
    for (by_rule,) in reported:
        for rule, found in by_rule.items():
            places[rule] = [*places.get(rule, []), *found][:_SAMPLE_SIZE]
    return places


def newest_batch(connection: Connection, sources: Sequence[str]) -> int:
    """Return the id of the newest ledger entry of some sources; 0 when there is none."""
    row = connection.execute(
        "SELECT b.id FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id WHERE d.source = ANY (%s) "
        "ORDER BY b.id DESC LIMIT 1",
        (list(sources),),
    ).fetchone()
    return int(row[0]) if row else 0


def count_open(connection: Connection, source: str) -> tuple[int, int, int]:
    """Return how many records of a source wait in the quarantine, how many changes are open, and how many alerts.

    At most `MOST_WAITING` records are counted: each load asks.
    """
    row = connection.execute(
        "SELECT (SELECT count(*) FROM (SELECT FROM etl.rejected WHERE source = %(source)s "
        "AND status IN ('open', 'parked') LIMIT %(most)s) r), "
        "(SELECT count(*) FROM etl.drift WHERE source = %(source)s AND status = 'open'), "
        "(SELECT count(*) FROM etl.alert WHERE source = %(source)s AND status = 'open')",
        {"source": source, "most": MOST_WAITING},
    ).fetchone()
    return row or (0, 0, 0)


@dataclass(frozen=True)
class DeliveryCounts:
    """The records and the rejected records of a delivery.

    Attributes:
        label: Label of the delivery: its partition, or the time at which it was fetched.
        records: Number of records as fetched.
        rejected: Number of records that were rejected until the delivery was complete or refused.
    """

    label: str
    records: int
    rejected: int

    @property
    def share(self) -> float:
        """The share of the records that were rejected; 0.0 when there are no records."""
        return self.rejected / self.records if self.records else 0.0


def recent_deliveries(connection: Connection, source: str, limit: int = 40) -> list[DeliveryCounts]:
    """Return the newest deliveries of a source that were loaded or refused, oldest first.

    Of each partition, only the newest delivery is returned.
    """
    rows = connection.execute(
        f"WITH RECURSIVE newest AS ({_NEWEST.format(others='true')} UNION ALL SELECT n.* FROM newest o CROSS JOIN "
        f"LATERAL {_NEWEST.format(others=_OTHERS)} n), picked AS (SELECT * FROM newest LIMIT %(limit)s) "
        "SELECT coalesce(nullif(d.partition, ''), to_char(d.fetched_at, 'YYYY-MM-DD HH24:MI')), d.records, "
        "(SELECT coalesce(sum(b.rejected), 0)::bigint FROM etl.batch b WHERE b.delivery_id = d.id "
        "AND b.generation = d.generation AND b.kind = 'ingest') FROM (SELECT DISTINCT ON (partition, "
        "CASE partition WHEN '' THEN id END) id FROM picked ORDER BY partition, CASE partition WHEN '' THEN id END, "
        f"id DESC) s JOIN etl.delivery d ON d.id = s.id ORDER BY {newest_first()}",
        {"source": source, "limit": limit},
    ).fetchall()
    return [DeliveryCounts(*row) for row in reversed(rows)]
