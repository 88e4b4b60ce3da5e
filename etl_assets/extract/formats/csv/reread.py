"""Parses single records of delimited text again, from the bytes in the quarantine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from etl_assets.extract.formats.csv.batch import CsvBatch, scan
from etl_assets.extract.formats.encoding import decode_record
from etl_assets.extract.formats.reread import RereadBatch
from etl_assets.model.batch import REJECTED_RECORD_NO
from etl_assets.model.delivery import Span
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.formats.csv.options import CsvOptions


def reread(format_: CsvOptions, names: Sequence[str], records: Mapping[int, bytes]) -> RereadBatch:
    """Return a batch of single records: a malformed one cannot affect another; see `Format.reread`.

    Args:
        format_: How the records are written.
        names: The published names.
        records: Record number to bytes, as `CsvBatch.raw` returned them.
    """
    parts = list(_parts(format_, tuple(names), records))
    return RereadBatch(
        records,
        names,
        pl.concat([_renumbered(part.frame, RECORD_NO, numbers) for part, numbers in parts]),
        pl.concat([_renumbered(part.malformed, REJECTED_RECORD_NO, numbers) for part, numbers in parts]),
        decimal=format_.decimal,
    )


def _parts(
    format_: CsvOptions, names: tuple[str, ...], raws: Mapping[int, bytes]
) -> Iterator[tuple[CsvBatch, np.ndarray]]:
    """Yield all records as one batch if none changes where another ends; else one batch for each record."""
    numbers = np.array(list(raws), dtype=np.int64)
    format_ = replace(format_, repeated_header="keep")
    records = [decode_record(raw, format_.codec) if format_.transcoded else raw for raw in raws.values()]
    line_end = b"\r" if format_.line_end == "\r" else b"\r\n"  # after LF alone, a last CR would be part of it
    lines = [record + line_end for record in records]
    if _are_records(lines, format_):
        whole = b"".join(lines)
        yield CsvBatch(format_, _span(whole, len(lines)), names, whole), numbers
        return
    for record, line, number in zip(records, lines, numbers, strict=True):
        data = line if _are_records([line], format_) else record  # an escape at its end escapes no line end
        yield CsvBatch(format_, _span(data, 1), names, data), np.array([number])


def _are_records(lines: Sequence[bytes], format_: CsvOptions) -> bool:
    """Return whether each line is one record where all of them follow each other."""
    text, records = scan(b"".join(lines), format_, (), final=True)
    return np.array_equal(text.origins(records.stops), np.cumsum([len(line) for line in lines], dtype=np.int64))


def _span(data: bytes, records: int) -> Span:
    return Span(1, "", 0, len(data), 1, records, 1)


def _renumbered(frame: pl.DataFrame, column: str, numbers: np.ndarray) -> pl.DataFrame:
    indices = frame[column].to_numpy() - 1
    return frame.with_columns(pl.Series(column, numbers[indices], dtype=pl.Int64))
