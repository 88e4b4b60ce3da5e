"""Reads one record again from the frozen bytes of its delivery, as it was published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from etl_assets import landing
from etl_assets.explain.search import CANNOT_BE_READ
from etl_assets.model.batch import RECORD_NO

if TYPE_CHECKING:
    from etl_assets.landing import LandingStore
    from etl_assets.model.delivery import Delivery
    from etl_assets.source import Source


@dataclass(frozen=True)
class PublishedRecord:
    """A record as it was published.

    Attributes:
        location: Its member and line.
        batch: Number of its batch.
        member: The file in an archive; empty for a file that is none.
        offset: Where the batch begins in the unpacked file; in bytes, or in the unit of the format.
        length: How long the batch is, in the same unit.
        raw: The bytes of the record.
        fields: Its texts, by published name; None if it cannot be parsed.
        key: The texts of the key's columns; empty if it has not all of them.
        problem: Why it cannot be read again; the rest is empty then.
    """

    location: str = ""
    batch: int = 0
    member: str = ""
    offset: int = 0
    length: int = 0
    raw: bytes = b""
    fields: dict[str, str | None] | None = None
    key: tuple[str, ...] = ()
    problem: str = ""


def read_record(source: Source, delivery: Delivery, record_no: int, store: LandingStore) -> PublishedRecord:
    """Return a record of a delivery as it was published.

    Args:
        source: The declaration, by whose format it is read.
        delivery: The delivery.
        record_no: Number of the record.
        store: Has the bytes.
    """
    span = next((span for span in delivery.manifest.spans if record_no in span.numbers), None)
    if span is None:
        return PublishedRecord(problem=f"The index of {delivery} has no record {record_no}.")
    if record_no in delivery.manifest.redacted:
        return PublishedRecord(problem=f"Record {record_no} of {delivery} was redacted; the next run deletes its row.")
    try:
        (raw,) = landing.batches(
            source.extractor.of_partition(delivery.partition), store, delivery.manifest, {span.batch}
        )
        rows = raw.texts_of(pl.Series([record_no], dtype=pl.Int64)).to_dicts()
        fields = {name: text for name, text in rows[0].items() if name != RECORD_NO} if rows else None
        published = source.schema.published_key(raw.names)
        key = tuple(fields[name] or "" for name in published) if fields is not None else ()
        return PublishedRecord(
            raw.location(record_no), span.batch, span.member, span.offset, span.length, raw.raw(record_no), fields, key
        )
    except CANNOT_BE_READ as error:
        return PublishedRecord(problem=f"Its bytes cannot be read again. {error}")
