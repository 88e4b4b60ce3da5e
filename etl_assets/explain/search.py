"""Looks through the frozen bytes of deliveries for the records that have a key."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from etl_assets import ingest, landing
from etl_assets.errors import DeliveryError, FormatError, RuleError, TransformError
from etl_assets.explain.key import schema_of
from etl_assets.model.batch import RECORD_NO
from etl_assets.postgres.explain.stories import newest_first
from etl_assets.postgres.ledger import deliveries
from etl_assets.validate import RuleValidator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import polars as pl

    from etl_assets.explain.key import Key
    from etl_assets.landing import LandingStore
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source

CANNOT_BE_READ: Final = (DeliveryError, FormatError, RuleError, TransformError)
"""What may be wrong with the bytes of one delivery, or with the code that reads them."""


@dataclass(frozen=True)
class Limits:
    """How much of the landing store is read at most.

    Attributes:
        deliveries: So many deliveries.
        size: So many bytes of their unpacked files; the first delivery is read whatever its size is.
        found: So many records; nothing is read once they are found.
    """

    deliveries: float = 20
    size: float = 256 * 1024 * 1024
    found: int = 100


@dataclass(frozen=True)
class FoundRecord:
    """A record of a delivery that has the key.

    Attributes:
        delivery_id: Of the delivery.
        partition: Its partition.
        fetched_at: When it was fetched.
        status: Of the delivery.
        record_no: Number of the record.
        location: Its member and line.
        raw: Its bytes as published.
        key: The texts of the key's columns as published; empty if a transformer makes them.
    """

    delivery_id: int
    partition: str
    fetched_at: datetime
    status: str
    record_no: int
    location: str
    raw: bytes
    key: tuple[str, ...] = ()


@dataclass
class Search:
    """What was found in frozen bytes.

    Attributes:
        of: How many deliveries there are that may have the key.
        searched: How many of them were read.
        records: How many records these have.
        redacted: How many records were redacted from these.
        found: The records with the key, those of the newest delivery first.
        unreadable: Why deliveries could not be read, a sentence for each.
        is_cut: Whether there may be more records, in the deliveries that were read.
    """

    of: int = 0
    searched: int = 0
    records: int = 0
    redacted: int = 0
    found: list[FoundRecord] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    is_cut: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether every delivery that may have the key was read."""
        return self.searched == self.of and not self.unreadable and not self.is_cut


def search(connection: Connection, source: Source, key: Key, store: LandingStore, limits: Limits) -> Search:
    """Look for the records that have a key, in the newest deliveries first.

    Args:
        connection: To the warehouse.
        source: The declaration, under which the bytes are read.
        key: What to look for.
        store: Has the bytes.
        limits: How much to read.
    """
    ids = _candidates(connection, source, key)
    result = Search(of=len(ids))
    size = 0.0
    for id_ in ids:
        delivery = deliveries.by_id(connection, id_)
        if delivery is None:
            continue
        size += sum(member.size for member in delivery.manifest.members)
        if result.searched and (result.searched >= limits.deliveries or size > limits.size):
            break
        result.searched += 1
        result.records += delivery.manifest.records
        result.redacted += len(delivery.manifest.redacted)
        try:
            result.found += islice(_records(source, delivery, key, store), limits.found - len(result.found))
        except CANNOT_BE_READ as error:
            result.unreadable.append(f"Delivery {id_} cannot be searched. {error}")
        if len(result.found) >= limits.found:
            result.is_cut = True
            break
    return result


def _candidates(connection: Connection, source: Source, key: Key) -> list[int]:
    """Return the deliveries that may have a key, the newest first: those of its partition, if the key says which."""
    every = newest_first(connection, source.name)
    rule = source.partition_rule
    if rule is None or rule.column.name not in key.types:
        return [id_ for id_, _ in every]
    values = key.frame.get_column(rule.column.name)
    other = {partition for partition in {partition for _, partition in every} if rule.outside(partition, values).any()}
    return [id_ for id_, partition in every if partition not in other]


def _records(source: Source, delivery: Delivery, key: Key, store: LandingStore) -> Iterator[FoundRecord]:
    names = list(key.types)
    for raw, rows in _rows(source, delivery, names, store):
        numbers = rows.join(key.frame, on=names, how="semi")[RECORD_NO].unique().sort()
        if not numbers.is_empty():
            yield from _found(source, delivery, raw, numbers)
        raw.forget()


def _found(source: Source, delivery: Delivery, raw: RawBatch, numbers: pl.Series) -> Iterator[FoundRecord]:
    published = source.schema.published_key(raw.names) if source.transformer is None else ()
    texts = {row[RECORD_NO]: row for row in raw.texts_of(numbers).iter_rows(named=True)} if published else {}
    for number in numbers.to_list():
        key = tuple(texts[number][name] or "" for name in published) if number in texts else ()
        yield FoundRecord(
            delivery.id,
            delivery.partition,
            delivery.fetched_at,
            delivery.status,
            number,
            raw.location(number),
            raw.raw(number),
            key,
        )


def _rows(
    source: Source, delivery: Delivery, names: Sequence[str], store: LandingStore
) -> Iterator[tuple[RawBatch, pl.DataFrame]]:
    """Yield each batch with the values that its records have in some columns, also of records that break rules.

    Where a transformer makes the rows, those that break rules are left out, for they have none.
    """
    if source.transformer is not None:
        for batch in ingest.batches(source, delivery.partition, delivery.manifest, store):
            yield batch.raw, batch.rows.select(*names, RECORD_NO)
        return
    schema, validator = schema_of(source, names), RuleValidator()
    for raw in landing.batches(source.extractor.of_partition(delivery.partition), store, delivery.manifest):
        yield raw, validator.validate(raw, schema).rows
