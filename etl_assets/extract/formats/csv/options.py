"""Delimited text: comma, semicolon, tab, with or without quotes, in any declared encoding.

Here lives what is declared. Cutting a stream into batches is `reader`'s business, where records end is `records`'s,
what a batch holds is `batch`'s, encodings are `encoding`'s.

What is read, exactly:

* Lines end with LF or CRLF; a bare CR inside a line is part of the value. A blank line is no record.
* A quote within a quoted field is written twice. See `records` for quotes that break the rule.
* A field that is empty, or is one of the null words, has no value, whether it stands in quotes or not.
* No record is larger than a batch: a quote left open for longer is a misquoted record, a line longer than that
  stops the delivery.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import BATCH_BYTES
from etl_assets.extract.formats.csv.records import Layout
from etl_assets.extract.formats.encoding import UTF8, canonical, reads_like_ascii
from etl_assets.schema import RECORD_NO

_SMALLEST_BATCH: Final = 64


@dataclass(frozen=True)
class CsvOptions:
    """Delimited text.

    Attributes:
        delimiter: The character between fields.
        quote: The character around fields that hold delimiters or line ends; None when there is none.
        encoding: Of the bytes. A byte order mark is accepted in UTF-8, UTF-16 and UTF-32.
        header: True, for a file whose first record holds the names; or the names, for one without them.
        skip_lines: Number of lines at the start of the file, before the header, that are neither names nor records.
        null: Words that mean 'no value' in every column, quoted or not.
        comment: What a line begins with that is no record; None when there are none.
        decimal: The character before the fraction of numbers.
        short_records: Whether a record may leave out its last fields; they have no value then.
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
    batch_bytes: int = BATCH_BYTES

    def __post_init__(self) -> None:
        self._check_characters()
        self._check_names()
        try:
            canonical(self.encoding)
        except LookupError as error:
            raise _wrong("encoding", f"{self.encoding!r} is unknown", "Write one like 'utf-8' or 'cp1252'") from error
        if any(not isinstance(word, str) for word in self.null) or not isinstance(self.null, tuple):
            raise _wrong("null", "is not a tuple of words", "Write null=('NA',)")
        if self.skip_lines < 0:
            raise _wrong("skip_lines", "is below 0", "Write how many lines come before the header")
        if self.batch_bytes < _SMALLEST_BATCH:
            raise _wrong("batch_bytes", "is too small", f"Write at least {_SMALLEST_BATCH}")

    def _check_characters(self) -> None:
        for field, value in (("delimiter", self.delimiter), ("quote", '"' if self.quote is None else self.quote)):
            if len(value) != 1 or not value.isascii() or value in "\r\n\0":
                raise _wrong(field, f"{value!r} is not one ASCII character", "Write one, e.g. ';' or '\\t'")
        if self.delimiter == self.quote:
            raise _wrong("quote", "is the delimiter too", "Write quote=None when nothing is quoted")
        if self.comment is not None and (not self.comment or not self.comment.isascii() or "\n" in self.comment):
            raise _wrong("comment", f"{self.comment!r} cannot begin a line", "Write ASCII characters, e.g. '#'")
        if self.comment and self.comment[0] in (self.quote, self.delimiter):
            raise _wrong("comment", "begins like a record", "Begin it with neither quote nor delimiter")
        if self.decimal not in (".", ","):
            raise _wrong("decimal", f"{self.decimal!r} is unknown", "Write '.' or ','")

    def _check_names(self) -> None:
        header: object = self.header
        if header is True:
            return
        if not isinstance(header, tuple) or not header:
            remedy = "Write True, or the column names of a file without them: ('a', 'b')"
            raise _wrong("header", f"is {self.header!r}", remedy)
        if len(set(header)) < len(header) or RECORD_NO in header:
            raise _wrong("header", "names a column twice", f"Give each a name of its own, other than {RECORD_NO}")

    @property
    def layout(self) -> Layout:
        """How records are written, in bytes."""
        return Layout(self.delimiter.encode(), (self.quote or "").encode(), (self.comment or "").encode())

    @property
    def codec(self) -> str:
        """Python's name of the encoding."""
        return canonical(self.encoding)

    @property
    def transcoded(self) -> bool:
        """Whether the stream must be turned into UTF-8 first; offsets then count bytes of that."""
        return not reads_like_ascii(self.codec)


def _wrong(field: str, problem: str, remedy: str) -> DeclarationError:
    return DeclarationError("format Csv", field, problem, remedy)
