"""Reads workbooks in tests, and gives what they have as plain values."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.excel.format import Excel

if TYPE_CHECKING:
    from etl_assets.model.batch import RawBatch


class Contents(NamedTuple):
    """What a workbook has: names, records, places and rules of malformed records, and rows that are no records."""

    names: tuple[str, ...]
    records: list[tuple[str | None, ...]]
    malformed: dict[str, list[str]]
    skipped: int
    batches: list[RawBatch]


def contents(data: bytes, **options: Any) -> Contents:
    """Read a workbook."""
    batches = list(Excel(**options).read(io.BytesIO(data), ""))
    records = [row[:-1] for batch in batches for row in batch.frame.rows()]
    malformed = {batch.location(number): rules for batch in batches for number, rules in batch.malformed.rows()}
    return Contents(batches[0].names, records, malformed, sum(batch.span.skipped for batch in batches), batches)


def refusal(data: bytes, error: type[DeliveryError] = DeliveryError, **options: Any) -> str:
    """Return the text with which a workbook is refused."""
    with pytest.raises(error) as raised:
        contents(data, **options)
    assert type(raised.value) is error
    return str(raised.value)
