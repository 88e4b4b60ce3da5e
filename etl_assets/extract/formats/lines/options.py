"""Options of formats with one record a line, and their checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import BATCH_BYTES, LARGEST_BATCH
from etl_assets.extract.formats.encoding import UTF8, canonical, reads_like_ascii

_SMALLEST_BATCH: Final = 64


@dataclass(frozen=True)
class LineOptions:
    """How the lines of a file are written; each argument is given by its name.

    Attributes:
        encoding: Encoding of the bytes. A byte order mark is accepted in UTF-8, UTF-16 and UTF-32.
        skip_lines: Number of lines at the start of the file that are no records.
        null: Words that mean 'no value' in every column.
        decimal: The character before the fraction of numbers.
        unterminated: What happens if a file does not end with a line end, so that its last record may have been cut:
            ``"reject"`` that record, ``"report"`` it, or ``"refuse"`` the delivery.
        batch_bytes: Largest size of a batch.
    """

    encoding: str = field(default=UTF8, kw_only=True)
    skip_lines: int = field(default=0, kw_only=True)
    null: tuple[str, ...] = field(default=(), kw_only=True)
    decimal: str = field(default=".", kw_only=True)
    unterminated: Literal["reject", "report", "refuse"] = field(default="reject", kw_only=True)
    batch_bytes: int = field(default=BATCH_BYTES, kw_only=True)

    def __post_init__(self) -> None:
        try:
            canonical(self.encoding)
        except (LookupError, ValueError) as error:
            problem = f"{self.encoding!r} is not known, or not of text files"
            raise self.wrong("encoding", problem, "Write one like 'utf-8' or 'cp1252'") from error
        if self.skip_lines < 0:
            raise self.wrong("skip_lines", "is below 0", "Write how many lines come before the records")
        if self.decimal not in (".", ","):
            raise self.wrong("decimal", f"{self.decimal!r} is unknown", "Write '.' or ','")
        if not _SMALLEST_BATCH <= self.batch_bytes <= LARGEST_BATCH:
            remedy = f"Write {_SMALLEST_BATCH} to {LARGEST_BATCH} (1 GiB)"
            raise self.wrong("batch_bytes", f"is {self.batch_bytes}", remedy)

    def wrong(self, argument: str, problem: str, remedy: str) -> DeclarationError:
        """Return the error about an argument, or about what a subclass defines."""
        return DeclarationError(f"format {type(self).__name__}", argument, problem, remedy)

    @property
    def codec(self) -> str:
        """Python's name of the encoding."""
        return canonical(self.encoding)

    @property
    def transcoded(self) -> bool:
        """Whether the stream must be transcoded to UTF-8 first; offsets then count bytes of the UTF-8 stream."""
        return not reads_like_ascii(self.codec)

    @property
    def text_codec(self) -> str:
        """The codec of the lines as they are parsed: UTF-8 if the stream is transcoded."""
        return UTF8 if self.transcoded else self.codec
