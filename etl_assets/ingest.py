"""The way of a batch, as one readable function over the stages; and the way of a delivery around it.

Knows neither Dagster nor SQL: it asks the stages, and ``postgres`` for what was delivered before.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from etl_assets import drift
from etl_assets.errors import ShapeError, TransformError
from etl_assets.extract.file import FileExtractor
from etl_assets.landing import batches as read_batches
from etl_assets.landing import index
from etl_assets.landing import land as freeze_and_index
from etl_assets.load import SeenLater, Target
from etl_assets.load.prepare import AFTER_ALL, SEEN_ORDER, SEEN_RECORD
from etl_assets.load.quarantined import QuarantinedBatch
from etl_assets.model.batch import Batch, BatchProfile
from etl_assets.model.schema import RECORD_NO
from etl_assets.postgres import deliveries, ledger, quarantine
from etl_assets.postgres.connection import connected
from etl_assets.postgres.faults import translating
from etl_assets.validate import RuleValidator, dtype, judge_rows, resolve, to_pandas
from etl_assets.validate.profile import profile_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from etl_assets.drift import Drift
    from etl_assets.landing import LandingStore
    from etl_assets.load import Loader, LoadReport
    from etl_assets.model.batch import RawBatch, Verdict
    from etl_assets.model.delivery import Delivery, Manifest
    from etl_assets.model.partitions import Partition
    from etl_assets.model.schema import Schema
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger import Confirming
    from etl_assets.postgres.quarantine import Rejected
    from etl_assets.source import Source
    from etl_assets.transform.transformer import Transformer
    from etl_assets.validate import Shape


@dataclass(frozen=True)
class Warehouse:
    """Where deliveries are kept and where they end.

    Attributes:
        url: ``postgresql://…`` of the database.
        store: Of the frozen bytes.
    """

    url: str = field(repr=False)
    store: LandingStore


@dataclass(frozen=True)
class Landed:
    """What a fetch brought.

    Attributes:
        delivery: The delivery, new or known.
        new: Whether its bytes differ from what the partition's newest delivery held.
        shape: How its columns meet the schema's.
        drift: How its columns differ from those of the delivery before it.
    """

    delivery: Delivery
    new: bool
    shape: Shape
    drift: Drift


def land(source: Source, partition: Partition, warehouse: Warehouse, file: str | None = None) -> Landed:
    """Fetch and freeze what the publisher has for a partition; hold its columns against those before and the schema.

    Args:
        source: The declaration.
        partition: The partition wanted.
        warehouse: Where the bytes are kept.
        file: Take this file, brought by hand, in the place of what the publisher has; it is a delivery like any other.

    Raises:
        DeliveryError: If there is nothing to take, or not whole. Nothing was written.
        ShapeError: If a required column is missing. The bytes are kept, the delivery is refused, no row was written.
        LoadError: If the database broke off. The bytes are kept, and are the same delivery when they come again.
    """
    extractor = source.extractor
    if file is not None:
        extractor = FileExtractor(location=file, format=extractor.format, member=extractor.member)
    store = warehouse.store
    manifest = freeze_and_index(extractor, partition, store)
    if file is not None:
        manifest = replace(manifest, validators={})  # the publisher did not say it
    with translating(f"entering a delivery of {source.name}"), connected(warehouse.url) as connection:
        delivery, new = deliveries.record(connection, source.name, partition, manifest)
        changed = drift.observe_landing(connection, source, delivery, partial(_first_records, source, manifest, store))
        try:
            shape = resolve(source.schema, manifest.names, str(delivery))
        except ShapeError as error:
            deliveries.refuse(connection, delivery, str(error))
            raise
    return Landed(delivery, new, shape, changed)


def _first_records(source: Source, manifest: Manifest, store: LandingStore) -> pl.DataFrame:
    """The well-formed records of a delivery's first batch, as published."""
    first = frozenset(span.batch for span in manifest.spans[:1])
    return next(iter(read_batches(source.extractor, store, manifest, first))).frame


def load(source: Source, delivery: Delivery, warehouse: Warehouse, loader: Loader) -> LoadReport:
    """Load what is missing of a delivery.

    Args:
        source: Its declaration.
        delivery: From `land`.
        warehouse: Where its bytes are.
        loader: Writes its batches.
    """
    if delivery.fingerprint not in {"", source.fingerprint}:
        delivery = replace(delivery, manifest=index(source.extractor, warehouse.store, delivery.manifest))
    target = Target(
        table=source.table,
        schema=source.schema,
        fingerprint=source.fingerprint,
        max_rejected=source.max_rejected,
        look_later=partial(seen_later, source, delivery, warehouse),
    )
    return loader.load(target, delivery, partial(profiled, source, delivery.manifest, warehouse.store))


def profiled(
    source: Source, manifest: Manifest, store: LandingStore, skip: frozenset[int] = frozenset()
) -> Iterator[Batch]:
    """The same as `batches`, each with what it held, for those who remember deliveries."""
    for batch in batches(source, manifest, store, skip):
        held = BatchProfile(profile_batch(source.schema, batch.rows), drift.batch_cells(source.schema, batch.raw))
        yield replace(batch, profile=held)


def batches(
    source: Source, manifest: Manifest, store: LandingStore, skip: frozenset[int] = frozenset()
) -> Iterator[Batch]:
    """The way of a batch: parse, conform and validate, transform.

    Args:
        source: The declaration.
        manifest: Of the delivery.
        store: Has its bytes.
        skip: Numbers of the batches not wanted.

    Yields:
        The batches, in order, ready for a loader.
    """
    validator = RuleValidator(source.schema)
    wanted = frozenset(span.batch for span in manifest.spans) - skip
    for raw in read_batches(source.extractor, store, manifest, wanted):
        yield transform(source, raw, validator.validate(raw))


def transform(source: Source, raw: RawBatch, verdict: Verdict) -> Batch:
    """Let the source's transformer, if it has one, make rows of the valid records of a batch."""
    if source.transformer is None or verdict.rows.is_empty():
        return Batch(raw, _with_all_columns(verdict.rows, source.schema), verdict.rejected)
    made = _made(source, source.transformer, verdict.rows, raw.span.batch)
    judged = judge_rows(source.schema, made)
    record_numbers = pl.Series(RECORD_NO, made.index.unique().to_numpy(), dtype=pl.Int64)
    if strange := len(set(record_numbers) - set(verdict.rows[RECORD_NO])):
        raise TransformError(
            f"The transformer of source {source.name!r} returned rows for {strange} record numbers that it was not "
            "given. Nothing of the batch was written. Keep the index that came in; reset_index() loses it."
        )
    return Batch(
        raw=raw,
        rows=judged.rows,
        rejected=pl.concat([verdict.rejected, judged.rejected]),
        filtered=verdict.rows.height - len(record_numbers),
    )


def _made(source: Source, transformer: Transformer, rows: pl.DataFrame, batch: int) -> pd.DataFrame:
    """What the source's own Python makes of a batch; its errors are told without what they say of the data."""
    try:
        return transformer.transform(to_pandas(rows))
    except Exception as error:  # noqa: BLE001 -- whatever a source's own Python raises; raised again
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise TransformError(
            f"The transformer of source {source.name!r} raised {type(error).__name__} in batch {batch}, at "
            f"{Path(place.filename).name}:{place.lineno}. Nothing of the batch was written. Correct it, and try it "
            f"with `etl-assets preview {source.name}`."
        ) from None


def quarantined(source: Source, delivery: Delivery, records: Sequence[Rejected], number: int) -> Batch:
    """Records of the quarantine as a batch ready for a loader: corrected, or as they came.

    Args:
        source: The declaration.
        delivery: They came in.
        records: In the order of their numbers; at least one.
        number: Of the batch.
    """
    raw = QuarantinedBatch(source.extractor.format, source.schema, delivery.manifest.names, records, number)
    return transform(source, raw, RuleValidator(source.schema).validate(raw))


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
        in_order = after_record is None and not ledger.has_gaps(connection, delivery)
        bound = AFTER_ALL if in_order else after_record or 0
        lines = ledger.confirming(connection, delivery, bound)
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


def _with_all_columns(rows: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Rows in the order of the schema; only an empty batch can lack derived columns."""
    if not schema.derived and not schema.inputs:
        return rows
    made = [pl.lit(None, dtype=dtype(column)).alias(column.name) for column in schema.derived]
    return rows.with_columns(made).select(*schema.names, RECORD_NO)
