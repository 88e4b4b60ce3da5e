"""Removes records that were found: writes the frozen bytes without them, empties what the database has of them.

The bytes of a delivery are replaced in one transaction with what the database forgets. What follows can be done again
at any time: the old bytes are removed, and the delivery is reloaded, which deletes the rows.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from etl_assets import ingest, landing, watch
from etl_assets.errors import RedactionError
from etl_assets.extract.base import Fetched
from etl_assets.landing import redacted
from etl_assets.load import PostgresLoader
from etl_assets.load.partition_lock import PartitionLock
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.faults import translating
from etl_assets.postgres.ledger import deliveries, locks, rebuilding, redactions
from etl_assets.postgres.tables import ddl

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.landing import Warehouse
    from etl_assets.model.delivery import Manifest
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.redactions import Decision
    from etl_assets.redact.finding import Found
    from etl_assets.source import Source


@dataclass(frozen=True)
class Finished:
    """What was done after the bytes of deliveries were replaced.

    Attributes:
        removed: How many files the landing store lost.
        reloaded: Ids of the deliveries that were reloaded.
        partitions: The partitions of these, by their keys.
        shared_with: Other sources, which have the same bytes with the records: they are to be redacted as well.
        rows_left: How many rows of the table have the values that were looked for; None if that is not known.
    """

    removed: int
    reloaded: tuple[int, ...]
    partitions: tuple[str, ...]
    shared_with: tuple[str, ...]
    rows_left: int | None


def redact(source: Source, warehouse: Warehouse, found: Sequence[Found], decision: Decision, run_id: str) -> None:
    """Replace the frozen bytes of deliveries by bytes without some records, and empty what the database has of them.

    Each delivery is done in one transaction. `finish` must follow.

    Args:
        source: The declaration.
        warehouse: Has the deliveries.
        found: From `finding.find`.
        decision: Whose it is, and why.
        run_id: Of the run that removes them.

    Raises:
        RedactionError: If the source is being rebuilt, another loader writes it, or a delivery has other bytes by now.
        BusyError: If a run is loading a partition.
        LoadError: If the database refuses a statement. Deliveries that were done stay so; call it again.
    """
    if not isinstance(source.loader, PostgresLoader):
        raise RedactionError(
            f"Source {source.name!r} is written by a loader of its own, which does not delete rows. Nothing was "
            "changed."
        )
    if in_session(warehouse.url, partial(rebuilding.exists, source=source.name)):
        raise RedactionError(
            f"Another table of {source.name} is being built, from copies of its deliveries. Nothing was changed. Put "
            f"it in place or drop it first: etl-assets rebuild {source.name} --drop"
        )
    for one in found:
        if one.numbers:
            _redact_delivery(source, warehouse, one, decision, run_id)


def finish(source: Source, warehouse: Warehouse, run_id: str, values: pl.DataFrame | None = None) -> Finished:
    """Remove frozen bytes that had redacted records, and reload the deliveries that had them; safe to call again.

    Args:
        source: The declaration.
        warehouse: Has the bytes and the table.
        run_id: Of the run that removes them.
        values: From `finding.typed_values`; rows of the table that have them are counted at last.

    Raises:
        EtlAssetsError: Any error of `ingest.load`. What was removed stays so; the rows of the delivery stay, too.
    """
    digests = in_session(warehouse.url, partial(redactions.to_remove, source=source.name))
    removed = sum(warehouse.store.remove(sha256) for sha256 in digests)
    reloaded: dict[int, str] = {}
    while waiting := in_session(warehouse.url, partial(redactions.to_reload, source=source.name)):
        id_ = waiting[0]
        if id_ in reloaded:  # another delivery asked for it again: the next run of the source does it
            break
        delivery = in_session(warehouse.url, partial(deliveries.by_id, delivery_id=id_))
        if delivery is None:
            break
        report = ingest.load(source, delivery, warehouse, run_id)
        in_session(warehouse.url, partial(watch.conclude, source=source, delivery=report.delivery))
        reloaded[id_] = delivery.partition
    others = in_session(warehouse.url, partial(redactions.others_with, source=source.name))
    left = None if values is None else _rows_left(source, warehouse, values)
    return Finished(removed, tuple(reloaded), tuple(dict.fromkeys(reloaded.values())), tuple(others), left)


def _redact_delivery(source: Source, warehouse: Warehouse, found: Found, decision: Decision, run_id: str) -> None:
    delivery = found.delivery
    lock = PartitionLock(warehouse.url, source.name, delivery.partition, run_id)
    try:
        manifest = _frozen_without(source, warehouse, found)
        with translating(f"redacting records of {delivery}"), lock.connection.transaction():
            locks.fence(lock.connection, lock.holder)
            locks.lock_writes(lock.connection, source.name)
            done = redactions.redact(
                lock.connection,
                delivery,
                manifest,
                found.numbers,
                decision,
                all_rejected=delivery.fingerprint not in {"", source.fingerprint},
            )
            redactions.forget_texts(lock.connection, source.name, found.texts)
    finally:
        lock.release()
    if not done:
        raise RedactionError(
            f"Records of {delivery} were redacted by another process meanwhile. Nothing of it was changed by this one. "
            "Run it again."
        )


def _frozen_without(source: Source, warehouse: Warehouse, found: Found) -> Manifest:
    """Freeze the bytes of a delivery without the records that were found; return the manifest of these bytes."""
    before, store = found.manifest, warehouse.store
    numbers = {*before.redacted, *found.numbers}
    extractor = source.extractor.of_partition(found.delivery.partition)
    with tempfile.TemporaryFile() as file:
        redacted.write(landing.batches(extractor, store, before), numbers, cast("BinaryIO", file))
        file.seek(0)
        digests = store.freeze(Fetched(cast("BinaryIO", file), before.name, before.origin))
    manifest = replace(
        before,
        sha256=digests.sha256,
        size=digests.size,
        blocks=digests.blocks,
        redacted=tuple(sorted(numbers)),
        fetched_sha256=before.fetched_sha256 or before.sha256,
    )
    store.put_manifest(manifest)
    return manifest


def _rows_left(source: Source, warehouse: Warehouse, values: pl.DataFrame) -> int | None:
    """Return how many rows of the table have some values; None if a transformer may have changed them."""
    if source.transformer is not None or not set(values.columns) <= set(source.row_schema.names):
        return None
    rows = values.to_dicts()

    def count(connection: Connection) -> int:
        if not ddl.exists(connection, source.stored_table):
            return 0
        return redactions.count_rows(connection, source.stored_table, rows)

    return in_session(warehouse.url, count)
