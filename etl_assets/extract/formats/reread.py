"""Records that were read again from the bytes in the quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.model.batch import RawBatch
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl


class RereadBatch(RawBatch):
    """Records by number, whose places in the delivery are not known.

    Args:
        records: Record number to bytes, as `raw` of the batch returned them.
        names: The published names.
        frame: See `RawBatch`.
        malformed: See `RawBatch`.
        decimal: See `RawBatch`.
        context: The context of the span that they are from.
    """

    def __init__(
        self,
        records: Mapping[int, bytes],
        names: Sequence[str],
        frame: pl.DataFrame,
        malformed: pl.DataFrame,
        *,
        decimal: str = ".",
        context: str = "",
    ) -> None:
        self.span = span_of(records, context)
        self.names = tuple(names)
        self.decimal = decimal
        self._records = records
        self._frame = frame
        self._malformed = malformed

    @property
    def frame(self) -> pl.DataFrame:
        """The well-formed records; see `RawBatch`."""
        return self._frame

    @property
    def malformed(self) -> pl.DataFrame:
        """The other records; see `RawBatch`."""
        return self._malformed

    def raw(self, record_no: int) -> bytes:
        """Return the bytes of a record, as given."""
        return self._records[record_no]

    def location(self, record_no: int) -> str:
        """Return the number of a record."""
        return f"record {record_no}"


def span_of(records: Mapping[int, bytes], context: str = "") -> Span:
    """Return a span for records by number, which need not be consecutive."""
    return Span(0, "", 0, 0, min(records, default=1), len(records), 0, context=context)
