r"""Options of delimited text: its characters, its lines, its header and footer, and what is done about odd records.

`reader` cuts a stream into batches, `plain` rewrites unusual layouts, `records` finds where records end, and `parse`
parses a batch.

The exact syntax:

* Lines end with LF or CRLF; a bare CR inside a line is part of the value. With ``line_end="\r"`` lines end with CR,
  and LF is part of the value. A blank line is no record.
* A quote within a quoted field is written twice. See `records` for quotes that break this rule.
* The escape character and what follows it stand for what follows, inside and outside quotes, if that is the quote, the
  escape character, a character of the delimiter, or a line end (CRLF, LF or CR). Before anything else, both characters
  are part of the value: ``\N`` is a backslash and an N, which may be declared a null word. The escaped character has
  no other meaning: it opens or closes no quotes and ends neither a field nor a line.
* A delimiter of several characters is found from the left: ``a|||b`` has the fields ``a`` and ``|b`` if it is ``||``.
* A field that is empty, or is one of the null words, has no value, with or without quotes. Null words are compared
  before escape sequences are resolved, so that ``\N`` can be one while ``\\N`` is the text of two characters.
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
_LONGEST_DELIMITER: Final = 8


@dataclass(frozen=True)
class CsvOptions:
    r"""Delimited text.

    Attributes:
        delimiter: The characters between fields, often one.
        quote: The character around fields that contain delimiters or line ends; None when there is none.
        encoding: Encoding of the bytes. A byte order mark is accepted in UTF-8, UTF-16 and UTF-32.
        header: True, for a file whose first record has the names; or the names, for a file without a header.
        skip_lines: Number of lines at the start of the file, before the header, that are neither names nor records.
        null: Words that mean 'no value' in every column, quoted or not.
        comment: The characters at the start of comment lines, which are no records; None when there are none.
        decimal: The character before the fraction of numbers.
        escape: The character that takes the meaning from the one after it; None when there is none.
        line_end: What ends a line: ``"\n"``, with or without a CR before it, or ``"\r"``, for CR alone.
        header_begins: How the line of the header begins, with its quotes; lines before it are neither names nor
            records. None if the header is the first line after ``skip_lines``.
        footer_begins: How the first line after the last record begins. A file without such a line is incomplete. None
            if records follow to the end.
        repeated_header: Whether a record whose fields are the published names is one (``"keep"``), or is no record
            (``"skip"``), as in files that were put together from several.
        short_records: Whether a record may omit its last fields; they then have no value.
        long_records: What happens to a record with more fields than names: ``"reject"`` it; ``"trim"`` delimiters from
            its end, if nothing is between them; or ``"join"`` what is too much to the last field, as published.
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
    escape: str | None = None
    line_end: Literal["\n", "\r"] = "\n"
    header_begins: str | None = None
    footer_begins: str | None = None
    repeated_header: Literal["keep", "skip"] = "keep"
    short_records: bool = False
    long_records: Literal["reject", "trim", "join"] = "reject"
    unterminated: Literal["reject", "report", "refuse"] = "reject"
    batch_bytes: int = BATCH_BYTES

    def __post_init__(self) -> None:
        self._check_characters()
        self._check_comment()
        self._check_names()
        try:
            canonical(self.encoding)
        except (LookupError, ValueError) as error:
            problem = f"{self.encoding!r} is not known, or not of text files"
            raise _error("encoding", problem, "Write one like 'utf-8' or 'cp1252'") from error
        self._check_lines()
        if not _SMALLEST_BATCH <= self.batch_bytes <= LARGEST_BATCH:
            remedy = f"Write {_SMALLEST_BATCH} to {LARGEST_BATCH} (1 GiB)"
            raise _error("batch_bytes", f"is {self.batch_bytes}", remedy)

    def _check_characters(self) -> None:
        if not 1 <= len(self.delimiter) <= _LONGEST_DELIMITER or not _is_of_lines(self.delimiter):
            problem = f"{self.delimiter!r} is not 1 to {_LONGEST_DELIMITER} ASCII characters"
            raise _error("delimiter", problem, "Write them, e.g. ';', '\\t' or '||'")
        for field, value in (("quote", self.quote), ("escape", self.escape)):
            if value is not None and (len(value) != 1 or not _is_of_lines(value)):
                raise _error(field, f"{value!r} is not one ASCII character", "Write one, e.g. '\"' or '\\\\', or None")
        if self.quote and self.quote in self.delimiter:
            raise _error("quote", "is the delimiter too", "Write quote=None when nothing is quoted")
        if self.escape and self.escape == self.quote:
            raise _error("escape", "is the quote", "Leave it out: a quote in quotes is always written twice")
        if self.escape and self.escape in self.delimiter:
            raise _error("escape", "is the delimiter too", "Write escape=None when nothing is escaped")
        if self.decimal not in (".", ","):
            raise _error("decimal", f"{self.decimal!r} is unknown", "Write '.' or ','")

    def _check_comment(self) -> None:
        if self.comment is None:
            return
        if not self.comment or not self.comment.isascii() or set("\r\n") & set(self.comment):
            raise _error("comment", f"{self.comment!r} cannot begin a line", "Write ASCII characters, e.g. '#'")
        if self.comment[0] == self.quote or self.comment[0] in self.delimiter:
            raise _error("comment", "begins like a record", "Begin it with neither quote nor delimiter")
        if len(self.delimiter) > 1 and set(self.comment) & set(self.delimiter):
            raise _error("comment", "has a character of the delimiter", "Write only the characters before it")
        if self.escape:
            problem = "cannot be declared with escape, for a comment could escape the end of its line"
            raise _error("comment", problem, "Leave one of them out")

    def _check_lines(self) -> None:
        if self.skip_lines < 0:
            raise _error("skip_lines", "is below 0", "Write how many lines come before the header")
        for field, value in (("header_begins", self.header_begins), ("footer_begins", self.footer_begins)):
            if value is not None and (not value or set("\r\n") & set(value)):
                raise _error(field, f"{value!r} cannot begin a line", "Write how the line begins, or None")
            try:
                (value or "").encode(self.codec)
            except UnicodeEncodeError as error:
                problem = f"{value!r} cannot be written in {self.encoding}"
                raise _error(field, problem, "Write how the line begins, as it is in the file") from error
        for field, declared in (("header_begins", self.header_begins), ("repeated_header", self.repeated_header)):
            if declared not in (None, "keep") and self.header is not True:
                raise _error(field, "is for files with a header", "Leave it out, or leave out the names: header=True")

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
        delimiter, quote, comment, escape, line_end = (
            (character or "").encode()
            for character in (self.delimiter, self.quote, self.comment, self.escape, self.line_end)
        )
        return Layout(delimiter, quote, comment, escape, line_end, joined=self.long_records == "join")

    @property
    def codec(self) -> str:
        """Python's name of the encoding."""
        return canonical(self.encoding)

    @property
    def read_codec(self) -> str:
        """Python's name of the encoding that is read, after transcoding."""
        return UTF8 if self.transcoded else self.codec

    @property
    def transcoded(self) -> bool:
        """Whether the stream must be transcoded to UTF-8 first; offsets then count bytes of the UTF-8 stream."""
        return not reads_like_ascii(self.codec)


def _is_of_lines(characters: str) -> bool:
    """Return whether characters are ASCII and can be inside a line."""
    return characters.isascii() and not set("\r\n\0") & set(characters)


def _error(field: str, problem: str, remedy: str) -> DeclarationError:
    return DeclarationError("format Csv", field, problem, remedy)
