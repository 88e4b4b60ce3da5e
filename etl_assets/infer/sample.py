"""Reads the first records of a file, all of them if they are not too many."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import polars as pl

from etl_assets.errors import DeliveryError
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from etl_assets.extract.base import Format
    from etl_assets.infer.file import File
    from etl_assets.model.batch import PublishedType, RawBatch

MOST_RECORDS: Final = 500_000
_MOST_BYTES: Final = 512 * 1024**2


@dataclass(frozen=True)
class Sample:
    """Records of a file.

    Attributes:
        frame: The well-formed records: a String column for each published name.
        records: Number of records, with the malformed ones.
        malformed: Number of records of each rule that they break.
        whole: Whether these are all records that the publisher has.
        unterminated: Whether the file does not end with a line end.
        decimal: The character before the fraction of a number.
        canonical: See `RawBatch`.
        types: See `RawBatch`.
    """

    frame: pl.DataFrame
    records: int
    malformed: dict[str, int]
    whole: bool
    unterminated: bool
    decimal: str
    canonical: bool
    types: dict[str, PublishedType]

    @property
    def names(self) -> list[str]:
        """The published names of the columns; ``""`` only if that column has values that do not number the records."""
        return [name for name in self.frame.columns if name or not _says_nothing(self.frame.get_column(name))]


def _says_nothing(cells: pl.Series) -> bool:
    """Return whether a column has no values, or numbers the records from 0 or 1, as data frames do."""
    if cells.str.strip_chars().replace("", None).null_count() == len(cells):
        return True
    numbers = cells.str.to_integer(strict=False)
    return any(numbers.equals(pl.int_range(first, first + len(cells), eager=True)) for first in (0, 1))


def read_sample(file: File, format_: Format) -> Sample:
    """Read the first records of a file, all of them if it is not too large.

    Raises:
        DeliveryError: If the file has no record, or is not of the format.
    """
    file.stream.seek(0)
    read: list[RawBatch] = []
    frames: list[pl.DataFrame] = []
    records = size = 0
    with closing(cast("Generator[RawBatch]", format_.read(file.stream, ""))) as batches:
        while (records < MOST_RECORDS and size < _MOST_BYTES) and (batch := next(batches, None)) is not None:
            read.append(batch)
            frames.append(batch.frame.drop(RECORD_NO))
            records += batch.span.records
            size += int(frames[-1].estimated_size())
        whole = next(batches, None) is None and not file.is_cut
    if not records or not any(frame.width for frame in frames):
        raise DeliveryError(f"{file.shown} has no record. Nothing was inferred. Name a file with records.")
    rules = pl.concat([batch.malformed.select("rules") for batch in read]).get_column("rules")
    return Sample(
        pl.concat(frames, how="diagonal"),
        records,
        dict(sorted(rules.explode().drop_nulls().value_counts().iter_rows())),
        whole,
        read[-1].unterminated is not None,
        read[-1].decimal,
        read[-1].canonical,
        _types(read),
    )


def _types(batches: Sequence[RawBatch]) -> dict[str, PublishedType]:
    """Return the types of the columns that have the same in every batch that has them."""
    types: dict[str, PublishedType] = {}
    mixed: set[str] = set()
    for batch in batches:
        for name in batch.names:
            type_ = batch.types.get(name)
            if type_ is None or types.setdefault(name, type_) != type_:
                mixed.add(name)
    return {name: type_ for name, type_ in types.items() if name not in mixed}
