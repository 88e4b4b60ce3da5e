"""What something newer confirmed without changing it, read again from the landing store and the quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.ingest.batches import batches, quarantined
from etl_assets.landing import index
from etl_assets.load import SeenLater
from etl_assets.load.prepare import AFTER_ALL, SEEN_ORDER, SEEN_RECORD
from etl_assets.model.schema import RECORD_NO
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries, entries, quarantine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.landing import Warehouse
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Confirming
    from etl_assets.source import Source


def seen_later(source: Source, delivery: Delivery, warehouse: Warehouse, after_record: int | None = None) -> SeenLater:
    """Keys of rows that something newer confirmed without changing them.

    Such a row still carries the mark of an older delivery, so that the guard of the upsert cannot tell. What was seen
    later stands in the frozen bytes or in the quarantine, and is read again there. It costs nothing but where
    deliveries come out of order.

    Args:
        source: The declaration.
        delivery: About to be written.
        warehouse: Has the newer bytes.
        after_record: Records of the same delivery after this one count as newer; None when the delivery is read in
            its own order, as far as the ledger has no batch beyond one that is still to be read.
    """
    order = [pl.col(source.schema.order_by).alias(SEEN_ORDER)] if source.schema.order_by else []
    sightings: list[pl.DataFrame] = []
    with connected(warehouse.url) as connection:
        in_order = after_record is None and not entries.has_gaps(connection, delivery)
        bound = AFTER_ALL if in_order else after_record or 0
        lines = entries.confirming(connection, delivery, bound)
        for id_ in dict.fromkeys(line.delivery_id for line in lines):
            later = deliveries.by_id(connection, id_)
            record = pl.col(RECORD_NO) if id_ == delivery.id else pl.lit(AFTER_ALL, dtype=pl.Int64)
            if later is not None:
                seen = _seen(source, later, [line for line in lines if line.delivery_id == id_], warehouse, connection)
                sightings += [rows.select(*source.schema.key, *order, record.alias(SEEN_RECORD)) for rows in seen]
    newest_line = max((line.id for line in lines), default=0)
    if not sightings:
        return SeenLater(None, bound, newest_line)
    newest_last = [*(SEEN_ORDER for _ in order), SEEN_RECORD]
    keys = pl.concat(sightings).sort(newest_last).unique(source.schema.key, keep="last", maintain_order=True)
    return SeenLater(keys, bound, newest_line)


def _seen(
    source: Source, later: Delivery, lines: Sequence[Confirming], warehouse: Warehouse, connection: Connection
) -> Iterator[pl.DataFrame]:
    """The rows that some lines of the ledger account for, read again."""
    numbers = {line.number for line in lines if line.kind == "ingest"}
    if numbers:
        manifest = later.manifest
        if later.fingerprint != source.fingerprint:  # read anew under this declaration it may have other batches
            manifest = index(source.extractor, warehouse.store, manifest)
            numbers = {span.batch for span in manifest.spans}
        untaken = pl.Series(quarantine.untaken(connection, later), dtype=pl.Int64).implode()
        skip = frozenset(span.batch for span in manifest.spans if span.batch not in numbers)
        for batch in batches(source, manifest, warehouse.store, skip):
            yield batch.rows.filter(~pl.col(RECORD_NO).is_in(untaken))
    if any(line.kind == "replay" for line in lines):
        replayed = quarantine.find(connection, delivery_id=later.id, statuses=("replayed",))
        if replayed:
            yield quarantined(source, later, sorted(replayed, key=lambda record: record.record_no), 0).rows
