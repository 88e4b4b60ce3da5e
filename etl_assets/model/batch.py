"""A batch on its way: raw as the format reads it, judged as the validator leaves it, ready for the loader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.model.delivery import Span

RECORD_NO: Final = "_record_no"
"""The column of records and rows that says which record of the delivery they are, counted from 1."""
REJECTED_RECORD_NO: Final = "record_no"
REJECTED_RULES: Final = "rules"


class RawBatch(ABC):
    """The records of one batch as published, parsed when first asked for.

    Attributes:
        span: Where the batch lies in its delivery.
        names: The published column names, in order.
        decimal: The character that stands before the fraction of a number.
    """

    span: Span
    names: tuple[str, ...]
    decimal: str = "."

    @property
    @abstractmethod
    def frame(self) -> pl.DataFrame:
        """The well-formed records: a String column for each published name and ``RECORD_NO`` (Int64), last.

        Cells without a value, and the format's null words, are null. Nothing else is interpreted.
        """

    @property
    @abstractmethod
    def malformed(self) -> pl.DataFrame:
        """The records that could not be parsed: ``record_no`` (Int64) and ``rules`` (List of String) of the format."""

    @abstractmethod
    def raw(self, record_no: int) -> bytes:
        """The bytes of one record as delivered, without its line end."""

    @abstractmethod
    def location(self, record_no: int) -> str:
        """Where a record stands, for people: ``flights.csv:17``, or ``:17`` when there is no member."""

    def forget(self) -> None:  # noqa: B027 -- for batches that keep what they parsed
        """Let go of what was parsed; it is parsed again should it be asked for."""


@dataclass(frozen=True)
class Verdict:
    """What the validator says of a batch.

    Attributes:
        rows: The records that broke no rule: the schema's published columns under their table names, typed, and
            ``RECORD_NO`` (Int64), last.
        rejected: The others, each once: ``record_no`` (Int64) and ``rules`` (List of String), every rule it broke.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame

    def without(self, rule: str, broken: pl.Series) -> Verdict:
        """The verdict with more records rejected.

        Args:
            rule: Name of the rule that they broke.
            broken: For each of the rows, whether it did; null counts as kept.
        """
        leaving = broken.fill_null(value=False)
        numbers = self.rows.filter(leaving).get_column(RECORD_NO)
        found = {REJECTED_RECORD_NO: numbers, REJECTED_RULES: [[rule]] * len(numbers)}
        more = pl.DataFrame(found, schema=self.rejected.schema)
        rejected = pl.concat([self.rejected, more]).sort(REJECTED_RECORD_NO)
        return Verdict(self.rows.filter(~leaving), rejected)


@dataclass(frozen=True)
class BatchProfile:
    """What a batch held, to be merged with those of the delivery's other batches.

    Attributes:
        statistics: Of the rows' columns; from ``validate.profile``.
        cells: What a sample of the published cells looks like, as JSON values; from ``validate.cells``.
    """

    statistics: bytes
    cells: Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """A batch ready for the loader.

    Attributes:
        raw: The batch as published, for the bytes of what is rejected.
        rows: Rows with every column of the schema, typed, and ``RECORD_NO``, last.
        rejected: ``record_no`` and ``rules``, as in `Verdict`.
        filtered: Number of records that the transformer left out.
        profile: What it held; None where nobody looked.
    """

    raw: RawBatch
    rows: pl.DataFrame
    rejected: pl.DataFrame
    filtered: int = 0
    profile: BatchProfile | None = None

    @property
    def span(self) -> Span:
        """Where the batch lies in its delivery."""
        return self.raw.span

    @property
    def read(self) -> int:
        """Number of records of the batch."""
        return self.span.records
