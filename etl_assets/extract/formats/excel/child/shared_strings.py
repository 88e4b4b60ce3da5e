"""Reads the shared strings of Office Open XML, to which cells refer by number."""

from __future__ import annotations

from typing import IO, Final

from etl_assets.extract.formats.excel.child import literals
from etl_assets.extract.formats.excel.child.package import CHUNK, Parser
from etl_assets.extract.formats.excel.child.refusal import RefusalError

_OBJECT_BYTES: Final = 64
"""What a text takes in memory beside its characters."""


class SharedStrings:
    """Collects the strings while Expat parses their part; phonetic guides are no part of them.

    Args:
        part: The name of the part.
        most_bytes: The largest size of the strings in memory.

    Attributes:
        cells: The strings, as cells.
    """

    def __init__(self, part: str, most_bytes: int) -> None:
        self.cells: list[str] = []
        self._most_bytes = most_bytes
        self._size = 0
        self._pieces: list[str] = []
        self._phonetic = False
        self._parser = Parser(part, self._start, self._end)

    def read(self, stream: IO[bytes]) -> list[str]:
        """Return the strings of a part.

        Raises:
            RefusalError: If they take too much memory.
        """
        while data := stream.read(CHUNK):
            self._parser.feed(data)
        self._parser.feed(b"", final=True)
        return self.cells

    def _start(self, element: str, _: dict[str, str]) -> None:
        if element == "si":
            self._pieces.clear()
        elif element == "rPh":
            self._phonetic = True
        elif element == "t" and not self._phonetic:
            self._parser.collect(self._collect)

    def _collect(self, data: str) -> None:
        self._pieces.append(data)
        self._grow(len(data))

    def _end(self, element: str) -> None:
        if element == "t":
            self._parser.collect(None)
        elif element == "rPh":
            self._phonetic = False
        elif element == "si":
            self.cells.append(literals.escaped_text("".join(self._pieces)))
            self._grow(_OBJECT_BYTES)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._most_bytes:
            raise RefusalError(
                f"its shared strings take more than {self._most_bytes:,} bytes",
                "Check the workbook: it may be made to exhaust machines. Raise memory_bytes if it is as large as it "
                "should be",
            )
