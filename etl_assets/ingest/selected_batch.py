"""Some records of a batch, as a batch of their own, which costs no more than they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.model.batch import REJECTED_RECORD_NO, RawBatch
from etl_assets.schema import RECORD_NO

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
        self._places = whole.texts(()).get_column(RECORD_NO).is_in(self._numbers).arg_true()
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

    def raws(self, record_numbers: Sequence[int]) -> pl.Series:
        """The bytes of some records. See `RawBatch.raws`."""
        return self._whole.raws(record_numbers)

    def locations(self, record_numbers: Sequence[int]) -> pl.Series:
        """The locations of some records. See `RawBatch.locations`."""
        return self._whole.locations(record_numbers)
