"""The lines that enclose the records of a file: a header first and a trailer last, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.lines.lines import LineKind

if TYPE_CHECKING:
    from etl_assets.extract.formats.lines.format import LineFormat
    from etl_assets.extract.formats.lines.lines import Kinds, Lines


class Enclosure:
    """Follows the lines of one file from its first to its last.

    Args:
        format_: The format, which reads the header and checks the trailer.
        where: How errors name the file.

    Attributes:
        context: What the format knows from the header; the context of every span of the file.
    """

    def __init__(self, format_: LineFormat, where: str) -> None:
        self._format = format_
        self._where = where
        self._count = 0
        self._trailer: str | None = None
        self.context = ""

    def follow(self, lines: Lines, kinds: Kinds) -> None:
        """Take the next lines of the file.

        Raises:
            DeliveryError: If there is a header after the first line, or a line after a trailer.
        """
        if not len(lines):
            return
        if self._trailer is not None:
            raise self._misplaced(lines, 0, "a line after its trailer")
        headers, trailers = (np.flatnonzero(kinds == kind) for kind in (LineKind.HEADER, LineKind.TRAILER))
        if not self._count:
            has_header = bool(kinds[0] == LineKind.HEADER)
            self.context = self._format.read_header(_text(lines, 0) if has_header else None, self._where)
            headers = headers[has_header:]
        if len(headers):
            raise self._misplaced(lines, int(headers[0]), "a header after its first line")
        if len(trailers) and trailers[0] < len(lines) - 1:
            raise self._misplaced(lines, int(trailers[0]) + 1, "a line after its trailer")
        if len(trailers):
            self._trailer = _text(lines, -1)
        self._count += len(lines)

    def end(self) -> None:
        """Check the file as a whole, after its last line."""
        if not self._count:
            self.context = self._format.read_header(None, self._where)
        self._format.check_trailer(self._trailer, self._count, self._where)

    def _misplaced(self, lines: Lines, index: int, what: str) -> DeliveryError:
        return DeliveryError(
            f"{self._where} has {what}, line {lines.numbers[index]}. Nothing was written. Check whether it is several "
            "files in one, and have the publisher deliver them one by one."
        )


def _text(lines: Lines, index: int) -> str:
    return lines.line(index).decode(lines.codec, "replace")
