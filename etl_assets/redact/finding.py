"""Finds records of a source by values of their columns, in the frozen bytes of every delivery.

A record is found whatever became of it: loaded, rejected, refused with its delivery, or not loaded yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import polars as pl
from polars import selectors

from etl_assets import ingest, landing
from etl_assets.errors import RedactionError
from etl_assets.extract.formats.reread import RereadBatch
from etl_assets.ingest.quarantined_batch import QuarantinedBatch
from etl_assets.ingest.record_keys import schema_of
from etl_assets.model.batch import NONE_MALFORMED
from etl_assets.postgres.connection import connected, in_session
from etl_assets.postgres.ledger import deliveries
from etl_assets.schema import RECORD_NO
from etl_assets.validate.rule_validator import RuleValidator

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from etl_assets.landing import Warehouse
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import Delivery, Manifest
    from etl_assets.schema import Column
    from etl_assets.source import Source

_OTHERWISE = "was read under another declaration"
_MOST_PLACES = 3
_NONE_FOR_EMPTY = selectors.string().replace("", None)
"""A person who writes nothing looks for no value, and for a text that is empty."""


@dataclass(frozen=True)
class Found:
    """The records of a delivery that were found.

    Attributes:
        delivery: The delivery.
        manifest: Of its bytes, as they are cut under the declaration.
        numbers: Numbers of the records, in order.
        places: Where the first of them are, as ``file:line``.
        texts: The texts of their cells. They are never shown.
        unreadable: Number of records that were not compared, because a value is not written as declared, or the record
            cannot be parsed.
    """

    delivery: Delivery
    manifest: Manifest
    numbers: tuple[int, ...]
    places: tuple[str, ...]
    texts: frozenset[str]
    unreadable: int


def typed_values(source: Source, rows: Sequence[Mapping[str, str]]) -> pl.DataFrame:
    """Return texts as values of their columns.

    Args:
        source: The declaration.
        rows: Texts by column, as the publisher writes them, empty for no value; each has the same columns.

    Returns:
        A row for each, with a column for each name.

    Raises:
        RedactionError: If there is no such column, or a text is not written as declared. Nothing was changed.
    """
    names = tuple(rows[0])
    schema = schema_of(_columns(source, names))
    published = [schema[name].published_names[0] for name in names]
    texts = [dict(zip(published, row.values(), strict=True)) for row in rows]
    frame = pl.DataFrame(texts, schema=dict.fromkeys(published, pl.String))
    numbers = pl.Series(RECORD_NO, range(1, len(rows) + 1), dtype=pl.Int64)
    decimal = source.extractor.frozen_format.decimal
    batch = RereadBatch(
        dict.fromkeys(numbers, b""), published, frame.with_columns(numbers), NONE_MALFORMED, decimal=decimal
    )
    verdict = RuleValidator().validate(batch, schema)
    if not verdict.rejected.is_empty():
        raise RedactionError(
            f"A value of {', '.join(names)} is not written as source {source.name!r} declares. Nothing was changed. "
            "Write each value as the publisher does."
        )
    return verdict.rows.select(names).with_columns(_NONE_FOR_EMPTY)


def find(
    source: Source, warehouse: Warehouse, values: pl.DataFrame | None, records: Mapping[int, Collection[int]]
) -> list[Found]:
    """Find records in all deliveries of a source, oldest first.

    Args:
        source: The declaration.
        warehouse: Has the deliveries.
        values: From `typed_values`; a record with the values of any row is found, also one that has them by a
            correction. None for none.
        records: More records: by id of a delivery, their numbers.

    Returns:
        The deliveries with such a record, or with one that was not compared.

    Raises:
        RedactionError: If a delivery was read under another declaration, or a record that was named is not there.
        DeliveryError: If frozen bytes cannot be read.
    """
    states = in_session(warehouse.url, partial(deliveries.states, source=source.name, fingerprint=source.fingerprint))
    otherwise = [id_ for id_, state in states.items() if state == _OTHERWISE]
    if otherwise:
        raise RedactionError(
            f"Delivery {otherwise[0]} of {source.name} was read under another declaration, so that its records may "
            f"have other numbers now. Nothing was changed. Run it first: etl-assets run {source.name}"
        )
    if unknown := [id_ for id_ in records if id_ not in states]:
        raise RedactionError(f"Source {source.name!r} has no delivery {unknown[0]}. Nothing was changed. Name another.")
    found = []
    for id_ in states:
        if values is None and id_ not in records:
            continue
        delivery = in_session(warehouse.url, partial(deliveries.by_id, delivery_id=id_))
        if delivery is not None:
            one = _find_in(source, warehouse, delivery, values, records.get(id_, ()))
            if one.numbers or one.unreadable:
                found.append(one)
    return found


def _find_in(
    source: Source, warehouse: Warehouse, delivery: Delivery, values: pl.DataFrame | None, named: Collection[int]
) -> Found:
    extractor = source.extractor.of_partition(delivery.partition)
    manifest = delivery.manifest
    if delivery.fingerprint != source.fingerprint:  # landed or refused under another declaration
        manifest = landing.index(extractor, warehouse.store, manifest)
    known = set(manifest.redacted)
    if lacking := [number for number in named if number in known or not 1 <= number <= manifest.records]:
        raise RedactionError(
            f"{delivery} has no record {lacking[0]}. Nothing was changed. Its records are 1 to {manifest.records}."
        )
    numbers: list[int] = []
    places: list[str] = []
    texts: set[str] = set()
    unreadable = 0
    for raw, read in _batches(source, warehouse, delivery, manifest):
        chosen = set(named) & set(raw.span.numbers)
        for batch in read:
            matching, others = ([], 0) if values is None else _matching(source, batch, values)
            chosen |= set(matching)
            unreadable += others
        for batch in read:
            cells = batch.texts_of(pl.Series(sorted(chosen), dtype=pl.Int64)).drop(RECORD_NO)
            texts |= {text for column in cells for text in column.to_list() if text}
        in_order = sorted(chosen)
        places += [raw.location(number) for number in in_order[: _MOST_PLACES - len(places)]]
        numbers += in_order
        raw.forget()
    return Found(delivery, manifest, tuple(numbers), tuple(places), frozenset(texts), unreadable)


def _batches(
    source: Source, warehouse: Warehouse, delivery: Delivery, manifest: Manifest
) -> Iterator[tuple[RawBatch, list[RawBatch]]]:
    """Yield each batch as published, and as it is read: as published, and its corrected records as corrected."""
    extractor = source.extractor.of_partition(delivery.partition)
    corrected = ingest.corrected_records(delivery, partial(connected, warehouse.url))
    for raw in landing.batches(extractor, warehouse.store, manifest):
        records = corrected(raw.span)
        if not records:
            yield raw, [raw]
            continue
        yield raw, [raw, QuarantinedBatch(extractor.frozen_format, source.schema, manifest, records, raw.span.batch)]


def _matching(source: Source, batch: RawBatch, values: pl.DataFrame) -> tuple[list[int], int]:
    """Return the numbers of the records of a batch with the values of a row, and how many cannot be compared."""
    verdict = RuleValidator().validate(batch, schema_of(_columns(source, values.columns)))
    matching = verdict.rows.with_columns(_NONE_FOR_EMPTY).join(values, on=values.columns, how="semi", nulls_equal=True)
    return matching.get_column(RECORD_NO).to_list(), verdict.rejected.height


def _columns(source: Source, names: Sequence[str]) -> list[Column]:
    columns = {column.name: column for column in source.schema.published}
    if unknown := [name for name in names if name not in columns]:
        raise RedactionError(
            f"Source {source.name!r} publishes no column {unknown[0]!r}. Nothing was changed. It publishes "
            f"{', '.join(columns)}."
        )
    return [columns[name] for name in names]
