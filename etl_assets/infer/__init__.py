"""Infers the declaration of a source from one of its files, for a person to read and complete.

The same code that validates a feed decides what a column may be declared as, so that an inferred declaration accepts
what it was inferred from. What the file does not decide is written as a question. Nothing here writes a file or knows
a database.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from etl_assets.extract.formats.csv import Csv
from etl_assets.extract.formats.fixed_width import FixedWidth
from etl_assets.infer.columns import PublishedColumn, infer_column
from etl_assets.infer.declaration import Inference, declaration
from etl_assets.infer.file import opened
from etl_assets.infer.keys import key_candidates
from etl_assets.infer.recognition import recognise
from etl_assets.infer.references import likely_references
from etl_assets.infer.sample import read_sample
from etl_assets.schema.names import column_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.infer.columns import InferredColumn
    from etl_assets.infer.file import File
    from etl_assets.infer.recognised import Recognised
    from etl_assets.infer.sample import Sample
    from etl_assets.model.secret import Secret
    from etl_assets.source import Source

__all__ = ["Inference", "declaration", "infer", "infer_columns"]


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
        location: Path or URL of the file.
        name: Of the source.
        sources: The sources that are declared already, for references.
        member: Glob for the members of an archive; the largest one that matches is read.
        part: The table, sheet or path of records to read, if the file has several.
        password: Of an encrypted archive or workbook.

    Raises:
        DeliveryError: If there is no such file, it has no record, or its format is not recognised.
    """
    with opened(location, member, password) as file:
        recognised = recognise(file, part, password)
        recognised, sample = _read(file, recognised)
        if isinstance(recognised.format, Csv | FixedWidth) and not sample.unterminated:
            recognised = replace(recognised, format=replace(recognised.format, unterminated="reject"))
        columns = infer_columns(sample)
        keys = key_candidates(sample.frame, columns)
        references = likely_references(columns, sources, name)
        yield Inference(name, file, recognised, sample, columns, keys, references, password)


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
    """Infer the columns of a sample, those without a name left out."""
    taken: list[str] = []
    columns: list[InferredColumn] = []
    for published in filter(None, sample.frame.columns):
        name = column_name(published, taken)
        taken.append(name)
        cells = sample.frame.get_column(published)
        column = PublishedColumn(published, cells, sample.decimal, sample.canonical, sample.types.get(published))
        columns.append(infer_column(column, name))
    return columns
