"""FixedWidth: the format of columns by position.

The exact syntax, beside that of `LineFormat`:

* Positions count characters from 1, after decoding.
* A field of nothing but blanks has no value, unless its blanks are kept.
* Every record is exactly as long as declared; ``short_records`` allows blanks at its end to be left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.fixed_width.checks import check_records
from etl_assets.extract.formats.fixed_width.fields import Field, Filler, HeaderRecord, RecordCode, TrailerRecord
from etl_assets.extract.formats.lines import LineFormat, LineKind, ParsedLines
from etl_assets.extract.formats.lines.parsed import RULES
from etl_assets.model.rule import RuleInfo

if TYPE_CHECKING:
    from etl_assets.extract.formats.bits import Flags
    from etl_assets.extract.formats.lines import Lines
    from etl_assets.extract.formats.lines.lines import Kinds

LENGTH: Final = "record__length"
TYPE: Final = "record__type"
FILLER: Final = "record__filler"
_LENGTH_RULE: Final = RuleInfo(LENGTH, "the record is as long as declared")
_TYPE_RULE: Final = RuleInfo(TYPE, "the record has one of the declared record codes")
_FILLER_RULE: Final = RuleInfo(FILLER, "the record has blanks where the format declares blank filler")


@dataclass(frozen=True)
class FixedWidth(LineFormat):
    """Columns by position; see `LineFormat` for the other arguments.

    Attributes:
        fields: The fields, and filler to be checked; other positions are not published.
        length: Number of characters of a record; None if it ends with the last of the fields.
        short_records: Whether a record may omit blanks at its end. A record that was cut there is then not noticed.
        code: The code that distinguishes the kinds of lines; None if every line is a record.
        header: The first line of each file, which is no record; None if there is none.
        trailer: The last line of each file, which is no record; None if there is none.
    """

    fields: tuple[Field | Filler, ...]
    length: int | None = None
    short_records: bool = False
    code: RecordCode | None = None
    header: HeaderRecord | None = None
    trailer: TrailerRecord | None = None

    def __post_init__(self) -> None:
        check_records(self)
        super().__post_init__()

    @property
    def width(self) -> int:
        """Number of characters of a record."""
        return self.length if self.length is not None else max(part.last for part in self.fields)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields, and then those of the header."""
        fields = (*self.fields, *self._header_fields)
        return tuple(part.name for part in fields if isinstance(part, Field))

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """See `Format.rules`."""
        code = (_TYPE_RULE,) if self.code else ()
        filler = (_FILLER_RULE,) if self._blank else ()
        return (_LENGTH_RULE, *code, *filler, *RULES)

    def is_whole(self, line: str) -> bool:
        """Return whether a record has all its characters."""
        return len(line) == self.width

    def kinds(self, lines: Lines) -> Kinds:
        """Return what each line is, by its record code."""
        kinds = np.full(len(lines), LineKind.RECORD, np.uint8)
        if self.code:
            codes = self._padded(lines.text).str.slice(self.code.start - 1, self.code.width)
            kinds[codes.is_in(self.code.skipped).to_numpy()] = LineKind.SKIPPED
            for declared, kind in ((self.header, LineKind.HEADER), (self.trailer, LineKind.TRAILER)):
                if declared:
                    kinds[(codes == declared.code).to_numpy()] = kind
        return kinds

    def parse_lines(self, lines: Lines, context: str) -> ParsedLines:
        """Cut all lines at once."""
        text = lines.text
        lengths = lines.ends - lines.starts if lines.is_ascii else text.str.len_chars().to_numpy()
        text = self._padded(text)
        broken = self._broken(text, lengths)
        good = np.ones(len(lines), bool)
        for flags in broken.values():
            good &= ~flags
        values = json.loads(context or "{}")  # empty where there are no records
        header = [pl.lit(values.get(part.name), pl.String).alias(part.name) for part in self._header_fields]
        cells = [_cell(pl.col("line"), part) for part in self.fields if isinstance(part, Field)]
        frame = text.alias("line").filter(pl.Series(good)).to_frame()
        return ParsedLines(frame.select(*cells, *header), broken)

    def _broken(self, text: pl.Series, lengths: np.ndarray) -> dict[str, Flags]:
        """Return, for each rule, which lines break it; of a line whose kind is not known, the length is not checked."""
        wrong = lengths > self.width if self.short_records else lengths != self.width
        broken = {LENGTH: wrong}
        if self.code:
            has_code = np.full(len(text), self.short_records) | (lengths >= self.code.last)
            codes = text.str.slice(self.code.start - 1, self.code.width)
            known = ~codes.is_in(self._other_codes) if self.code.records is None else codes.is_in(self.code.records)
            broken[TYPE] = has_code & ~known.to_numpy()
            broken[LENGTH] = wrong & ~broken[TYPE]
        if self._blank:
            stray = pl.any_horizontal(_cell(pl.col("line"), part).fill_null("") != "" for part in self._blank)
            broken[FILLER] = text.alias("line").to_frame().select(stray).to_series().to_numpy() & ~wrong
            if self.code:
                broken[FILLER] &= ~broken[TYPE]
        return broken

    def read_header(self, header: str | None, where: str) -> str:
        """Return the values of the header as a JSON object."""
        if self.header is None:
            return ""
        if header is None:
            raise DeliveryError(
                f"{where} does not begin with a header, code {self.header.code!r}. Nothing was written. Check the "
                "feed, and whether the code is declared as the publisher writes it."
            )
        length = max((part.last for part in self._header_fields), default=0)
        if (len(header) < length and not self.short_records) or {"\0", "\ufffd"} & set(header):
            raise DeliveryError(
                f"{where} has a header that is too short or not readable. Nothing was written. Check the feed, and "
                "whether the fields of the header and the encoding are declared as the publisher writes them."
            )
        line = pl.Series("line", [header]).to_frame()
        cells = [_cell(pl.col("line"), part) for part in self._header_fields]
        return json.dumps(line.select(cells).row(0, named=True) if cells else {})

    def check_trailer(self, trailer: str | None, count: int, where: str) -> None:
        """Compare the trailer's number of lines with those of the file."""
        declared = self.trailer
        if declared is None:
            return
        if trailer is None:
            raise DeliveryIncompleteError(
                f"{where} does not end with a trailer, code {declared.code!r}, so that it may have been cut. Nothing "
                "was written. Fetch it again when it is whole."
            )
        if declared.count is None:
            return
        published = trailer[declared.count.start - 1 : declared.count.last].strip(" ")
        left_out = {"trailer", "header" if self.header else "trailer"} - {*declared.includes}
        counted = count - len(left_out)
        if published.lstrip("0") != str(counted or ""):
            without = f" without {' and '.join(sorted(left_out))}" if left_out else ""
            number = f"{int(published):,}" if published.isascii() and published.isdigit() else "no number"
            raise DeliveryIncompleteError(
                f"{where} has {counted:,} lines{without}, but its trailer has {number}. Nothing was written. Fetch it "
                "again when it is whole; if it is whole, correct which lines its trailer includes."
            )

    @property
    def _header_fields(self) -> tuple[Field, ...]:
        return self.header.fields if self.header else ()

    @property
    def _blank(self) -> tuple[Filler, ...]:
        return tuple(part for part in self.fields if isinstance(part, Filler) and part.blank)

    @property
    def _other_codes(self) -> list[str]:
        """The codes of the lines that are no records."""
        enclosing = [declared.code for declared in (self.header, self.trailer) if declared]
        return [*enclosing, *(self.code.skipped if self.code else ())]

    def _padded(self, text: pl.Series) -> pl.Series:
        """Return lines with the blanks that they may omit."""
        return text.str.pad_end(self.width) if self.short_records else text


def _cell(line: pl.Expr, part: Field | Filler) -> pl.Expr:
    cell = line.str.slice(part.start - 1, part.last - part.start + 1)
    strip = part.strip if isinstance(part, Field) else "both"
    if strip == "both":
        cell = cell.str.strip_chars(" ")
    elif strip is not None:
        cell = cell.str.strip_chars_start(" ") if strip == "left" else cell.str.strip_chars_end(" ")
    return cell.alias(part.name)
