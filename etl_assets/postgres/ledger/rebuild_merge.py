"""Gives the ledger of a rebuild to its source, in the transaction that puts the table in place.

Each delivery begins a further generation, as a reload does. What was entered before stays in the ledger; one entry
counts the rows of the old table as deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.model.counts import Counts
from etl_assets.postgres.ledger import deliveries, entries, locks
from etl_assets.postgres.ledger.entries import STORED, Entry
from etl_assets.postgres.ledger.locks import Holder
from etl_assets.postgres.ledger.rebuilding import parameters

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

_PAIR: Final = "etl.delivery c JOIN etl.delivery l ON l.id = c.id - %(offset)s"
_READ: Final = "status, rules, location, raw, fields, fingerprint, run_id, key, identity"
"""What a reading of a record says of it."""
_STEPS: Final = (
    (
        "DELETE FROM etl.profile_part p USING etl.delivery c WHERE c.source = %(copy)s "
        "AND p.delivery_id = c.id - %(offset)s"
    ),
    (
        "UPDATE etl.profile_part p SET delivery_id = l.id, generation = p.generation + l.generation "
        f"FROM {_PAIR} WHERE c.source = %(copy)s AND p.delivery_id = c.id"
    ),
    (
        "UPDATE etl.batch b SET delivery_id = l.id, generation = b.generation + l.generation "
        f"FROM {_PAIR} WHERE c.source = %(copy)s AND b.delivery_id = c.id"
    ),
    # records that are rejected no longer
    (
        "UPDATE etl.rejected o SET status = 'superseded' FROM etl.delivery c WHERE c.source = %(copy)s "
        "AND o.delivery_id = c.id - %(offset)s AND o.status NOT IN ('replayed', 'superseded') AND NOT EXISTS "
        "(SELECT FROM etl.rejected r WHERE r.delivery_id = c.id AND r.record_no = o.record_no)"
    ),
    (
        "UPDATE etl.rejected o SET "
        f"({_READ}) = ROW ({', '.join(f'r.{name}' for name in _READ.split(', '))}), "
        "closed_by = r.closed_by - %(offset)s, "
        "generation = CASE r.generation WHEN 0 THEN o.generation ELSE r.generation + l.generation END "
        f"FROM {_PAIR} JOIN etl.rejected r ON r.delivery_id = c.id WHERE c.source = %(copy)s "
        "AND o.delivery_id = l.id AND o.record_no = r.record_no"
    ),
    (
        "DELETE FROM etl.rejected r USING etl.rejected o WHERE r.source = %(copy)s "
        "AND o.delivery_id = r.delivery_id - %(offset)s AND o.record_no = r.record_no"
    ),
    (
        "UPDATE etl.rejected r SET delivery_id = l.id, source = %(source)s, closed_by = r.closed_by - %(offset)s, "
        f"generation = r.generation + l.generation FROM {_PAIR} WHERE c.source = %(copy)s AND r.delivery_id = c.id"
    ),
    # the same deletion keeps its time
    (
        "UPDATE etl.deletion n SET deleted_at = o.deleted_at FROM etl.deletion o WHERE n.source = %(copy)s "
        "AND o.deleted_by = n.deleted_by - %(offset)s AND o.key = n.key"
    ),
    "DELETE FROM etl.deletion o USING etl.delivery c WHERE c.source = %(copy)s AND o.deleted_by = c.id - %(offset)s",
    (
        "UPDATE etl.deletion SET source = %(source)s, deleted_by = deleted_by - %(offset)s, "
        "delivery_id = delivery_id - %(offset)s WHERE source = %(copy)s"
    ),
    (
        "UPDATE etl.delivery l SET status = c.status, generation = l.generation + c.generation, "
        "fingerprint = c.fingerprint, records = c.records, completed_at = c.completed_at, refusal = c.refusal, "
        "valid_from = c.valid_from, "
        "needs_reload = false, manifest = c.manifest || (SELECT coalesce(jsonb_object_agg(name, fact), '{}') "
        "FROM jsonb_each(l.manifest) m (name, fact) WHERE name IN ('validators', 'state', 'notes', 'statistics')) "
        "FROM etl.delivery c WHERE c.source = %(copy)s AND l.id = c.id - %(offset)s"
    ),
    # what the old table had of others is gone: refused deliveries that were written in part
    (
        "UPDATE etl.delivery l SET needs_reload = true WHERE source = %(source)s AND NOT EXISTS (SELECT FROM "
        "etl.delivery c WHERE c.id = l.id + %(offset)s) AND EXISTS (SELECT FROM etl.batch b WHERE b.delivery_id = l.id)"
    ),
    "UPDATE etl.retention SET source = %(source)s WHERE source = %(copy)s",
    "DELETE FROM etl.disjoint_partitions WHERE source = %(source)s",
    "UPDATE etl.disjoint_partitions SET source = %(source)s WHERE source = %(copy)s",
    "DELETE FROM etl.delivery WHERE source = %(copy)s",
    "DELETE FROM etl.row_count WHERE source = %(copy)s",
    "DELETE FROM etl.fence WHERE source = %(copy)s",
)


def fence_off(connection: Connection, source: str, run_id: str) -> None:
    """Take over every partition of a source, after running batches and before all others; then lock the writes."""
    connection.execute(
        "INSERT INTO etl.fence AS f (source, partition, epoch, run_id) SELECT %(source)s, partition, max(epoch), "
        "%(run)s FROM etl.fence WHERE source IN (%(source)s, %(copy)s) GROUP BY partition ORDER BY partition "
        "ON CONFLICT (source, partition) DO UPDATE SET epoch = greatest(f.epoch, excluded.epoch) + 1, "
        "run_id = excluded.run_id, taken_at = clock_timestamp()",
        {**parameters(source), "run": run_id},
    )
    locks.lock_writes(connection, source)


def merge(connection: Connection, source: str, run_id: str, hash_seed: int) -> None:
    """Give the ledger, the quarantine and the deliveries of a rebuild to its source.

    Args:
        connection: In the transaction that puts the table in place, after `fence_off`.
        source: Name of the source.
        run_id: Of the run that swaps.
        hash_seed: Of the row hashes.
    """
    values = parameters(source)
    newest = connection.execute(
        "SELECT max(id) - %(offset)s FROM etl.delivery WHERE source = %(copy)s", values
    ).fetchone()
    rows = _stored(connection, str(values["copy"]))
    for step in _STEPS:
        connection.execute(step, values)
    delivery = deliveries.by_id(connection, newest[0]) if newest and newest[0] is not None else None
    if delivery is None:
        return
    row = connection.execute(
        "SELECT epoch FROM etl.fence WHERE source = %s AND partition = %s", (source, delivery.partition)
    ).fetchone()
    holder = Holder(source, delivery.partition, run_id, row[0] if row else 0)
    number = entries.next_number(connection, delivery, "rebuild")
    entry = Entry(number, 0, 0, Counts(deleted=_stored(connection, source) - rows), {})
    entries.enter(connection, delivery, holder, entry, kind="rebuild", hash_seed=hash_seed)


def _stored(connection: Connection, source: str) -> int:
    """Return how many rows of the table of a source the ledger has."""
    row = connection.execute(f"SELECT e.inserted - e.deleted FROM {STORED} e", {"sources": [source]}).fetchone()
    return int(row[0]) if row else 0
