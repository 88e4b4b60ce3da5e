"""The records of a span: the place of a record by its number, and how many there must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from etl_assets.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.formats.bits import Positions
    from etl_assets.model.delivery import Span


def index_of(record_no: int, span: Span, numbers: Sequence[int] | None = None) -> int:
    """Return the place of a record in its batch, from 0.

    Args:
        record_no: Its number.
        span: Where the batch is in the delivery.
        numbers: The numbers of the records; None for those of the span.

    Raises:
        IndexError: If the batch does not have it.
    """
    try:
        return (span.numbers if numbers is None else numbers).index(record_no)
    except ValueError:
        raise IndexError(f"record {record_no} is not in batch {span.batch}") from None


def indices_of(record_numbers: Sequence[int], span: Span) -> Positions:
    """Return the places of some records in a batch whose numbers are those of its span; see `index_of`."""
    indices: Positions = np.asarray(record_numbers, np.int64) - span.first_record
    if len(indices):
        index_of(int(indices.min()) + span.first_record, span)
        index_of(int(indices.max()) + span.first_record, span)
    return indices


def check_records(records: int, span: Span) -> None:
    """Raise a `DeliveryError` unless a batch has as many records as its span says."""
    if records != span.records:
        raise DeliveryError(
            f"Batch {span.batch} of {span.member or 'the file'} has {records} records, its index says "
            f"{span.records}. The batch was not written. Index the delivery again: its format changed."
        )
