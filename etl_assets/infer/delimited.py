"""Recognises delimited text: delimiter, quotes, escapes, lines before the header, and whether there is a header.

A dialect is taken only if `Csv` itself reads the sample with it. What the sample does not decide becomes a doubt.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import polars as pl

from etl_assets.errors import DeclarationError, DeliveryError
from etl_assets.extract.formats.csv import Csv
from etl_assets.infer.headers import names_in_doubt, with_own_names
from etl_assets.infer.recognised import Recognised, frames, sample_of
from etl_assets.infer.text import encoding_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WEIGHTS: Final = {",": 1.0, ";": 1.6, "\t": 1.6, "|": 1.6, "^": 0.8, "~": 0.8, "\x1f": 1.6, "\x01": 1.6, ":": 0.5}
"""How likely each character is the delimiter if it divides all lines alike: others than commas are rare in texts."""
_WEIGHT_OF_SEVERAL: Final = 1.8
_IGNORING_QUOTES: Final = 0.4
_OWN_NAMES: Final = 0.5
_SEVERAL: Final = re.compile(r"[|:;,~^@#$&*+=<>!%/\t-]{2,8}")
"""Characters that may be a delimiter together."""
_DIVIDING: Final = frozenset(",;|\t")
"""Characters that divide alone."""
_ALONE: Final = re.compile(r"(?<![,;|\t])[,;|\t](?![,;|\t])")
_MOST_SEVERAL: Final = 3
_COMMENT: Final = "#"
_WITH_COMMA: Final = r"\A[+-]?[0-9]+(?:,[0-9]+)?\z"
_WITH_THOUSANDS: Final = r"\A[+-]?(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,[0-9]+)?\z"
"""Numbers whose thousands may be separated by points."""
_NUMBER: Final = r"[+-]?[0-9]*[.,]?[0-9]+(?:[eE][+-]?[0-9]+)?"
_QUOTES: Final = ('"', "'", None)
_MOST_LINES_BEFORE: Final = 30
_MOST_LINES_COUNTED: Final = 1_000
_TOLERATED: Final = 0.05
"""A larger share of malformed records is another dialect."""
_MOST_CHECKED: Final = 1_000
_LONGEST_VALUE: Final = 200


def recognise_delimited(sample: bytes) -> Recognised | None:
    """Return the dialect of delimited text; None if no delimiter divides all lines alike.

    Args:
        sample: The first bytes of the file, up to the end of a line.
    """
    encoding, doubts = encoding_of(sample)
    dialects = [_dialect(format_, sample) for format_ in _candidates(sample, encoding)]
    best = max(dialects, key=lambda dialect: dialect.likeliness(sample), default=None)
    if best is None or best.malformed > _TOLERATED or best.columns < 2:  # noqa: PLR2004 -- of one, nothing is divided
        return None
    if best.malformed:
        doubts.append(f"{best.malformed:.1%} of the records in the first bytes are malformed: they would be rejected")
    return _with_header(best.format, sample, doubts)


def recognise_one_column(sample: bytes) -> Recognised | None:
    """Return the dialect of text in which each line is one short value; None if it is no such text.

    Args:
        sample: The first bytes of the file, up to the end of a line.
    """
    encoding, doubts = encoding_of(sample)
    text = sample.decode(encoding, "replace")
    lines = [line for line in text.removeprefix("\ufeff").splitlines() if line.strip()]
    delimiter = next((character for character in ",;\t|" if character not in text), None)
    if delimiter is None or len(lines) < 2 or max(map(len, lines)) > _LONGEST_VALUE:  # noqa: PLR2004 -- a name, a value
        return None
    format_ = Csv(delimiter, encoding=encoding, unterminated="report")
    if _measured(format_, sample) != (1, 0.0):
        return None
    return _with_header(format_, sample, [*doubts, "no delimiter was found: each line is one value"])


class _Dialect(NamedTuple):
    """A dialect, the number of columns with a name that it makes of a sample, and the share of malformed records."""

    format: Csv
    columns: int
    malformed: float

    def likeliness(self, sample: bytes) -> float:
        """Return a number that is greater for more columns, and less for malformed records and unlikely settings."""
        unlikely = 0.7 * (self.format.skip_lines > 0) + 0.7 * self.format.short_records
        unlikely += 0.2 * (self.format.escape is not None)
        unlikely += 1.2 * (self.format.escape is None and f"\\{self.format.delimiter}".encode() in sample)
        weight = _WEIGHTS.get(self.format.delimiter, _WEIGHT_OF_SEVERAL)
        weight *= _IGNORING_QUOTES if self.ignores_quotes(sample) else 1
        weight *= 1 if self.format.header is True else _OWN_NAMES
        return weight * self.columns * (1 - self.malformed / _TOLERATED) - unlikely

    def ignores_quotes(self, sample: bytes) -> bool:
        """Return whether the dialect reads double quotes as part of the values, although they may be around fields."""
        if self.format.quote in {'"', None}:
            return self.format.quote is None and b'"' in sample
        delimiter = re.escape(self.format.delimiter)
        around = rf'(?m)(?:^|{delimiter})"[^"\r\n]*"(?:{delimiter}|\r?$)'
        return re.search(around, sample.decode(self.format.encoding, "replace")) is not None


def _dialect(format_: Csv, sample: bytes) -> _Dialect:
    """Measure a dialect; if many of its records are too short, measure the dialect that has short records."""
    strict = _Dialect(format_, *_measured(format_, sample))
    if strict.malformed <= _TOLERATED or format_.escape is not None:  # what is no escape makes records short
        return strict
    short = replace(format_, short_records=True)
    return _Dialect(short, *_measured(short, sample))


def _candidates(sample: bytes, encoding: str) -> Iterator[Csv]:
    text = sample.decode(encoding, "replace").removeprefix("\ufeff")
    line_end: Literal["\n", "\r"] = "\r" if "\r" in text and "\n" not in text else "\n"
    lines = _lines(text, line_end)
    for delimiter in (*(character for character in _WEIGHTS if character in text), *_several(lines)):
        for quote in _QUOTES:
            if (quote is not None and quote not in text and quote != '"') or (quote and quote in delimiter):
                continue
            before = _lines_before(lines, delimiter, quote)
            csv = Csv(delimiter, quote, encoding, skip_lines=before, line_end=line_end, unterminated="report")
            yield with_own_names(_with_comments(csv, lines), lines)
            if "\\" not in delimiter and re.search(rf"\\[{re.escape(delimiter + (quote or ''))}\r\n]", text):
                plain = [re.sub(r"\\.", "", line) for line in lines[:_MOST_LINES_COUNTED]]
                escaped = replace(csv, escape="\\", skip_lines=_lines_before(plain, delimiter, quote))
                yield with_own_names(escaped, lines)


def _lines(text: str, line_end: str) -> list[str]:
    """Return the lines of a text as `Csv` counts them, in which other line breaks, such as form feeds, may be."""
    return [line.removesuffix("\r") for line in text.removesuffix(line_end).split(line_end)]


def _with_comments(csv: Csv, lines: Sequence[str]) -> Csv:
    """Return a dialect with comments, if lines begin like them and none of these divides like a record."""
    signed = [line.startswith(_COMMENT) for line in lines]
    if not any(signed[:_MOST_LINES_BEFORE]):
        return csv
    counts = list(zip(_delimiters_in(lines, csv.delimiter, csv.quote), signed, strict=True))
    in_others = Counter(count for count, is_signed in counts if count and not is_signed)
    in_records = {count for count, times in in_others.items() if times >= _TOLERATED * in_others.total()}
    if not in_records or any(count in in_records for count, is_signed in counts if is_signed):
        return csv
    try:
        return replace(csv, comment=_COMMENT)
    except DeclarationError:
        return csv


def _several(lines: Sequence[str]) -> list[str]:
    """Return sequences of characters that occur equally often in most lines, the most frequent first."""
    counted = lines[:_MOST_LINES_COUNTED]
    in_lines = [Counter(_SEVERAL.findall(line)) for line in counted]
    totals: Counter[str] = sum(in_lines, Counter())
    alone = Counter(character for line in counted for character in _ALONE.findall(line))
    found = [several for several in totals if _divides(several, totals[several], alone)]
    alike = [several for several in found if _usual([line[several] for line in in_lines]) > 0]
    return sorted(alike, key=lambda several: -totals[several])[:_MOST_SEVERAL]


def _divides(several: str, times: int, alone: Counter[str]) -> bool:
    """Return whether a sequence may be a delimiter.

    Of one like ``,+`` only the comma divides. Two commas are around an empty field if other commas stand alone.
    """
    if _DIVIDING.isdisjoint(several):
        return True
    is_repeated = len(set(several)) == 1
    return several == several[::-1] and not (is_repeated and alone[several[0]] > _TOLERATED * times)


def _usual(counts: Sequence[int]) -> int:
    """Return the number that most of some numbers are; 0 if they are not alike."""
    ((usual, times),) = Counter(counts).most_common(1) or [(0, 0)]
    return usual if 2 * times > len(counts) else 0


def _lines_before(lines: list[str], delimiter: str, quote: str | None) -> int:
    """Return the number of lines before the first that has as many delimiters outside quotes as most lines.

    A title, or nothing, with the delimiters of a record is before it, too.
    """
    counts = _delimiters_in(lines[:_MOST_LINES_COUNTED], delimiter, quote)
    usual = max(set(counts), key=counts.count, default=0)
    names = min(usual, 2)
    divided = (number for number, count in enumerate(counts) if count >= usual > 0)
    first = next((number for number in divided if _texts_in(lines[number], delimiter) >= names), 0)
    return first if first <= _MOST_LINES_BEFORE else 0


def _texts_in(line: str, delimiter: str) -> int:
    """Return how many parts of a line between delimiters, also those within quotes, are more than blanks and quotes."""
    return sum(bool(part.strip(" \"'")) for part in line.split(delimiter))


def _delimiters_in(lines: Sequence[str], delimiter: str, quote: str | None) -> list[int]:
    """Return the number of delimiters outside quotes in each line."""
    quoted = re.compile("" if quote is None else f"{quote}[^{quote}]*{quote}")
    return [quoted.sub("", line).count(delimiter) for line in lines]


def _measured(format_: Csv, sample: bytes) -> tuple[int, float]:
    """Return the number of columns, and the share of malformed records.

    Columns with names in the file are counted if there are several, and else those with values.
    """
    try:
        batches = sample_of(format_, sample)
    except DeliveryError:
        return 0, 1.0
    records = sum(batch.span.records for batch in batches)
    malformed = sum(batch.malformed.height for batch in batches)
    share = malformed / records if records else 0.0
    named = sum(map(bool, batches[0].names))
    if format_.header is True and named > 1:
        return named, share
    return sum(cells.null_count() < len(cells) for cells in frames(batches)), share


def _with_header(format_: Csv, sample: bytes, doubts: list[str]) -> Recognised:
    """Return the dialect, with names if the first record has values and not names."""
    batches = sample_of(format_, sample)
    names = batches[0].names
    body = frames(batches)
    if format_.header is not True:
        lines = _lines(sample.decode(format_.encoding, "replace").removeprefix("\ufeff"), format_.line_end)
        doubts.append(names_in_doubt(format_, lines))
    if _has_decimal_commas(format_, body):
        format_ = replace(format_, decimal=",")
        doubts.append("a comma in numbers is read as the point before their fraction")
    if format_.header is not True:
        return Recognised(format_, tuple(doubts))
    repeated = [n for n in names if body.height and n in body.get_column(n).head(_MOST_CHECKED).to_list()]
    numbers = [name for name in names if name and re.fullmatch(_NUMBER, name)]
    has_values = bool(numbers) and not _are_years(numbers)
    if not has_values and _header_is_repeated(names, body):
        doubts.append("the header is repeated among the records; it is skipped there")
        return Recognised(replace(format_, repeated_header="skip"), tuple(doubts))
    has_row_names = "" in names and not numbers
    if not has_row_names and (has_values or (repeated and len(repeated) > len(names) // 2)):
        doubts.append("the first record has values and no names: name the columns")
        numbered = tuple(f"column_{number}" for number in range(1, len(names) + 1))
        return Recognised(replace(format_, header=numbered), tuple(doubts))
    return Recognised(format_, tuple(doubts))


def _header_is_repeated(names: Sequence[str], body: pl.DataFrame) -> bool:
    """Return whether records are the header: most names are values of no other record, as values would be."""
    named = [name for name in names if name]
    if body.is_empty() or not named:
        return False
    times = body.filter(pl.all_horizontal(pl.col(name) == name for name in named)).height
    alone = sum((body.get_column(name) == name).sum() == times for name in named)
    return times > 0 and 2 * alone > len(named)


def _are_years(numbers: Sequence[str]) -> bool:
    """Return whether numbers in a header are consecutive ones, such as years, which name columns."""
    if not all(number.isdigit() for number in numbers) or len(numbers) < 2:  # noqa: PLR2004 -- consecutive
        return False
    values = [int(number) for number in numbers]
    steps = {after - before for before, after in pairwise(values)}
    return steps in ({1}, {-1})


def _has_decimal_commas(format_: Csv, body: pl.DataFrame) -> bool:
    """Return whether a column has nothing but numbers, some with a comma, and no column has fractions with a point.

    Beside commas in text that semicolons divide, three digits after a point are thousands rather than a fraction.
    """
    if format_.delimiter == ",":
        return False
    pattern = _WITH_THOUSANDS if format_.delimiter == ";" else _WITH_COMMA
    cells = [body.get_column(name).head(_MOST_CHECKED).drop_nulls().str.strip_chars() for name in body.columns]
    with_comma = any(_all_are(pattern, column) and column.str.contains(",").any() for column in cells)
    with_point = [column for column in cells if _all_are(r"\A[+-]?[0-9]+\.[0-9]+\z", column)]
    return with_comma and all(_all_are(pattern, column) for column in with_point)


def _all_are(pattern: str, cells: pl.Series) -> bool:
    return not cells.is_empty() and bool(cells.str.contains(pattern).all())
