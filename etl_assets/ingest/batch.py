"""Makes batches: parses, conforms and validates, and transforms records of the landing store or of the quarantine.

Contains neither Dagster nor SQL.
"""

from __future__ import annotations

import inspect
from bisect import bisect_left, bisect_right
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from etl_assets import landing
from etl_assets.errors import TransformError, raised_at
from etl_assets.ingest.corrected_batch import CorrectedBatch
from etl_assets.ingest.quarantined_batch import QuarantinedBatch
from etl_assets.ingest.repeated_keys import decided
from etl_assets.model.batch import Batch
from etl_assets.model.rule import UNTERMINATED
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import decisions
from etl_assets.schema import RECORD_NO
from etl_assets.schema.pandas_frames import to_pandas
from etl_assets.validate import validate_rows
from etl_assets.watch import batch_profile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import pandas as pd

    from etl_assets.landing import LandingStore, Warehouse
    from etl_assets.model.batch import RawBatch, Verdict
    from etl_assets.model.delivery import Delivery, Manifest, Span
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.schema import Schema
    from etl_assets.source import Source
    from etl_assets.transform.transformer import Transformer


ReadCorrected: TypeAlias = "Callable[[Span], Sequence[Rejected]]"
"""Returns the records of a batch that are read as people corrected them, by their number."""


def corrected_records(delivery: Delivery, connect: Callable[[], AbstractContextManager[Connection]]) -> ReadCorrected:
    """Return a function that reads the corrected records of one batch at a time, and only if the batch has some.

    Args:
        delivery: The delivery.
        connect: Opens a connection to the warehouse for a block.
    """
    with connect() as connection:
        numbers = decisions.corrected_record_numbers(connection, delivery)

    def read(span: Span) -> Sequence[Rejected]:
        if bisect_left(numbers, span.first_record) == bisect_right(numbers, span.last_record):
            return ()
        with connect() as connection:
            return decisions.corrected(connection, delivery, span.first_record, span.last_record)

    return read


def _none_corrected(_: Span) -> Sequence[Rejected]:
    return ()


def profiled_batches(
    source: Source, delivery: Delivery, warehouse: Warehouse, skip: frozenset[int] = frozenset()
) -> Iterator[Batch]:
    """Yield the batches of a delivery as `load` writes them, each with its part of the delivery's profile.

    Args:
        source: The declaration.
        delivery: The delivery.
        warehouse: Has its bytes, and its corrections if it was read before.
        skip: Numbers of the batches to leave out.
    """
    read_before = bool(delivery.fingerprint)
    corrected = corrected_records(delivery, partial(connected, warehouse.url)) if read_before else _none_corrected
    number = len(delivery.manifest.spans)
    for batch in batches(source, delivery.partition, delivery.manifest, warehouse.store, skip, corrected):
        yield replace(batch, profile=batch_profile(source.schema, batch.raw, batch.rows, number))


def batches(
    source: Source,
    partition: str,
    manifest: Manifest,
    store: LandingStore,
    skip: frozenset[int] = frozenset(),
    corrected: ReadCorrected = _none_corrected,
) -> Iterator[Batch]:
    """Read the batches of a delivery: parse, conform and validate, transform.

    Args:
        source: The declaration.
        partition: Key of the delivery's partition.
        manifest: Of the delivery.
        store: Has its bytes.
        skip: Numbers of the batches to leave out.
        corrected: Returns the records of a batch to read as people corrected them.

    Yields:
        The batches, in order, ready for a loader.
    """
    every = frozenset(span.batch for span in manifest.spans)

    def read(wanted: frozenset[int]) -> Iterator[Batch]:
        return _undecided_batches(source, partition, manifest, store, wanted, corrected)

    yield from decided(source.row_schema, partial(read, every), read(every - skip), several=len(every) > 1)


def _undecided_batches(
    source: Source,
    partition: str,
    manifest: Manifest,
    store: LandingStore,
    wanted: frozenset[int],
    corrected: ReadCorrected,
) -> Iterator[Batch]:
    """Read batches by their numbers, with all rows of records that have the same key."""
    for raw in landing.batches(source.extractor.of_partition(partition), store, manifest, wanted):
        records = corrected(raw.span)
        effective = _with_corrections(source, partition, manifest, raw, records) if records else raw
        batch = transform(source, partition, effective, _verdict(source, effective, records))
        yield replace(
            batch,
            filtered=batch.filtered + raw.redacted,
            corrections={record.record_no: record.correction or {} for record in records},
        )


def _with_corrections(
    source: Source, partition: str, manifest: Manifest, raw: RawBatch, records: Sequence[Rejected]
) -> RawBatch:
    """Return the batch with corrected records, except those whose number now belongs to other bytes."""
    same = [record for record in records if raw.raw(record.record_no) == record.raw]
    if not same:
        return raw
    format_ = source.extractor.of_partition(partition).frozen_format
    corrected = QuarantinedBatch(format_, source.schema, manifest, same, raw.span.batch)
    return CorrectedBatch(raw, corrected, [record.record_no for record in same])


def _verdict(source: Source, raw: RawBatch, corrected: Sequence[Rejected]) -> Verdict:
    """Validate a batch; reject a last record that may have been cut, unless a person confirmed or corrected it."""
    verdict = source.validator.validate(raw, source.schema)
    record_no = raw.unterminated
    if record_no is None or raw.on_unterminated != "reject":
        return verdict
    if any(record.record_no == record_no for record in corrected):
        return verdict
    return verdict.without_record(UNTERMINATED, record_no)


def quarantined_batch(source: Source, delivery: Delivery, records: Sequence[Rejected], number: int) -> Batch:
    """Make a batch, ready for a loader, from records of the quarantine: corrected, or as they came.

    Args:
        source: The declaration.
        delivery: The delivery that they came in.
        records: In the order of their numbers; at least one.
        number: Of the batch.
    """
    format_ = source.extractor.of_partition(delivery.partition).frozen_format
    raw = QuarantinedBatch(format_, source.schema, delivery.manifest, records, number)
    return transform(source, delivery.partition, raw, source.validator.validate(raw, source.schema))


def transform(source: Source, partition: str, raw: RawBatch, verdict: Verdict) -> Batch:
    """Transform the valid records of a batch, if the source has a transformer; reject records of other partitions."""
    batch = _transformed_batch(source, raw, verdict)
    if raw.unterminated is not None and raw.on_unterminated == "report":
        batch = replace(batch, reported={UNTERMINATED: [raw.unterminated]})
    return batch if source.partition_rule is None else source.partition_rule.reject_outside(partition, batch)


def _transformed_batch(source: Source, raw: RawBatch, verdict: Verdict) -> Batch:
    if source.transformer is None or verdict.rows.is_empty():
        return Batch(raw, _with_all_columns(verdict.rows, source.schema), verdict.rejected)
    transformed = _call_transformer(source, source.transformer, verdict.rows, raw.span.batch)
    validated = validate_rows(source.schema, transformed)
    record_numbers = pl.Series(RECORD_NO, transformed.index.unique().to_numpy(), dtype=pl.Int64)
    if unknown := len(set(record_numbers) - set(verdict.rows[RECORD_NO])):
        raise TransformError(
            f"The transformer of source {source.name!r} returned rows for {unknown} record numbers that were not in "
            "its input. Nothing of the batch was written. Keep the index of the input; reset_index() loses it."
        )
    return Batch(
        raw=raw,
        rows=validated.rows,
        rejected=pl.concat([verdict.rejected, validated.rejected]),
        filtered=verdict.rows.height - len(record_numbers),
    )


def _call_transformer(source: Source, transformer: Transformer, rows: pl.DataFrame, batch: int) -> pd.DataFrame:
    """Return what the transformer returns; report its errors without their texts, which may contain data."""
    try:
        return transformer.transform(to_pandas(rows))
    except Exception as error:  # noqa: BLE001 -- a source's own Python may raise anything; raised again
        place = raised_at(error, inspect.getfile(type(transformer)))
        raise TransformError(
            f"The transformer of source {source.name!r} raised {type(error).__name__} in batch {batch}, at {place}. "
            f"Nothing of the batch was written. Correct it, and try it with `etl-assets preview {source.name}`."
        ) from None


def _with_all_columns(rows: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Return rows with all columns in the order of the schema; only an empty batch can lack derived columns."""
    if not schema.derived and not schema.inputs:
        return rows
    derived = [pl.lit(None, dtype=column.type.polars).alias(column.name) for column in schema.derived]
    return rows.with_columns(derived).select(*schema.names, RECORD_NO)
