"""A batch at each stage: raw from the format, the verdict of the validator, and ready for the loader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.model.delivery import Span
    from etl_assets.model.rule import OnBreach

RECORD_NO: Final = "_record_no"
"""The column with the number of the record in its delivery, counted from 1."""
REJECTED_RECORD_NO: Final = "record_no"
REJECTED_RULES: Final = "rules"
NONE_MALFORMED: Final = pl.DataFrame(schema={REJECTED_RECORD_NO: pl.Int64(), REJECTED_RULES: pl.List(pl.String())})
"""What `RawBatch.malformed` is if every record can be parsed."""


_NO_VALUES: Final[Mapping[str, pl.Series]] = MappingProxyType({})


class Sized(Protocol):
    """A value that knows its size in memory."""

    @property
    def nbytes(self) -> int:
        """Number of bytes in memory, about."""


PublishedType = Literal[
    "text", "integer", "float", "decimal", "boolean", "date", "timestamp", "instant", "time", "json", "uuid"
]
"""The kind of values that a column has in a file with types: an instant is a timestamp with a zone."""


class RawBatch(ABC):
    """The records of one batch as published; they are parsed on first use.

    Attributes:
        span: Where the batch is in its delivery.
        names: The published column names, in order.
        decimal: The character before the fraction of a number.
        canonical: Whether the publisher's file has values, and the format writes them as text in the notation of
            ``schema.canonical_type``, which is then read beside the declared one.
        types: The kind of values of the columns that have only one in the file; see `PublishedType`.
        on_unterminated: What happens to the record that `unterminated` names.
        redacted: Number of records of the span that were redacted, so that the batch does not have them.
    """

    span: Span
    names: tuple[str, ...]
    decimal: str = "."
    canonical: bool = False
    types: Mapping[str, PublishedType] = MappingProxyType({})
    on_unterminated: OnBreach = "reject"
    redacted: int = 0

    @property
    @abstractmethod
    def frame(self) -> pl.DataFrame:
        """The well-formed records: a String column for each published name, and ``RECORD_NO`` (Int64) last.

        Cells without a value, and the format's null words, are null. Nothing else is interpreted. The values of a file
        with types are written as text from which the declared type reads exactly the same value; see ``canonical``.
        """

    @property
    def free_of_nul(self) -> bool:
        """Whether it is known that no text of `frame` has a NUL character."""
        return False

    @property
    def typed(self) -> Mapping[str, pl.Series]:
        """The values of columns with a type in the file, by published name, for the same records in the same order.

        They are read instead of the text, and are the values that the text means; null is no value. A column without
        them is read from its text, for example if Polars has no type for all of its values, or if one record of the
        batch was corrected. Text columns are never among them.
        """
        return _NO_VALUES

    def texts(self, names: Sequence[str], places: pl.Series | None = None) -> pl.DataFrame:
        """Return some of `frame`; a format with types overrides this, and writes only these values as text.

        Args:
            names: Of the published columns, each once.
            places: Positions of records in the frame, from 0; all records when None.

        Returns:
            A String column for each name, and ``RECORD_NO`` (Int64) last.
        """
        frame = self.frame
        texts = pl.DataFrame({name: frame.get_column(name) for name in (*names, RECORD_NO)})
        return texts if places is None else texts[places]

    def texts_of(self, record_numbers: pl.Series) -> pl.DataFrame:
        """Return those of some records that are well-formed, as rows of `frame`."""
        return self.texts(self.names, self.places_of(record_numbers))

    def places_of(self, record_numbers: pl.Series) -> pl.Series:
        """Return the positions in `frame`, from 0, of those of some records that are well-formed."""
        return self.texts(()).get_column(RECORD_NO).is_in(record_numbers.implode()).arg_true()

    @property
    def found(self) -> Sized | None:
        """What landing found out about the batch, which lets the format read it again with less work; None if nothing.

        It depends only on the bytes and on the format. It is kept in memory, in the process that landed the bytes.
        """
        return None

    @property
    @abstractmethod
    def malformed(self) -> pl.DataFrame:
        """The records that cannot be parsed: ``record_no`` (Int64) and ``rules`` (List of String) of the format."""

    @property
    def unterminated(self) -> int | None:
        """Number of the last record, if the file ends after it without a line end; None otherwise."""
        return None

    @abstractmethod
    def raw(self, record_no: int) -> bytes:
        """Return the bytes of one record as delivered, without its line end."""

    @abstractmethod
    def location(self, record_no: int) -> str:
        """Return member and line of a record, for people: ``flights.csv:17``, or ``:17`` without a member."""

    def raws(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return the bytes of some records, as `raw` does; formats override this where they are faster for many.

        Returns:
            Binary, in the order of the numbers.
        """
        return pl.Series([self.raw(number) for number in record_numbers], dtype=pl.Binary)

    def locations(self, record_numbers: Sequence[int]) -> pl.Series:
        """Return the locations of some records, as `location` does; formats override this where they are faster.

        Returns:
            String, in the order of the numbers.
        """
        return pl.Series([self.location(number) for number in record_numbers], dtype=pl.String)

    def forget(self) -> None:  # noqa: B027 -- for batches that keep what they parsed
        """Free the parsed records; the batch parses them again on the next use."""


@dataclass(frozen=True)
class Verdict:
    """The validator's result for a batch.

    Attributes:
        rows: The records that broke no rule: the schema's published columns under their table names, typed, and
            ``RECORD_NO`` (Int64) last.
        rejected: The other records, each once: ``record_no`` (Int64) and ``rules`` (List of String), every rule that
            it broke.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame

    def without_record(self, rule: str, record_no: int) -> Verdict:
        """Return the verdict with one record rejected for one more rule, whether it was rejected before or not."""
        own = pl.col(REJECTED_RECORD_NO) == record_no
        if self.rejected.filter(own).is_empty():
            return self.without(rule, self.rows.get_column(RECORD_NO) == record_no)
        rules = pl.when(own).then(pl.col(REJECTED_RULES).list.concat([pl.lit([rule])])).otherwise(REJECTED_RULES)
        return Verdict(self.rows, self.rejected.with_columns(rules.alias(REJECTED_RULES)))

    def without(self, rule: str, broken: pl.Series) -> Verdict:
        """Return the verdict with more records rejected.

        Args:
            rule: Name of the rule that these records broke.
            broken: For each of the rows, whether it broke the rule; null counts as kept.
        """
        newly_rejected = broken.fill_null(value=False)
        numbers = self.rows.filter(newly_rejected).get_column(RECORD_NO)
        columns = {REJECTED_RECORD_NO: numbers, REJECTED_RULES: [[rule]] * len(numbers)}
        more = pl.DataFrame(columns, schema=self.rejected.schema)
        rejected = pl.concat([self.rejected, more]).sort(REJECTED_RECORD_NO)
        return Verdict(self.rows.filter(~newly_rejected), rejected)


@dataclass(frozen=True)
class BatchProfile:
    """The profile of a batch, to be merged with those of the delivery's other batches.

    Attributes:
        statistics: Statistics of the rows' columns; from ``watch.profiles``.
        cells: Description of a sample of the published cells, as JSON values; from ``watch.cell_samples``.
    """

    statistics: bytes
    cells: Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """A batch ready for the loader.

    Attributes:
        raw: The batch as published, for the bytes of rejected records.
        rows: Rows with every column of the schema, typed, and ``RECORD_NO`` last.
        rejected: ``record_no`` and ``rules``, as in `Verdict`.
        filtered: Number of records that the transformer left out, or that were redacted.
        reported: Records that broke rules which only report: rule to record numbers.
        profile: Profile of the batch; None if it was not profiled.
        outdone: Number of rows that were left out because other records of the delivery have their key, and stay.
        corrections: The corrections with which records were read, by record number: published name to text.
    """

    raw: RawBatch
    rows: pl.DataFrame
    rejected: pl.DataFrame
    filtered: int = 0
    reported: Mapping[str, Sequence[int]] = field(default_factory=dict)
    profile: BatchProfile | None = None
    outdone: int = 0
    corrections: Mapping[int, Mapping[str, str | None]] = field(default_factory=dict)

    def with_rejected(self, numbers: pl.Series, rules: Sequence[Sequence[str]]) -> Batch:
        """Return the batch with more records rejected: without their rows, with the rules that each broke.

        Args:
            numbers: Of the records, each once; they have rows in the batch.
            rules: The rules that each of them broke in addition.
        """
        columns = {REJECTED_RECORD_NO: numbers, REJECTED_RULES: rules}
        more = pl.DataFrame(columns, schema=NONE_MALFORMED.schema)
        return replace(
            self,
            rows=self.rows.filter(~pl.col(RECORD_NO).is_in(numbers.implode())),
            rejected=pl.concat([self.rejected.select(NONE_MALFORMED.columns), more]),
        )

    @property
    def span(self) -> Span:
        """Where the batch is in its delivery."""
        return self.raw.span

    @property
    def read(self) -> int:
        """Number of records of the batch."""
        return self.span.records
