"""LineFormat: the base class of formats with one record a line.

The exact syntax, whatever the format:

* Lines end with LF or CRLF, or with ``line_end``. An empty line is no record.
* A value that is empty, or is one of the null words, is null.
* No line is longer than a batch.
"""

from __future__ import annotations

import re
import sys
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
import polars as pl

from etl_assets.errors import FormatError, MalformedRecordError, raised_at
from etl_assets.extract.base import Format
from etl_assets.extract.formats.lines.batch import reread
from etl_assets.extract.formats.lines.lines import LineKind
from etl_assets.extract.formats.lines.options import LineOptions
from etl_assets.extract.formats.lines.parsed import ENCODING, FIELD_COUNT, FIELD_COUNT_RULE, RULES, ParsedLines
from etl_assets.extract.formats.lines.reader import LineReader
from etl_assets.extract.formats.recognition import mismatch_of_text
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Naming
    from etl_assets.extract.formats.bits import Flags
    from etl_assets.extract.formats.lines.lines import Kinds, Lines
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span
    from etl_assets.model.rule import OnBreach, RuleInfo

_MOST_ROWS: Final = 100_000
"""The largest number of rows that are kept as Python objects; a batch of short lines has millions."""
_TEXTS: Final = frozenset((str, type(None)))
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class LineFormat(LineOptions, Format):
    """One record a line. A subclass defines ``names`` and ``parse``; see `LineOptions` for the arguments.

    It may also define ``is_record``, ``line_end``, and ``rules`` with the rules that its ``parse`` adds. A format that
    parses many lines at once defines ``parse_lines`` instead of ``parse``.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        here = type(self)
        if here.parse is LineFormat.parse and here.parse_lines is LineFormat.parse_lines:
            raise self.wrong("parse", "is not defined", "Define parse(line), which returns a value for each name")
        if len(self.line_end) != 1 or not self.line_end.isascii():
            raise self.wrong("line_end", f"{self.line_end!r} is not one ASCII character", "Return one, e.g. '\\n'")
        self._check_names()

    def _check_names(self) -> None:
        names = self.names
        if not names or not all(names):
            raise self.wrong("names", "names nothing, or a column ''", "Return all names of the columns: ('a', 'b')")
        if len(set(names)) < len(names) or RECORD_NO in names:
            raise self.wrong("names", "names a column twice", f"Give each a name of its own, other than {RECORD_NO}")

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The published names, in order."""

    @property
    def line_end(self) -> str:
        """The ASCII character at the end of each line; a carriage return before a line feed belongs to it."""
        return "\n"

    def is_record(self, line: bytes) -> bool:  # noqa: ARG002 -- in most formats every line is one
        """Return whether a line is a record. Other lines, such as comments, are skipped and counted.

        This is called twice for each line, when the file is indexed and when it is read, so it must be cheap and depend
        on the line alone.

        Args:
            line: The bytes of a line that is not empty, without its line end; UTF-8 if the encoding of the file does
                not write ASCII characters as ASCII bytes.
        """
        return True

    def is_whole(self, line: str) -> bool:  # noqa: ARG002 -- most formats cannot know
        """Return whether the last record of a file cannot have been cut, although no line end follows it."""
        return False

    def parse(self, line: str) -> Sequence[str | None]:
        """Return the values of a record, one for each name; None for no value.

        Args:
            line: The decoded line, without its line end.

        Raises:
            MalformedRecordError: If it is no record of this format. A wrong number of values is malformed too.
        """
        raise NotImplementedError

    def parse_lines(self, lines: Lines, context: str) -> ParsedLines:  # noqa: ARG002 -- of the formats with headers
        """Parse the lines of a batch, which can be decoded; a subclass may do it for all lines at once.

        Args:
            lines: The lines.
            context: What `read_header` returned for their file.
        """
        frames: list[pl.DataFrame] = []
        rows: list[Sequence[str | None]] = []
        broken: dict[str, Flags] = {}
        for index, line in enumerate(lines.text):
            try:
                rows.append(self._values(line, lines, index))
            except MalformedRecordError as error:
                broken.setdefault(error.rule, np.zeros(len(lines), bool))[index] = True
            if len(rows) == _MOST_ROWS:
                frames.append(self._frame(rows))
                rows = []
        return ParsedLines(pl.concat([*frames, self._frame(rows)]), broken)

    def _frame(self, rows: Sequence[Sequence[str | None]]) -> pl.DataFrame:
        columns = zip(*rows, strict=True) if rows else [()] * len(self.names)
        return pl.DataFrame(
            [pl.Series(name, cells, pl.String) for name, cells in zip(self.names, columns, strict=True)]
        )

    def _values(self, line: str, lines: Lines, index: int) -> Sequence[str | None]:
        """Return the values of one of the lines.

        Raises:
            MalformedRecordError: If it has none, or not one for each name, or one with half a surrogate pair.
            FormatError: If ``parse`` raises anything else, or returns no texts.
        """
        try:
            values = self.parse(line)
        except MalformedRecordError:
            raise
        except Exception as error:  # noqa: BLE001 -- the code of a source may raise anything; it is raised again
            raise self._raised("parse", error, lines.location(index)) from None
        if not isinstance(values, list | tuple) or not _TEXTS.issuperset(map(type, values)):
            location = lines.location(index)
            raise self.failed("parse", f"returned no list of texts or None for the record at {location}")
        if len(values) != len(self.names):
            raise MalformedRecordError(FIELD_COUNT)
        if any(not value.isascii() and _SURROGATE.search(value) for value in values if value):
            raise MalformedRecordError(ENCODING)
        return values

    def kinds(self, lines: Lines) -> Kinds:
        """Return what each line is; see `LineKind`. By default those of which `is_record` is true are records."""
        if type(self).is_record is LineFormat.is_record:
            return np.full(len(lines), LineKind.RECORD, np.uint8)
        flags: list[bool] = []
        try:
            for line in lines:
                flags.append(bool(self.is_record(line)))  # noqa: PERF401 -- their number is that of the failed line
        except Exception as error:  # noqa: BLE001 -- as in _values
            raise self._raised("is_record", error, lines.location(len(flags))) from None
        return np.where(np.array(flags, bool), LineKind.RECORD, LineKind.SKIPPED).astype(np.uint8)

    def read_header(self, header: str | None, where: str) -> str:  # noqa: ARG002 -- most formats have none
        """Return what each record of a file needs from its header: the context of its spans.

        Args:
            header: The first line of the file, if its kind is ``HEADER``; None otherwise.
            where: How errors name the file.

        Raises:
            DeliveryError: If the header is missing or wrong.
        """
        return ""

    def check_trailer(self, trailer: str | None, count: int, where: str) -> None:
        """Check the end of a file.

        Args:
            trailer: The last line of the file, if its kind is ``TRAILER``; None otherwise.
            count: Number of lines of the file, with header and trailer, without ``skip_lines`` and empty lines.
            where: How errors name the file.

        Raises:
            DeliveryIncompleteError: If the file is cut short.
        """

    @property
    def naming(self) -> Naming:
        """See `Format.naming`."""
        return "declared"

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """See `Format.rules`. A subclass adds its own: ``(*super().rules, RuleInfo(...))``."""
        return (FIELD_COUNT_RULE, *RULES)

    @property
    def on_unterminated(self) -> OnBreach:
        """See `Format.on_unterminated`."""
        return self.unterminated

    def mismatch(self, head: bytes) -> str | None:
        """Return why a file is not of this format; see `Format.mismatch`."""
        return mismatch_of_text(self, head)

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a file into batches of at most ``batch_bytes``; see `Format.read`."""
        reader = LineReader(self, stream, member)
        return reader.through(after) if index is None else reader.indexed(index)

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:
        """Parse single records again; see `Format.reread`."""
        return reread(self, names, records, context)

    def failed(self, method: str, problem: str) -> FormatError:
        """Return the error about a method of the format that did not do what it must."""
        return FormatError(
            f"{method} of the format {type(self).__name__} {problem}. The batch was not written. Correct it, and try "
            "it with `etl-assets preview`."
        )

    def _raised(self, method: str, error: Exception, location: str) -> FormatError:
        place = raised_at(error, str(sys.modules[type(self).__module__].__file__))
        return self.failed(method, f"raised {type(error).__name__} at {place} on the record at {location}")
