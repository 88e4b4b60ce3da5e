"""Some records of a batch, as a batch of their own, which costs no more than they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.model.batch import REJECTED_RECORD_NO, RawBatch

if TYPE_CHECKING:
    from collections.abc import Sequence


class SelectedBatch(RawBatch):
    """Some records of another batch. Values with a type are read from their text, which means the same.

    Args:
        whole: The batch.
        record_numbers: Numbers of some of its records.
    """

    def __init__(self, whole: RawBatch, record_numbers: pl.Series) -> None:
        self._whole = whole
        self._numbers = record_numbers.implode()
        self._places = whole.places_of(record_numbers)
        self.span, self.names = whole.span, whole.names
        self.decimal, self.canonical, self.types = whole.decimal, whole.canonical, whole.types

    @property
    def frame(self) -> pl.DataFrame:
        """The well-formed records. See `RawBatch.frame`."""
        return self.texts(self.names)

    def texts(self, names: Sequence[str], places: pl.Series | None = None) -> pl.DataFrame:
        """Some columns of `frame`. See `RawBatch.texts`."""
        return self._whole.texts(names, self._places if places is None else self._places.gather(places))

    @property
    def malformed(self) -> pl.DataFrame:
        """The other records. See `RawBatch.malformed`."""
        return self._whole.malformed.filter(pl.col(REJECTED_RECORD_NO).is_in(self._numbers))

    def raw(self, record_no: int) -> bytes:
        """The bytes of a record as delivered."""
        return self._whole.raw(record_no)

    def location(self, record_no: int) -> str:
        """The location of a record in its delivery."""
        return self._whole.location(record_no)
