"""The ledger of a rebuild while it is built: copies of the deliveries, of their quarantine and of people's decisions.

`rebuild_merge` gives it to the source in the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.ledger.order import oldest_first
from etl_assets.postgres.ledger.rebuilt import OFFSET, rebuild_of

if TYPE_CHECKING:
    from typing import LiteralString

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection

_DECIDED: Final = "correction, correction_counts, reviewer, reviewed_at, note, replays"
"""What people decided about a record, and how often a replay read it."""
_COPIED: Final = f"location, raw, fields, rules, fingerprint, run_id, rejected_at, key, identity, {_DECIDED}"
_CLOSED_BY: Final = "(SELECT o.id FROM etl.delivery o WHERE o.id = l.closed_by + %(offset)s AND o.source = %(copy)s)"


@dataclass(frozen=True)
class RefusedCopy:
    """A delivery that the rebuild refuses.

    Attributes:
        id: Id of the delivery in the source.
        reason: Why, without contents of records.
        was_loaded: Whether the delivery is complete in the source, so that its rows would be lost.
    """

    id: int
    reason: str
    was_loaded: bool


def parameters(source: str) -> dict[str, str | int]:
    """Return the parameters of every statement over a source and its rebuild."""
    return {"source": source, "copy": rebuild_of(source), "offset": OFFSET}


def exists(connection: Connection, source: str) -> bool:
    """Return whether the ledger has a rebuild of a source."""
    row = connection.execute("SELECT EXISTS (SELECT FROM etl.delivery WHERE source = %s)", (rebuild_of(source),))
    return bool((row.fetchone() or (False,))[0])


def read_otherwise(connection: Connection, source: str, fingerprint: str) -> bool:
    """Return whether a delivery of the rebuild was read under another declaration than the one with a fingerprint."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM etl.delivery d WHERE source = %s AND fingerprint <> %s AND status <> 'landed')",
        (rebuild_of(source), fingerprint),
    ).fetchone()
    return bool(row and row[0])


def copy_deliveries(connection: Connection, source: str) -> None:
    """Copy the deliveries of a source that its rebuild does not have; refused ones are left out, as any run does.

    The first day that the table keeps is copied, too: what was dropped for its age does not come back.
    """
    connection.execute(
        "INSERT INTO etl.delivery (id, source, partition, rank, sha256, size, records, manifest, fetched_at, "
        "generation, fingerprint) OVERRIDING SYSTEM VALUE SELECT id + %(offset)s, %(copy)s, partition, rank, sha256, "
        "size, records, manifest, fetched_at, 1, fingerprint FROM etl.delivery l WHERE source = %(source)s "
        "AND status <> 'refused' AND NOT EXISTS (SELECT FROM etl.delivery c WHERE c.id = l.id + %(offset)s)",
        parameters(source),
    )
    connection.execute(
        "INSERT INTO etl.retention (source, column_name, keep, kept_from, child_tables, rows) SELECT DISTINCT ON (1) "
        "%(copy)s, column_name, keep, kept_from, 0, 0 FROM etl.retention l WHERE source = %(source)s "
        "AND kept_from > (SELECT coalesce(max(kept_from), '-infinity') FROM etl.retention WHERE source = %(copy)s) "
        "ORDER BY 1, kept_from DESC",
        parameters(source),
    )


def next_to_load(connection: Connection, source: str) -> Delivery | None:
    """Return the oldest copy that is not loaded; None if there is none."""
    row = connection.execute(
        "SELECT id FROM etl.delivery d WHERE source = %s AND status IN ('landed', 'loading') "
        f"ORDER BY {oldest_first()} LIMIT 1",
        (rebuild_of(source),),
    ).fetchone()
    return deliveries.by_id(connection, row[0]) if row else None


def begin_copy(connection: Connection, source: str, delivery: Delivery) -> Delivery:
    """Copy the quarantine of a delivery, unless the rebuild has begun to load it; return its copy.

    A copy with records in the quarantine is read like a reload: with corrections, and records that are rejected no
    longer are closed. The copied records belong to generation 0, which no batch has.
    """
    values = {**parameters(source), "id": delivery.id}
    with connection.transaction():
        begun = connection.execute("SELECT FROM etl.batch WHERE delivery_id = %(id)s LIMIT 1", values).fetchone()
        if begun is None:
            connection.execute("DELETE FROM etl.rejected WHERE delivery_id = %(id)s", values)
            copied = connection.execute(
                f"INSERT INTO etl.rejected (delivery_id, record_no, generation, source, partition, status, closed_by, "
                f"{_COPIED}) SELECT %(id)s, record_no, 0, %(copy)s, partition, status, {_CLOSED_BY}, {_COPIED} "
                "FROM etl.rejected l WHERE delivery_id = %(id)s - %(offset)s",
                values,
            ).rowcount
            connection.execute(
                "UPDATE etl.delivery SET generation = %s WHERE id = %s", (2 if copied else 1, delivery.id)
            )
    return deliveries.by_id(connection, delivery.id) or delivery


def copy_decisions(connection: Connection, source: str) -> int:
    """Copy what people decided since the deliveries were copied; the rebuild then reads these deliveries again.

    Returns:
        How many records were decided otherwise.
    """
    values = parameters(source)
    with connection.transaction():
        changed = connection.execute(
            f"WITH later AS ({_later()}) UPDATE etl.rejected r SET ({_DECIDED}) = (SELECT {_of('l')} FROM etl.rejected "
            "l WHERE l.id = later.id), status = CASE WHEN later.status IN ('replayed', 'dismissed') THEN later.status "
            "WHEN r.status IN ('replayed', 'dismissed') THEN 'open' ELSE r.status END FROM later "
            "WHERE r.id = later.known RETURNING r.delivery_id",
            values,
        ).fetchall()
        changed += connection.execute(
            f"WITH later AS ({_later()}) INSERT INTO etl.rejected (delivery_id, record_no, generation, source, "
            f"partition, status, closed_by, {_COPIED}) SELECT l.delivery_id + %(offset)s, l.record_no, 0, %(copy)s, "
            f"l.partition, l.status, {_CLOSED_BY}, {_of('l', _COPIED)} FROM later JOIN etl.rejected l USING (id) "
            "WHERE later.known IS NULL RETURNING delivery_id",
            values,
        ).fetchall()
        connection.execute(
            "UPDATE etl.delivery SET needs_reload = true WHERE id = ANY (%s) AND NOT needs_reload",
            ([id_ for (id_,) in changed],),
        )
    return len(changed)


def behind(connection: Connection, source: str, fingerprint: str) -> bool:
    """Return whether the source has something that its rebuild lacks: rows of a delivery, or a decision."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM etl.delivery l WHERE source = %(source)s AND status <> 'refused' "
        "AND EXISTS (SELECT FROM etl.batch b WHERE b.delivery_id = l.id) AND NOT EXISTS (SELECT FROM etl.delivery c "
        "WHERE c.id = l.id + %(offset)s)) OR EXISTS (SELECT FROM etl.delivery c WHERE source = %(copy)s "
        "AND (status IN ('landed', 'loading') OR (status = 'complete' AND (needs_reload "
        f"OR fingerprint <> %(fingerprint)s)))) OR EXISTS ({_later()})",
        {**parameters(source), "fingerprint": fingerprint},
    ).fetchone()
    return bool(row and row[0])


def refused_copies(connection: Connection, source: str) -> list[RefusedCopy]:
    """Return the deliveries that the rebuild refuses, by their ids."""
    rows = connection.execute(
        "SELECT l.id, coalesce(c.refusal, ''), l.status = 'complete' FROM etl.delivery c "
        "JOIN etl.delivery l ON l.id = c.id - %(offset)s WHERE c.source = %(copy)s AND c.status = 'refused' ORDER BY 1",
        parameters(source),
    ).fetchall()
    return [RefusedCopy(*row) for row in rows]


def progress(connection: Connection, source: str) -> tuple[int, int]:
    """Return how many copies are loaded or refused, and how many there are."""
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE status IN ('complete', 'refused')), count(*) FROM etl.delivery "
        "WHERE source = %s",
        (rebuild_of(source),),
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def partitions(connection: Connection, source: str) -> list[str]:
    """Return the partitions that a source or its rebuild has deliveries of."""
    rows = connection.execute(
        "SELECT DISTINCT partition FROM etl.delivery WHERE source = %(source)s ORDER BY 1", parameters(source)
    ).fetchall()
    return [partition for (partition,) in rows]


def forget(connection: Connection, source: str) -> None:
    """Delete the ledger of a rebuild; in a transaction."""
    copies: LiteralString = "(SELECT id FROM etl.delivery WHERE source = %(copy)s)"
    for statement in (
        f"DELETE FROM etl.deletion WHERE deleted_by IN {copies}",
        f"DELETE FROM etl.profile_part WHERE delivery_id IN {copies}",
        "DELETE FROM etl.rejected WHERE source = %(copy)s",
        f"DELETE FROM etl.batch WHERE delivery_id IN {copies}",
        "DELETE FROM etl.delivery WHERE source = %(copy)s",
        "DELETE FROM etl.row_count WHERE source = %(copy)s",
        "DELETE FROM etl.disjoint_partitions WHERE source = %(copy)s",
        "DELETE FROM etl.retention WHERE source = %(copy)s",
        "DELETE FROM etl.fence WHERE source = %(copy)s",
    ):
        connection.execute(statement, parameters(source))


def _of(table: LiteralString, names: LiteralString = _DECIDED) -> LiteralString:
    """Return names of columns, each with that of a table."""
    return ", ".join(f"{table}.{name}" for name in names.split(", "))


def _later() -> LiteralString:
    """Return a query for the records whose decision the rebuild does not know, among deliveries that it has begun."""
    return (
        "SELECT l.id, l.status, r.id AS known FROM etl.rejected l "
        "JOIN etl.delivery c ON c.id = l.delivery_id + %(offset)s AND c.source = %(copy)s "
        "LEFT JOIN etl.rejected r ON r.delivery_id = c.id AND r.record_no = l.record_no "
        "WHERE l.source = %(source)s AND EXISTS (SELECT FROM etl.batch b WHERE b.delivery_id = c.id) "
        f"AND CASE WHEN r.id IS NULL THEN l.correction_counts ELSE ({_of('l')}) IS DISTINCT FROM ({_of('r')}) END"
    )


def count_parked(connection: Connection, source: str) -> int:
    """Return how many records of a rebuild lack only a parent."""
    row = connection.execute(
        "SELECT count(*) FROM etl.rejected WHERE source = %s AND status = 'parked'", (rebuild_of(source),)
    ).fetchone()
    return int(row[0]) if row else 0


def read_parked_again(connection: Connection, source: str) -> None:
    """Mark the deliveries of a rebuild whose records lack only a parent: it may have come since."""
    connection.execute(
        "UPDATE etl.delivery SET needs_reload = true WHERE status = 'complete' AND id IN (SELECT delivery_id "
        "FROM etl.rejected WHERE source = %s AND status = 'parked')",
        (rebuild_of(source),),
    )
