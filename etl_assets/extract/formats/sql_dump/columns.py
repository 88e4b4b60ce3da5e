"""Reads the values of many records at once, as columns; records that are unusual in any way are left to `literals`.

A record is usual if each value is a number, NULL, TRUE, FALSE or one plain string, which is proved from the positions
of quotes and commas; or, in a COPY, if it has a field for each column.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa

from etl_assets.extract.formats.backslashes import with_backslash
from etl_assets.extract.formats.bits import count_of, find_all, prefix_parity, words
from etl_assets.extract.formats.misread import MISREAD_STARTS
from etl_assets.extract.formats.slices import slices
from etl_assets.extract.formats.sql_dump.literals import (
    BOOLEAN,
    COPY_ESCAPES,
    MYSQL_ESCAPES,
    NULL_WORD,
    NUMBER,
    ExpressionError,
    unescape_copy,
    unescape_mysql,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from etl_assets.extract.formats.bits import Flags, Positions

_BLANKS: Final = (9, 10, 13, 32)
_MOST_BLANKS: Final = 4
_BACKSLASH: Final = 92
_QUOTE: Final = 39
_COMMA: Final = 44
_OTHER_BYTES: Final = bytes(byte for byte in range(256) if byte not in b"\t\n\r")
_LITERAL: Final = f"^(?:{NUMBER}|{NULL_WORD}|{BOOLEAN})$"


@dataclass(frozen=True)
class Columns:
    """The values of some records.

    Attributes:
        usual: Which of the records were read.
        values: For each column, the values of the records that were read; null for no value.
    """

    usual: Flags
    values: list[pl.Series]


def of_inserts(records: Sequence[bytes], width: int, *, backslash: bool) -> Columns:
    """Read records in round brackets that have only numbers, words, plain strings, commas and white space.

    Args:
        records: UTF-8 that the pattern ``record`` of the grammar matches.
        width: Number of values of a record.
        backslash: Whether a backslash is an escape in strings.

    Returns:
        The values of the records that are usual.
    """
    data = b"".join(records)
    codes = np.frombuffer(data, np.uint8)
    stops = np.cumsum(np.fromiter(map(len, records), np.int64, len(records)))
    quotes, inside = _quotes(data, backslash=backslash)
    commas = np.flatnonzero((codes == _COMMA) & ~inside)
    usual = np.bincount(np.searchsorted(stops, commas, side="right"), minlength=len(records)) == width - 1
    closing = quotes & ~inside
    closing[:-1] &= ~quotes[1:]
    closings = np.flatnonzero(closing)
    if not usual.all():
        commas = commas[usual[np.searchsorted(stops, commas, side="right")]]
    begins = np.concatenate((np.zeros(1, np.int64), stops[:-1]))
    fields = commas.reshape(np.count_nonzero(usual), width - 1)
    starts = np.column_stack((begins[usual], fields)) + 1
    ends = np.column_stack((fields, stops[usual] - 1))
    _strip(codes, starts, ends)
    return _read(data, usual, starts, ends, closings, backslash=backslash)


def of_lines(lines: Sequence[bytes], width: int) -> Columns:
    """Read lines of a COPY, which are UTF-8 without carriage returns; those with a field for each column are usual."""
    usual = np.fromiter((line.count(b"\t") == width - 1 for line in lines), bool, len(lines))
    found = of_table(b"".join(line + b"\n" for line in compress(lines, usual)), int(np.count_nonzero(usual)), width)
    usual[np.flatnonzero(usual)[~found.usual]] = False
    return Columns(usual, found.values)


def of_table(data: bytes, height: int, width: int) -> Columns:
    """Read whole lines of a COPY, each of which has a field for each column."""
    schema = {str(index): pl.String() for index in range(width)}
    frame = pl.DataFrame(schema=schema)
    if width > 1 and height and not data.startswith(MISREAD_STARTS):
        frame = pl.read_csv(
            data,
            has_header=False,
            schema=schema,
            separator="\t",
            quote_char=None,
            null_values=r"\N",
            empty_string_is_null=False,
        )
    if frame.height != height:
        fields = [field for line in data.split(b"\n")[:-1] for field in line.decode().split("\t")]
        values = [None if field == r"\N" else field for field in fields]
        frame = pl.DataFrame({str(index): values[index::width] for index in range(width)}, schema=schema)
    broken = np.zeros(height, bool)
    columns = frame.get_columns()
    nulls = sum(column.null_count() for column in columns)
    if count_of(b"\\", data) > nulls:  # a null has one
        columns = [
            _decoded(column, COPY_ESCAPES, unescape_copy, broken) if has_escape else column
            for column, has_escape in zip(columns, with_backslash(columns), strict=True)
        ]
    if broken.any():
        columns = [column.filter(pl.Series(~broken)) for column in columns]
    return Columns(~broken, columns)


def is_table(data: bytes, height: int, width: int) -> bool:
    """Return whether each line has a field for each column.

    A tab or a line feed behind a backslash ends a field too; then `of_table` finds half an escape in that field.
    """
    return data.translate(None, _OTHER_BYTES) == (b"\t" * (width - 1) + b"\n") * height


def brackets(data: bytes, *, backslash: bool) -> tuple[Positions, Positions]:
    """Return the positions of the round brackets outside strings: of those that open, and behind those that close."""
    codes = np.frombuffer(data, np.uint8)
    _, inside = _quotes(data, backslash=backslash)
    opening, closing = (np.flatnonzero((codes == bracket) & ~inside) for bracket in b"()")
    return opening, closing + 1


def _quotes(data: bytes, *, backslash: bool) -> tuple[Flags, Flags]:
    """Return which bytes are quotes that begin or end strings, and which are inside of strings."""
    codes = np.frombuffer(data, np.uint8)
    quotes = codes == _QUOTE
    if backslash and b"\\" in data:
        quotes[_escaped(codes)] = False
    parity = prefix_parity(words(quotes)).view(np.uint8)
    return quotes, np.unpackbits(parity, count=len(codes), bitorder="little").view(bool)


def _read(
    data: bytes, usual: Flags, starts: Positions, ends: Positions, closings: Positions, *, backslash: bool
) -> Columns:
    """Read the values between some positions, of records by columns."""
    begins = starts
    codes = np.frombuffer(data, np.uint8)
    empty = starts >= ends
    quoted = (codes[np.minimum(starts, len(codes) - 1)] == _QUOTE) & ~empty
    closed = ends[quoted] - 1
    good = ~empty.any(axis=1)
    if not np.array_equal(closed, closings):
        good &= _whole(starts, ends, quoted, closings)
    starts, ends = starts + quoted, ends - quoted
    starts[~good] = ends[~good] = begins[~good]  # what is no string may end inside a character
    values = []
    for index in range(starts.shape[1]):
        column = slices(data, starts[:, index], np.maximum(ends[:, index], starts[:, index]), pa.large_string())
        column, literal = _literals(column, quoted[:, index], backslash=backslash)
        values.append(column)
        good &= literal
    if good.all():
        return Columns(usual, values)
    usual = usual.copy()
    usual[np.flatnonzero(usual)[~good]] = False
    return Columns(usual, [column.filter(pl.Series(good)) for column in values])


def _whole(starts: Positions, ends: Positions, quoted: Flags, closings: Positions) -> Flags:
    """Return the records in which each value that begins with a quote ends with it, and no other value has one."""
    before = np.searchsorted(closings, starts)
    count = np.searchsorted(closings, ends) - before
    last = closings[np.minimum(before, max(len(closings) - 1, 0))] == ends - 1 if len(closings) else quoted & False
    whole: Flags = np.where(quoted, (count == 1) & last, count == 0).all(axis=1)
    return whole


def _literals(column: pl.Series, quoted: Flags, *, backslash: bool) -> tuple[pl.Series, Flags]:
    """Return the values that literals mean, and which of them are literals."""
    if quoted.all():
        return _unquoted(column, backslash=backslash), np.ones(len(column), bool)
    bare = pl.Series(~quoted)
    cell = pl.col("cell")
    frame = pl.DataFrame({"cell": column, "bare": bare}).with_columns(
        literal=~pl.col("bare") | cell.str.contains(_LITERAL),
        null=pl.col("bare") & cell.str.contains("^[nN]"),
        word=pl.col("bare") & cell.str.contains("^[tTfF]"),
    )
    texts = pl.when(pl.col("word")).then(cell.str.to_lowercase()).when(~pl.col("null")).then(cell)
    literal: Flags = frame.get_column("literal").to_numpy()
    value = frame.select(texts.alias("cell")).get_column("cell")
    return (_unquoted(value, backslash=backslash) if quoted.any() else value), literal


def _unquoted(column: pl.Series, *, backslash: bool) -> pl.Series:
    """Return strings without their escapes."""
    if backslash:
        return _decoded(column, MYSQL_ESCAPES, unescape_mysql, np.zeros(len(column), bool))
    return column.str.replace_all("''", "'", literal=True)


def _decoded(
    column: pl.Series, escapes: Mapping[str, str], unescape: Callable[[bytes], bytes], broken: Flags
) -> pl.Series:
    """Return a column without escapes: the usual ones at once, others by the cell; flag what cannot be decoded."""
    has_escape = column.str.contains("\\", literal=True)
    if "''" in escapes:
        has_escape |= column.str.contains("''", literal=True)
    has_escape = has_escape.fill_null(value=False)
    if not has_escape.any():
        return column
    indices = has_escape.arg_true()
    cells = column.gather(indices)
    letters = "".join(escape[1] for escape in escapes if escape[0] == "\\" and escape[1] != "\\")
    usual = cells.str.contains(rf"\A(?s:[^\\]|\\[\\{letters}])*\z")
    column = column.scatter(indices, cells.str.replace_many(list(escapes), list(escapes.values())))
    indices = indices.filter(~usual)
    texts: list[str | None] = []
    for index, text in zip(indices, cells.filter(~usual), strict=True):
        try:
            texts.append(unescape(text.encode()).decode())
        except (ExpressionError, UnicodeDecodeError):
            broken[index] = True
            texts.append(None)
    return column.scatter(indices, pl.Series(texts, dtype=pl.String)) if texts else column


def _escaped(codes: np.ndarray) -> Positions:
    """Return the positions of the bytes that a backslash before them makes literal."""
    backslashes = find_all(codes, _BACKSLASH)
    begins = np.concatenate((np.ones(1, bool), np.diff(backslashes) != 1))
    run = np.cumsum(begins) - 1
    rank = np.arange(len(backslashes)) - np.flatnonzero(begins)[run]
    after: Positions = backslashes[rank % 2 == 0] + 1
    return after[after < len(codes)]


def _strip(codes: np.ndarray, starts: Positions, ends: Positions) -> None:
    """Move starts and ends past white space, up to a limit."""
    for _ in range(_MOST_BLANKS):
        blank = np.isin(codes[np.minimum(starts, len(codes) - 1)], _BLANKS) & (starts < ends)
        if not blank.any():
            break
        starts += blank
    for _ in range(_MOST_BLANKS):
        blank = np.isin(codes[ends - 1], _BLANKS) & (starts < ends)
        if not blank.any():
            break
        ends -= blank
