"""The table ``etl.delivery``: the fetched deliveries, their order, and how far each is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from psycopg.types.json import Jsonb

from etl_assets.errors import LoadError
from etl_assets.model.delivery import Delivery, Manifest
from etl_assets.postgres.ledger import entries, quarantine
from etl_assets.postgres.ledger.order import newer as newer_than
from etl_assets.postgres.ledger.order import newest_first, older, oldest_first, order_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from etl_assets.model.partitions import Partition
    from etl_assets.postgres.connection import Connection

_COMPLETE: Final = "SELECT id FROM etl.delivery WHERE source = %(source)s AND status = 'complete' AND "
_STALE: Final = ("fingerprint < %(fingerprint)s", "fingerprint > %(fingerprint)s", "needs_reload")
"""Each is a search of an index."""
_COLUMNS: Final = "id, source, partition, rank, manifest, fetched_at, status, generation, fingerprint, needs_reload"

_HAS_STATE: Final = "status <> 'refused' AND coalesce(manifest -> 'state', '{}') <> '{}'"


def record(connection: Connection, source: str, partition: Partition, manifest: Manifest) -> tuple[Delivery, bool]:
    """Enter fetched bytes as a new delivery, unless the partition's newest delivery has the same bytes.

    Bytes that come back after other bytes were delivered are a new delivery: the publisher went back to them. When the
    bytes are the same, what the new fetch says of them replaces what the newest delivery has: validators, state, notes.
    Bytes from which records were redacted since are the same.

    Returns:
        The delivery, and whether it is new.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"delivery {source} {partition.key}",))
        last = newest(connection, source, partition.key)
        if last is not None and manifest.sha256 in {last.manifest.sha256, last.manifest.fetched_sha256}:
            return _update_facts(connection, last, manifest), False
        row = connection.execute(
            "INSERT INTO etl.delivery (source, partition, rank, sha256, size, records, manifest) "
            f"VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING {_COLUMNS}",
            (
                source,
                partition.key,
                partition.rank,
                manifest.sha256,
                manifest.size,
                manifest.records,
                Jsonb(manifest.to_json()),
            ),
        ).fetchone()
    return _delivery(row), True


@dataclass(frozen=True)
class LastFetch:
    """The last fetch of a partition.

    Attributes:
        delivery_id: Id of the delivery.
        complete: Whether all of it is loaded.
        validators: The publisher's validators; empty for a file that a person loaded by hand.
        state: Where the next fetch begins, and what it compares with; may be empty. See `last_state`.
    """

    delivery_id: int
    complete: bool
    validators: Mapping[str, str]
    state: Mapping[str, Any] = field(default_factory=dict)


def last_fetches(connection: Connection, source: str) -> dict[str, LastFetch]:
    """Return the last fetch of each partition, by its key; a fetch with validators takes precedence.

    The state is that of the newest delivery that has one; see `last_state`.
    """
    states: dict[str, dict[str, Any]] = dict(
        connection.execute(
            f"SELECT DISTINCT ON (partition) partition, manifest -> 'state' FROM etl.delivery WHERE source = %s "
            f"AND {_HAS_STATE} ORDER BY partition, id DESC",
            (source,),
        ).fetchall()
    )
    rows = connection.execute(
        "SELECT DISTINCT ON (partition) partition, id, status = 'complete', manifest -> 'validators' FROM etl.delivery "
        "WHERE source = %s ORDER BY partition, manifest -> 'validators' <> '{}' DESC, id DESC",
        (source,),
    ).fetchall()
    return {
        partition: LastFetch(id_, complete, validators, states.get(partition, {}))
        for partition, id_, complete, validators in rows
    }


def last_state(connection: Connection, source: str, partition: str) -> dict[str, Any] | None:
    """Return where the next fetch of a partition begins; None if it is of everything.

    It is where the newest delivery ended whose records are in the table, or will be. What a refused delivery brought is
    fetched again by the next fetch.
    """
    row = connection.execute(
        f"SELECT manifest -> 'state' FROM etl.delivery WHERE source = %s AND partition = %s AND {_HAS_STATE} "
        "ORDER BY id DESC LIMIT 1",
        (source, partition),
    ).fetchone()
    return row[0] if row else None


def newest(connection: Connection, source: str, partition: str) -> Delivery | None:
    """Return the newest delivery of a partition; None when there never was one."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM etl.delivery WHERE source = %s AND partition = %s ORDER BY id DESC LIMIT 1",
        (source, partition),
    ).fetchone()
    return _delivery(row) if row else None


def deliveries_to_load(connection: Connection, source: str, partition: str) -> list[Delivery]:
    """Return the deliveries that a run has to load, oldest first.

    Unfinished deliveries are loaded even if newer ones were fetched since: no other run loads their records. A refused
    delivery waits until it is the newest again or a user names its id.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM etl.delivery d WHERE id = ANY (ARRAY(SELECT id FROM etl.delivery WHERE "
        "source = %(source)s AND partition = %(partition)s AND status IN ('landed', 'loading') UNION (SELECT id "
        "FROM etl.delivery WHERE source = %(source)s AND partition = %(partition)s ORDER BY id DESC LIMIT 1))) "
        "ORDER BY id",
        {"source": source, "partition": partition},
    ).fetchall()
    return [_delivery(row) for row in rows]


def stale(connection: Connection, source: str, fingerprint: str) -> list[Delivery]:
    """Return the complete deliveries of a source that must be reloaded, newest first.

    They were read under another declaration, or may have other versions of rows that another delivery no longer yields,
    or has changed under another declaration.

    Args:
        connection: To the warehouse.
        source: Name of the source.
        fingerprint: Of the declaration.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM etl.delivery d WHERE id = ANY (ARRAY("
        f"{' UNION '.join(_COMPLETE + condition for condition in _STALE)})) ORDER BY {newest_first()}",
        {"source": source, "fingerprint": fingerprint},
    ).fetchall()
    return [_delivery(row) for row in rows]


def deliveries_to_conclude(connection: Connection, source: str, partition: str) -> list[Delivery]:
    """Return the complete deliveries of a partition that are not concluded, oldest first.

    A delivery is left unconcluded when its run ends after it loaded the last batch and before it merged the profiles.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM etl.delivery d WHERE source = %s AND partition = %s AND status = 'complete' "
        "AND id = ANY (ARRAY(SELECT DISTINCT delivery_id FROM etl.profile_part)) ORDER BY id",
        (source, partition),
    ).fetchall()
    return [_delivery(row) for row in rows]


def by_id(connection: Connection, delivery_id: int) -> Delivery | None:
    """Return the delivery of that id; None when there is none."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM etl.delivery WHERE id = %s", (delivery_id,)).fetchone()
    return _delivery(row) if row else None


def ranks(connection: Connection, source: str) -> list[tuple[str, str, str]]:
    """Return, of each delivery of a source, its description, the key of its partition and its rank."""
    rows = connection.execute(
        "SELECT id, partition, rank FROM etl.delivery WHERE source = %s ORDER BY id", (source,)
    ).fetchall()
    return [
        (f"delivery {id_} of {source}{partition and f' ({partition})'}", partition, rank)
        for id_, partition, rank in rows
    ]


def any_loaded(connection: Connection, source: str, fingerprint: str) -> bool:
    """Return whether a delivery of a source was read completely under a declaration."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM etl.delivery WHERE source = %s AND fingerprint = %s AND status = 'complete')",
        (source, fingerprint),
    ).fetchone()
    return bool(row and row[0])


def states(connection: Connection, source: str, fingerprint: str) -> dict[int, str]:
    """Return the deliveries of a source by their ids, each with what it lacks, as a clause; empty if it is up to date.

    Args:
        connection: To the warehouse.
        source: Name of the source.
        fingerprint: Of the declaration.
    """
    rows = connection.execute(
        "SELECT id, CASE WHEN status = 'landed' THEN 'is not loaded yet' WHEN status = 'loading' THEN 'is not loaded "
        "completely' WHEN status = 'refused' THEN 'was refused' WHEN fingerprint <> %(fingerprint)s THEN 'was read "
        "under another declaration' WHEN needs_reload THEN 'is to be reloaded' ELSE '' END FROM etl.delivery "
        "WHERE source = %(source)s ORDER BY id",
        {"source": source, "fingerprint": fingerprint},
    ).fetchall()
    return dict(rows)


def newer(connection: Connection, delivery: Delivery, *, same_partition: bool = False) -> list[int]:
    """Return the ids of newer deliveries of the source, the oldest first, whose rows this one must never overwrite.

    Args:
        connection: To the warehouse.
        delivery: The delivery to compare with.
        same_partition: Only of its own partition, for disjoint partitions: they have no key in common.
    """
    rows = connection.execute(
        f"SELECT id FROM etl.delivery d WHERE source = %(source)s AND {newer_than()} "
        f"AND (partition = %(partition)s OR NOT %(same_partition)s) ORDER BY {oldest_first()}",
        {**order_of(delivery), "same_partition": same_partition},
    ).fetchall()
    return [delivery_id for (delivery_id,) in rows]


def partitions_of_completed(connection: Connection, source: str) -> dict[int, str]:
    """Return, by their ids, the partitions of the deliveries of a source that `completed` returns."""
    rows = connection.execute(
        "SELECT DISTINCT d.id, d.partition FROM etl.delivery d JOIN etl.batch b ON b.delivery_id = d.id "
        "WHERE d.source = %s AND b.kind = 'completion'",
        (source,),
    ).fetchall()
    return dict(rows)


def completed(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Return those of some deliveries for which a write mode has entered that every batch was written."""
    if not ids:
        return []
    rows = connection.execute(
        "SELECT DISTINCT delivery_id FROM etl.batch WHERE delivery_id = ANY (%s) AND kind = 'completion' ORDER BY 1",
        (list(ids),),
    ).fetchall()
    return [delivery_id for (delivery_id,) in rows]


def begin(connection: Connection, delivery: Delivery, fingerprint: str, *, force: bool) -> Delivery:
    """Mark a delivery as ``loading``; begin a new generation if it is stale, or when forced.

    One whose rows were in a new table that was not put in place is read again from its start, as a new generation.

    Args:
        connection: Of a session that holds the lock of the partition.
        delivery: With the manifest that is valid under the declaration.
        fingerprint: Of the declaration.
        force: Whether to reload a delivery that is complete.

    Returns:
        The updated delivery; still ``complete`` when there is nothing to do.

    Raises:
        LoadError: If records were redacted from the delivery since it was looked up. Nothing was changed.
    """
    row = connection.execute(
        "UPDATE etl.delivery d SET refusal = NULL, fingerprint = %(new)s, manifest = %(manifest)s, "
        "records = %(records)s, needs_reload = false, status = CASE WHEN status = 'complete' "
        "AND fingerprint = %(new)s AND NOT needs_reload AND NOT %(force)s THEN 'complete' ELSE 'loading' END, "
        "generation = generation + CASE WHEN EXISTS (SELECT FROM etl.batch b WHERE b.delivery_id = d.id "
        "AND b.generation = d.generation AND b.kind = 'ingest' AND (d.fingerprint <> %(new)s OR d.needs_reload "
        f"OR %(force)s OR jsonb_exists(b.notes, '{entries.NOT_SWAPPED}'))) THEN 1 ELSE 0 END WHERE id = %(id)s "
        f"AND sha256 = %(sha256)s RETURNING {_COLUMNS}",
        {
            "new": fingerprint,
            "force": force,
            "id": delivery.id,
            "sha256": delivery.manifest.sha256,
            "manifest": Jsonb(delivery.manifest.to_json()),
            "records": delivery.manifest.records,
        },
    ).fetchone()
    if row is None:
        raise LoadError(
            f"Records of {delivery} were redacted while a run was about to load it. Nothing was written. Run it again."
        )
    return _delivery(row)


def begin_partial_reload(
    connection: Connection, delivery: Delivery, fingerprint: str, batches: Collection[int]
) -> Delivery | None:
    """Begin a new generation of a complete delivery, to reload only some of its batches.

    The ledger entries and the rejected records of the other batches move to the new generation.

    Args:
        connection: Of a session that holds the lock of the partition.
        delivery: The delivery.
        fingerprint: Of the declaration.
        batches: Numbers of the batches to reload.

    Returns:
        The updated delivery; None, with nothing changed, when it is not complete, or is stale.
    """
    with connection.transaction():
        row = connection.execute(
            "UPDATE etl.delivery SET status = 'loading', generation = generation + 1 "
            f"WHERE id = %s AND status = 'complete' AND fingerprint = %s AND NOT needs_reload RETURNING {_COLUMNS}",
            (delivery.id, fingerprint),
        ).fetchone()
        if row is None:
            return None
        begun = _delivery(row)
        entries.carry_over(connection, begun, batches)
        quarantine.carry_over(connection, begun)
    return begun


def complete(connection: Connection, delivery: Delivery) -> Delivery | None:
    """Mark a delivery complete if the ledger has all of its batches.

    The commit of this statement waits until it, and with it every earlier commit, is on disk.

    Returns:
        The updated delivery; None, with nothing changed, if the ledger lacks a batch.
    """
    connection.execute("SET synchronous_commit TO DEFAULT")
    row = connection.execute(
        "UPDATE etl.delivery d SET status = 'complete', completed_at = clock_timestamp() WHERE id = %(id)s "
        "AND (SELECT count(*) FROM etl.batch b WHERE b.delivery_id = d.id AND b.generation = %(generation)s "
        f"AND b.kind = 'ingest') = %(batches)s RETURNING {_COLUMNS}",
        {"id": delivery.id, "generation": delivery.generation, "batches": len(delivery.manifest.spans)},
    ).fetchone()
    return _delivery(row) if row else None


def need_reload(
    connection: Connection, delivery: Delivery, *, same_partition: bool, newer_too: bool, itself: bool
) -> None:
    """Mark the deliveries that may have other versions of rows which a delivery no longer yields; runs reload them.

    Args:
        connection: In the transaction that deletes the rows.
        delivery: The delivery that had the rows.
        same_partition: Only deliveries of its own partition, for disjoint partitions: they have no key in common.
        newer_too: Newer deliveries as well as older ones: an order column decides which version is the newer.
        itself: The delivery as well.
    """
    connection.execute(
        "UPDATE etl.delivery d SET needs_reload = true WHERE source = %(source)s "
        "AND status IN ('loading', 'complete') AND NOT needs_reload "
        "AND (partition = %(partition)s OR NOT %(same_partition)s) "
        f"AND (({older()}) OR (%(newer_too)s AND {newer_than()}) OR (%(itself)s AND id = %(id)s))",
        {**order_of(delivery), "same_partition": same_partition, "newer_too": newer_too, "itself": itself},
    )


def need_reload_of_those_read_otherwise(
    connection: Connection, delivery: Delivery, fingerprint: str, *, same_partition: bool
) -> None:
    """Mark the other deliveries of a source that were read under another declaration.

    Args:
        connection: In the transaction that changes rows of which they may have a version.
        delivery: The delivery that is written.
        fingerprint: Of the declaration under which it is read.
        same_partition: Only deliveries of its own partition, for disjoint partitions: they have no key in common.
    """
    connection.execute(
        "UPDATE etl.delivery d SET needs_reload = true WHERE source = %(source)s AND id <> %(id)s "
        "AND status IN ('loading', 'complete') AND NOT needs_reload AND fingerprint NOT IN ('', %(fingerprint)s) "
        "AND (partition = %(partition)s OR NOT %(same_partition)s)",
        {**order_of(delivery), "fingerprint": fingerprint, "same_partition": same_partition},
    )


def need_reload_if_loaded_otherwise(connection: Connection, delivery: Delivery, fingerprint: str) -> None:
    """Mark a delivery to be reloaded unless it was loaded under a declaration with this fingerprint."""
    connection.execute(
        "UPDATE etl.delivery SET needs_reload = true WHERE id = %s AND fingerprint <> %s AND NOT needs_reload",
        (delivery.id, fingerprint),
    )


def need_reload_of_those_written_since(connection: Connection, delivery: Delivery, *, same_partition: bool) -> None:
    """Mark the older deliveries to be reloaded that have ledger entries since the last completion of a delivery."""
    connection.execute(
        "UPDATE etl.delivery d SET needs_reload = true WHERE source = %(source)s AND NOT needs_reload "
        f"AND status IN ('loading', 'complete') AND {older()} "
        "AND (partition = %(partition)s OR NOT %(same_partition)s) AND EXISTS (SELECT FROM etl.batch b "
        "WHERE b.delivery_id = d.id AND b.id > (SELECT max(c.id) FROM etl.batch c "
        "WHERE c.delivery_id = %(id)s AND c.kind = 'completion'))",
        {**order_of(delivery), "same_partition": same_partition},
    )


def need_reload_of(connection: Connection, delivery: Delivery) -> None:
    """Mark a delivery to be reloaded."""
    connection.execute("UPDATE etl.delivery SET needs_reload = true WHERE id = %s AND NOT needs_reload", (delivery.id,))


def need_reload_of_some(connection: Connection, ids: Sequence[int]) -> None:
    """Mark those of some deliveries to be reloaded that are loaded."""
    connection.execute(
        "UPDATE etl.delivery SET needs_reload = true WHERE id = ANY (%s) AND status IN ('loading', 'complete') "
        "AND NOT needs_reload",
        (list(ids),),
    )


def refuse(connection: Connection, delivery: Delivery, why: str) -> None:
    """Mark a delivery as refused, with a reason that contains no record contents."""
    connection.execute("UPDATE etl.delivery SET status = 'refused', refusal = %s WHERE id = %s", (why, delivery.id))


def _update_facts(connection: Connection, delivery: Delivery, manifest: Manifest) -> Delivery:
    """Replace what is known of the bytes of a delivery by what the last fetch of the same bytes says of them.

    A fetch without validators, as that of a file that a person brings, leaves those that there are.
    """
    facts = {name: value for name in ("validators", "state", "notes") if (value := getattr(manifest, name))}
    if all(getattr(delivery.manifest, name) == value for name, value in facts.items()):
        return delivery
    facts["statistics"] = manifest.statistics
    connection.execute("UPDATE etl.delivery SET manifest = manifest || %s WHERE id = %s", (Jsonb(facts), delivery.id))
    return replace(delivery, manifest=replace(delivery.manifest, **facts))


def _delivery(row: tuple[Any, ...] | Sequence[Any] | None) -> Delivery:
    if row is None:
        raise LookupError("a delivery vanished from etl.delivery while it was being read")
    id_, source, partition, rank, manifest, *state = row
    return Delivery(id_, source, partition, rank, Manifest.from_json(manifest), *state)
