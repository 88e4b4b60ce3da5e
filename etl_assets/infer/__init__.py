"""Infers the declaration of a source from one of its files, for a person to read and complete.

The same code that validates a feed decides what a column may be declared as, so that an inferred declaration accepts
what it was inferred from. What the file does not decide is written as a question. Nothing here writes a file or knows
a database.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.csv import Csv
from etl_assets.extract.formats.fixed_width import FixedWidth
from etl_assets.infer.columns import PublishedColumn, infer_column
from etl_assets.infer.declaration import Inference, declaration
from etl_assets.infer.extractors import DeclaredExtractor
from etl_assets.infer.file import opened, opened_by
from etl_assets.infer.keys import key_candidates
from etl_assets.infer.names import check_source_name, source_name
from etl_assets.infer.recognised import Recognised
from etl_assets.infer.recognition import recognise
from etl_assets.infer.references import likely_references
from etl_assets.infer.sample import read_sample
from etl_assets.schema.names import column_name
from etl_assets.schema.schema import MAX_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.infer.columns import InferredColumn
    from etl_assets.infer.file import File
    from etl_assets.infer.sample import Sample
    from etl_assets.model.secret import Secret
    from etl_assets.source import Source

__all__ = [
    "DeclaredExtractor",
    "Inference",
    "declaration",
    "infer",
    "infer_columns",
    "infer_of_extractor",
    "source_name",
]

_WITHOUT_NAME: Final = "the header has no name for it: what is it?"


@contextmanager
def infer_of_extractor(declared: DeclaredExtractor, name: str, sources: Mapping[str, Source]) -> Iterator[Inference]:
    """Infer the schema of what a declared extractor fetches, for a block.

    Args:
        declared: The extractor.
        name: Of the source.
        sources: The sources that are declared already, for references.

    Raises:
        DeclarationError: If a source cannot have the name, or the extractor is not sound.
        DeliveryError: If it cannot fetch, or there is no record.
    """
    check_source_name(name)
    with opened_by(declared) as file:
        yield _inferred(name, file, Recognised(declared.extractor.frozen_format), sources, None)


@contextmanager
def infer(
    location: str,
    name: str,
    sources: Mapping[str, Source],
    *,
    member: str = "*",
    part: str | None = None,
    password: Secret | None = None,
) -> Iterator[Inference]:
    """Infer the declaration of a source from a file, which exists for a block.

    Args:
        location: Path or URL of the file. A person names it, so that its host may be in a private network.
        name: Of the source.
        sources: The sources that are declared already, for references.
        member: Glob for the members of an archive; the largest one that matches is read.
        part: The table, sheet or path of records to read, if the file has several.
        password: Of an encrypted archive or workbook.

    Raises:
        DeclarationError: If a source cannot have the name.
        DeliveryError: If there is no such file, it has no record or too many columns, or its format is not recognised.
    """
    check_source_name(name)
    with opened(location, member, password) as file:
        yield _inferred(name, file, recognise(file, part, password), sources, password)


def _inferred(
    name: str, file: File, recognised: Recognised, sources: Mapping[str, Source], password: Secret | None
) -> Inference:
    recognised, sample = _read(file, recognised)
    if isinstance(recognised.format, Csv | FixedWidth) and not sample.unterminated:
        recognised = replace(recognised, format=replace(recognised.format, unterminated="reject"))
    _check_columns(file, sample)
    columns = infer_columns(sample)
    keys = key_candidates(sample.frame, columns)
    columns = _with_references(columns, likely_references(columns, sources, name))
    return Inference(name, file, recognised, sample, columns, keys, password)


def _check_columns(file: File, sample: Sample) -> None:
    """Refuse more columns than a table may have, before each is looked at."""
    count = len(sample.names)
    if count > MAX_COLUMNS:
        raise DeliveryError(
            f"{file.shown} has {count:,} columns; a source may have {MAX_COLUMNS}. Nothing was inferred. If the names "
            "are values, such as days, have the publisher write them as records; else declare the source by hand."
        )


def _with_references(columns: Sequence[InferredColumn], references: Mapping[str, str]) -> list[InferredColumn]:
    """Return the columns, each with the question whether it is a reference."""
    return [
        replace(column, doubts=(*column.doubts, references[column.column.name]))
        if column.column.name in references
        else column
        for column in columns
    ]


def _read(file: File, recognised: Recognised) -> tuple[Recognised, Sample]:
    """Read a sample; if bytes far behind the first ones are no UTF-8, read it in another encoding."""
    sample = read_sample(file, recognised.format)
    format_ = recognised.format
    if "record__encoding" not in sample.malformed or not isinstance(format_, Csv | FixedWidth):
        return recognised, sample
    doubt = f"{sample.malformed['record__encoding']:,} records are not {format_.encoding}; latin-1 is a guess"
    other = replace(format_, encoding="latin-1")
    return replace(recognised, format=other, doubts=(*recognised.doubts, doubt)), read_sample(file, other)


def infer_columns(sample: Sample) -> Sequence[InferredColumn]:
    """Infer the columns of a sample; one without a name is left out if it says nothing."""
    taken: list[str] = []
    columns: list[InferredColumn] = []
    for published in sample.names:
        name = column_name(published, taken)
        taken.append(name)
        cells = sample.frame.get_column(published)
        column = PublishedColumn(published, cells, sample.decimal, sample.canonical, sample.types.get(published))
        inferred = infer_column(column, name)
        columns.append(inferred if published else replace(inferred, doubts=(*inferred.doubts, _WITHOUT_NAME)))
    return columns
