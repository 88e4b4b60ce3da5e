"""Reads again, from the bytes or the quarantine, the rows that newer ledger entries confirmed without changing them.

This is needed only if rows are written out of order and would change rows of the table; see `load.confirmed`.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import polars as pl

from etl_assets.ingest.batch import batches, corrected_records, quarantined_batch
from etl_assets.landing import index
from etl_assets.postgres.ledger import deliveries, quarantine, replays
from etl_assets.schema import DELIVERY_ID, RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.landing import LandingStore
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Confirmation
    from etl_assets.source import Source


def read_confirmed(
    source: Source,
    store: LandingStore,
    connection: Connection,
    confirmations: Sequence[Confirmation],
    number: int,
) -> Iterator[pl.DataFrame]:
    """Read the rows that ledger entries confirmed, a batch at a time.

    The newest delivery comes first. Of each delivery, the batches with about the same number as the current one come
    first: records that are published again usually come in the same order. The caller stops when it has found enough.

    Args:
        source: The declaration.
        store: Has the bytes.
        connection: In the caller's transaction. It is kept from timing out while bytes are read.
        confirmations: The entries, oldest delivery first.
        number: Of the current batch.

    Yields:
        Columns of the schema, ``RECORD_NO`` and ``DELIVERY_ID``.
    """
    for delivery_id in dict.fromkeys(entry.delivery_id for entry in reversed(confirmations)):
        later = deliveries.by_id(connection, delivery_id)
        if later is None:
            continue
        entries = [entry for entry in confirmations if entry.delivery_id == delivery_id]
        for rows in _rows_confirmed_by(source, later, store, connection, entries, number):
            connection.execute("SELECT")
            yield rows.with_columns(pl.lit(delivery_id, dtype=pl.Int64).alias(DELIVERY_ID))


def _rows_confirmed_by(
    source: Source,
    later: Delivery,
    store: LandingStore,
    connection: Connection,
    entries: Sequence[Confirmation],
    number: int,
) -> Iterator[pl.DataFrame]:
    """Read the rows that ledger entries of one delivery confirmed."""
    if any(entry.kind == "replay" for entry in entries):
        for page in replays.pages(connection, later.id, ("replayed",), last_first=True):
            yield quarantined_batch(source, later, replays.read(connection, page), 0).rows
    manifest, wanted = later.manifest, {entry.number for entry in entries if entry.kind == "ingest"}
    if wanted and later.fingerprint != source.fingerprint:  # the current declaration may cut other batches
        manifest = index(source.extractor.of_partition(later.partition), store, manifest)
        wanted = {span.batch for span in manifest.spans}
    near = wanted & {number - 1, number, number + 1}
    rejected = pl.Series(quarantine.rejected_record_numbers(connection, later), dtype=pl.Int64).implode()
    corrected = corrected_records(later, lambda: nullcontext(connection))
    everything = frozenset(span.batch for span in manifest.spans)
    for chosen in filter(None, (near, wanted - near)):
        for batch in batches(source, later.partition, manifest, store, everything - chosen, corrected):
            yield batch.rows.filter(~pl.col(RECORD_NO).is_in(rejected))
