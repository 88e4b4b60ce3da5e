"""Recognises delimited text: encoding, delimiter, quotes, lines before the header, and whether there is a header.

A dialect is taken only if `Csv` itself reads the sample with it. What the sample does not decide becomes a doubt.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.csv import Csv
from etl_assets.extract.formats.encoding import UTF8
from etl_assets.extract.formats.utf8 import is_utf8
from etl_assets.infer.recognised import Recognised, frames, sample_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_DELIMITERS: Final = (",", ";", "\t", "|", "^", "~", "\x1f", ":")
_QUOTES: Final = ('"', "'", None)
_MOST_LINES_BEFORE: Final = 30
_MOST_LINES_COUNTED: Final = 1_000
_TOLERATED: Final = 0.05
"""A larger share of malformed records is another dialect."""
_MARKS: Final = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def recognise_delimited(sample: bytes) -> Recognised | None:
    """Return the dialect of delimited text; None if no delimiter divides all lines alike.

    Args:
        sample: The first bytes of the file, up to the end of a line.
    """
    encoding, doubts = _encoding(sample)
    dialects = [_dialect(format_, sample) for format_ in _candidates(sample, encoding)]
    best = max(dialects, key=lambda dialect: dialect.likeliness(sample), default=None)
    if best is None or best.malformed > _TOLERATED or best.columns < 2:  # noqa: PLR2004 -- of one, nothing is divided
        return None
    if best.malformed:
        doubts.append(f"{best.malformed:.1%} of the records in the first bytes are malformed: they would be rejected")
    return _with_header(best.format, sample, doubts)


class _Dialect(NamedTuple):
    """A dialect, the number of columns that it makes of a sample, and the share of malformed records."""

    format: Csv
    columns: int
    malformed: float

    def likeliness(self, sample: bytes) -> float:
        """Return a number that is greater for more columns, and less for malformed records and unlikely settings."""
        ignores_quotes = self.format.quote is None and b'"' in sample
        unlikely = 0.5 * ignores_quotes + 0.7 * (self.format.skip_lines > 0) + 0.7 * self.format.short_records
        return self.columns * (1 - self.malformed / _TOLERATED) - unlikely


def _dialect(format_: Csv, sample: bytes) -> _Dialect:
    """Measure a dialect; if many of its records are too short, measure the dialect that has short records."""
    strict = _Dialect(format_, *_measured(format_, sample))
    if strict.malformed <= _TOLERATED:
        return strict
    short = replace(format_, short_records=True)
    return _Dialect(short, *_measured(short, sample))


def _encoding(sample: bytes) -> tuple[str, list[str]]:
    """Return the encoding of some bytes, and what is not sure of it."""
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding, []
    if sample[1::2].count(0) > len(sample) // 4 or sample[::2].count(0) > len(sample) // 4:
        return ("utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"), []
    if is_utf8(sample):
        return UTF8, []
    doubt = "the bytes are not UTF-8; cp1252 is usual in Western Europe: look at the accented letters"
    try:
        sample.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1", [doubt.replace("cp1252", "latin-1")]
    return "cp1252", [doubt]


def _candidates(sample: bytes, encoding: str) -> Iterator[Csv]:
    text = sample.decode(encoding, "replace").removeprefix("\ufeff")
    lines = text.splitlines()
    for delimiter in _DELIMITERS:
        if delimiter not in text:
            continue
        comment = "#" if any(line.startswith("#") for line in lines[:_MOST_LINES_BEFORE]) else None
        for quote in _QUOTES:
            if quote is not None and quote not in text and quote != '"':
                continue
            csv = Csv(delimiter=delimiter, quote=quote, encoding=encoding, comment=comment, unterminated="report")
            yield replace(csv, skip_lines=_lines_before(lines, delimiter, quote))


def _lines_before(lines: list[str], delimiter: str, quote: str | None) -> int:
    """Return the number of lines before the first that has as many delimiters outside quotes as most lines."""
    quoted = "" if quote is None else f"{quote}[^{quote}]*{quote}"
    counts = [re.sub(quoted, "", line).count(delimiter) for line in lines[:_MOST_LINES_COUNTED]]
    usual = max(set(counts), key=counts.count, default=0)
    first = next((number for number, count in enumerate(counts) if count >= usual > 0), 0)
    return first if first <= _MOST_LINES_BEFORE else 0


def _measured(format_: Csv, sample: bytes) -> tuple[int, float]:
    """Return the number of columns, and the share of malformed records."""
    try:
        batches = sample_of(format_, sample)
    except DeliveryError:
        return 0, 1.0
    records = sum(batch.span.records for batch in batches)
    malformed = sum(batch.malformed.height for batch in batches)
    return len(batches[0].names), malformed / records if records else 0.0


def _with_header(format_: Csv, sample: bytes, doubts: list[str]) -> Recognised:
    """Return the dialect, with names if the first record has values and not names."""
    batches = sample_of(format_, sample)
    names = batches[0].names
    body = frames(batches)
    repeated = [name for name in names if body.height and name in body.get_column(name).head(1000).to_list()]
    numbers = [name for name in names if name.replace(".", "", 1).replace("-", "", 1).isdigit()]
    if numbers or "" in names or (repeated and len(repeated) > len(names) // 2):
        if "" in names and not numbers:
            doubts.append("the header has a column without a name; it is ignored")
            return Recognised(format_, tuple(doubts))
        doubts.append("the first record has values and no names: name the columns")
        numbered = tuple(f"column_{number}" for number in range(1, len(names) + 1))
        return Recognised(replace(format_, header=numbered), tuple(doubts))
    return Recognised(format_, tuple(doubts))
