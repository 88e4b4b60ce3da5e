"""Recognises the format of a file by its first bytes, for `OneOf`: by what the format itself makes of them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.base import HEAD
from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.base import Format
    from etl_assets.model.batch import RawBatch

_ENCODING: Final = "record__encoding"


def mismatch_of_text(format_: Format, head: bytes, least_names: int = 0) -> str | None:
    """Return why a file is not of a text format, as a clause; None if it may be.

    A file is of the format if it has a readable header, its first record is well-formed, and no record is in another
    encoding. If the file has more bytes, the last record of the first ones, which may be cut, does not count.

    Args:
        format_: The format.
        head: The first bytes; see `Format.mismatch`.
        least_names: The least number of columns that the format would have.
    """
    cut = len(head) == HEAD
    batches: list[RawBatch] = []
    try:
        batches.extend(format_.read(io.BytesIO(head), ""))
    except DeliveryIncompleteError as error:
        if not cut:
            return _clause(error)
    except DeliveryError as error:
        return _clause(error)
    return _mismatch_of_records(batches, least_names, cut=cut)


def _mismatch_of_records(batches: Sequence[RawBatch], least_names: int, *, cut: bool) -> str | None:
    if not batches:
        return None if cut else "has no record"
    if len(batches[0].names) < least_names:
        return f"would have {len(batches[0].names)} column in it"
    incomplete = batches[-1].span.last_record if cut else None
    broken = pl.concat([batch.malformed for batch in batches])
    for number, rules in broken.select(REJECTED_RECORD_NO, REJECTED_RULES).iter_rows():
        if number != incomplete and (number == batches[0].span.first_record or _ENCODING in rules):
            return f"would have a malformed record {number} ({', '.join(rules)})"
    return None


def _clause(error: DeliveryError) -> str:
    """Return what happened, without what was not written and what to do."""
    return str(error).partition(". ")[0].removeprefix("the file ").removeprefix("The file ")
