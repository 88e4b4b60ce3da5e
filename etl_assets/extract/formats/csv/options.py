"""Options of delimited text: comma, semicolon, tab, with or without quotes, in any declared encoding.

`reader` cuts a stream into batches, `records` finds where records end, `batch` parses a batch, and `encoding` decodes.

The exact syntax:

* Lines end with LF or CRLF; a bare CR inside a line is part of the value. A blank line is no record.
* A quote within a quoted field is written twice. See `records` for quotes that break this rule.
* A field that is empty, or is one of the null words, has no value, with or without quotes.
* No record is larger than a batch. A quote that stays open for longer makes a misquoted record; a longer line stops
  the delivery.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import BATCH_BYTES, LARGEST_BATCH
from etl_assets.extract.formats.csv.records import Layout
from etl_assets.extract.formats.encoding import UTF8, canonical, reads_like_ascii
from etl_assets.schema import RECORD_NO

_SMALLEST_BATCH: Final = 64


@dataclass(frozen=True)
class CsvOptions:
    """Delimited text.

    Attributes:
        delimiter: The character between fields.
        quote: The character around fields that contain delimiters or line ends; None when there is none.
        encoding: Encoding of the bytes. A byte order mark is accepted in UTF-8, UTF-16 and UTF-32.
        header: True, for a file whose first record has the names; or the names, for a file without a header.
        skip_lines: Number of lines at the start of the file, before the header, that are neither names nor records.
        null: Words that mean 'no value' in every column, quoted or not.
        comment: The characters at the start of comment lines, which are no records; None when there are none.
        decimal: The character before the fraction of numbers.
        short_records: Whether a record may omit its last fields; they then have no value.
        unterminated: What happens if a file does not end with a line end, so that its last record may have been cut:
            ``"reject"`` that record, ``"report"`` it, or ``"refuse"`` the delivery.
        batch_bytes: Largest size of a batch.
    """

    delimiter: str = ","
    quote: str | None = '"'
    encoding: str = UTF8
    header: Literal[True] | tuple[str, ...] = True
    skip_lines: int = 0
    null: tuple[str, ...] = ()
    comment: str | None = None
    decimal: str = "."
    short_records: bool = False
    unterminated: Literal["reject", "report", "refuse"] = "reject"
    batch_bytes: int = BATCH_BYTES

    def __post_init__(self) -> None:
        self._check_characters()
        self._check_names()
        try:
            canonical(self.encoding)
        except (LookupError, ValueError) as error:
            problem = f"{self.encoding!r} is not known, or not of text files"
            raise _error("encoding", problem, "Write one like 'utf-8' or 'cp1252'") from error
        if self.skip_lines < 0:
            raise _error("skip_lines", "is below 0", "Write how many lines come before the header")
        if not _SMALLEST_BATCH <= self.batch_bytes <= LARGEST_BATCH:
            remedy = f"Write {_SMALLEST_BATCH} to {LARGEST_BATCH} (1 GiB)"
            raise _error("batch_bytes", f"is {self.batch_bytes}", remedy)

    def _check_characters(self) -> None:
        for field, value in (("delimiter", self.delimiter), ("quote", '"' if self.quote is None else self.quote)):
            if len(value) != 1 or not value.isascii() or value in "\r\n\0":
                raise _error(field, f"{value!r} is not one ASCII character", "Write one, e.g. ';' or '\\t'")
        if self.delimiter == self.quote:
            raise _error("quote", "is the delimiter too", "Write quote=None when nothing is quoted")
        if self.comment is not None and (
            not self.comment or not self.comment.isascii() or set("\r\n") & set(self.comment)
        ):
            raise _error("comment", f"{self.comment!r} cannot begin a line", "Write ASCII characters, e.g. '#'")
        if self.comment and self.comment[0] in (self.quote, self.delimiter):
            raise _error("comment", "begins like a record", "Begin it with neither quote nor delimiter")
        if self.decimal not in (".", ","):
            raise _error("decimal", f"{self.decimal!r} is unknown", "Write '.' or ','")

    def _check_names(self) -> None:
        header = self.header
        if header is True:
            return
        if not header or not all(header):
            raise _error("header", "names nothing, or a column ''", "Write all column names of the file: ('a', 'b')")
        if len(set(header)) < len(header) or RECORD_NO in header:
            raise _error("header", "names a column twice", f"Give each a name of its own, other than {RECORD_NO}")

    @property
    def layout(self) -> Layout:
        """How records are written, as bytes."""
        return Layout(self.delimiter.encode(), (self.quote or "").encode(), (self.comment or "").encode())

    @property
    def codec(self) -> str:
        """Python's name of the encoding."""
        return canonical(self.encoding)

    @property
    def transcoded(self) -> bool:
        """Whether the stream must be transcoded to UTF-8 first; offsets then count bytes of the UTF-8 stream."""
        return not reads_like_ascii(self.codec)


def _error(field: str, problem: str, remedy: str) -> DeclarationError:
    return DeclarationError("format Csv", field, problem, remedy)
