"""A batch in which some records are read as people corrected them, and all others as published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.model.batch import REJECTED_RECORD_NO, RawBatch
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.ingest.quarantined_batch import QuarantinedBatch


class CorrectedBatch(RawBatch):
    """A batch of the landing store, with the corrected records of the quarantine in place of those published.

    Args:
        published: The batch as published.
        corrected: Some of its records, corrected.
        numbers: The numbers of these records.
    """

    def __init__(self, published: RawBatch, corrected: QuarantinedBatch, numbers: list[int]) -> None:
        self._published = published
        self._corrected = corrected
        self._numbers = pl.Series(numbers, dtype=pl.Int64).implode()
        self.span = published.span
        self.names = tuple(dict.fromkeys([*published.names, *corrected.names]))
        self.decimal, self.canonical, self.types = published.decimal, published.canonical, published.types
        self.on_unterminated = published.on_unterminated

    @property
    def frame(self) -> pl.DataFrame:
        """The well-formed records. See `RawBatch.frame`."""
        others = self._published.frame.filter(~pl.col(RECORD_NO).is_in(self._numbers))
        frame = pl.concat([others, self._corrected.frame], how="diagonal").sort(RECORD_NO)
        return frame[[*self.names, RECORD_NO]]

    @property
    def unterminated(self) -> int | None:
        """The last record, if it may have been cut. See `RawBatch.unterminated`."""
        return self._published.unterminated

    @property
    def malformed(self) -> pl.DataFrame:
        """The records that cannot be parsed. See `RawBatch.malformed`."""
        others = self._published.malformed.filter(~pl.col(REJECTED_RECORD_NO).is_in(self._numbers))
        return pl.concat([others, self._corrected.malformed]).sort(REJECTED_RECORD_NO)

    def raw(self, record_no: int) -> bytes:
        """Return the bytes of a record as delivered."""
        return self._published.raw(record_no)

    def location(self, record_no: int) -> str:
        """Return member and line of a record."""
        return self._published.location(record_no)

    def raws(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return the bytes of some records as delivered. See `RawBatch.raws`."""
        return self._published.raws(record_numbers)

    def locations(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return member and line of some records. See `RawBatch.locations`."""
        return self._published.locations(record_numbers)

    def forget(self) -> None:
        """Free the parsed records; see `RawBatch.forget`."""
        self._published.forget()
