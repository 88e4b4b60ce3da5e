"""A position in a JSON document that is read in blocks, and what can be read at it: brackets, keys and whole values."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import msgspec

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.json.extent import INCOMPLETE, member_end, value_end
from etl_assets.extract.formats.json.objects import is_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    from etl_assets.extract.formats.blocks import Blocks

    class Extent(Protocol):
        """See `value_end`."""

        def __call__(self, data: bytes, start: int, *, final: bool) -> int:
            """Return where something ends."""


_BLANKS: Final = re.compile(rb"[ \t\r\n]*+")
_NEXT: Final = re.compile(rb"[ \t\r\n]*+([,\]}])[ \t\r\n]*+(?=[^ \t\r\n])")
_RUN: Final = 1024 * 1024
"""The largest number of bytes of elements that are cut at once."""
_DECODE_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_DEEPEST: Final = 200
END: Final = b""
"""What is next at the end of the document."""


class Cursor:
    """A position in a document, which moves forward.

    Args:
        blocks: Of the document.
        data: Its first bytes, as long as a block unless the document is shorter.
        size: Of a block.
        where: How errors name the document.
        offset: Of the data in the document.
    """

    def __init__(self, blocks: Blocks, data: bytes, size: int, where: str, offset: int = 0) -> None:
        self._blocks = blocks
        self._data = data
        self._size = size
        self._where = where
        self._offset = offset
        self._at = 0

    @property
    def offset(self) -> int:
        """The position, in bytes from the start of the document."""
        return self._offset + self._at

    def next(self) -> bytes:
        """Pass blanks, and return the byte that is next, or `END`."""
        while True:
            blanks = _BLANKS.match(self._data, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._data) or not self._refill():
                return self._data[self._at : self._at + 1]

    def enter(self, brackets: bytes) -> bool:
        """Pass the first of two brackets; if nothing is between them, pass both and return False."""
        self._pass(brackets[:1])
        if self.next() != brackets[1:]:
            return True
        self._at += 1
        return False

    def follows(self, closing: bytes) -> bool:
        """Pass a comma and return True, or pass the closing bracket and return False."""
        if match := _NEXT.match(self._data, self._at):
            found = match[1]
            if found in (b",", closing):
                self._at = match.end()
                return found == b","
        if self.next() == b",":
            self._at += 1
            self.next()
            return True
        self._pass(closing)
        return False

    def key(self) -> str:
        """Pass a key and its colon, and return the key."""
        self.next()
        offset, text = self._take(_key_end)
        try:
            key = msgspec.json.decode(text, type=str)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self.invalid(offset) from None
        self._pass(b":")
        self.next()
        return key

    def elements(self) -> Iterator[tuple[int, bytes]]:
        """Pass the elements of an array and its closing bracket, and yield the offset and the bytes of each element."""
        inside, failed = True, -1
        while inside:
            yield self.value()
            if self._offset != failed:
                run = self._run()
                yield from run
                failed = -1 if run else self._offset
            inside = self.follows(b"]")

    def members(self) -> Iterator[tuple[int, bytes]]:
        """Pass the members of an object and its closing bracket; yield the same for each, from its key to its value."""
        inside = True
        while inside:
            yield self._take(member_end)
            inside = self.follows(b"}")

    def value(self) -> tuple[int, bytes]:
        """Pass a value; return its offset and its bytes, which may be no valid JSON."""
        return self._take(value_end)

    def skip(self, level: int = 0) -> None:
        """Pass a value of any size, which must be valid JSON."""
        first = self.next()
        if self._extent(value_end) != INCOMPLETE or first not in (b"{", b"["):
            offset, value = self.value()
            if not is_json(value):
                raise self.invalid(offset)
            return
        if level == _DEEPEST:
            raise self.refused(f"is nested more than {_DEEPEST} levels deep", "Check the feed")
        brackets = b"{}" if first == b"{" else b"[]"
        inside = self.enter(brackets)
        while inside:
            if first == b"{":
                self.key()
            self.skip(level + 1)
            inside = self.follows(brackets[1:])

    def finish(self) -> None:
        """Refuse anything but blanks up to the end of the document."""
        if self.next() != END:
            remedy = "Have the publisher write one JSON value; if each line is one, declare the format Ndjson"
            raise self.refused(f"goes on after the end of its JSON value, at byte {self.offset}", remedy)

    def invalid(self, offset: int | None = None) -> DeliveryError:
        """Return the error for a document that is no JSON at an offset, by default that of the cursor."""
        if offset is None and self.next() == END:
            return self._cut_short()
        at = self.offset if offset is None else offset
        return self.refused(f"is not valid JSON at byte {at}", "Have the publisher write valid JSON")

    def refused(self, problem: str, remedy: str) -> DeliveryError:
        """Return the error for a document that cannot be read."""
        return DeliveryError(f"{self._where} {problem}. Nothing was written. {remedy}.")

    def _run(self) -> Sequence[tuple[int, bytes]]:
        """Pass the elements that follow an element here, and return the same for each; none if they must be cut alone.

        They must be valid JSON, and have the same blanks between them.
        """
        comma = _NEXT.match(self._data, self._at)
        if comma is None or comma[1] != b",":
            return ()
        between, start = comma[0], comma.end()
        end = self._data.rfind(b"}" + between + b"{", start, start + _RUN) + 1
        if not end:
            return ()
        run = self._data[start:end]
        try:
            elements = _DECODE_ARRAY(b"[%b]" % run)
        except (msgspec.DecodeError, RecursionError):
            return ()
        if between.join(elements) != run:
            return ()
        self._at = end
        ends = accumulate((len(element) + len(between) for element in elements), initial=self._offset + start)
        return list(zip(ends, map(bytes, elements), strict=False))

    def _pass(self, byte: bytes) -> None:
        if self.next() != byte:
            raise self.invalid()
        self._at += 1

    def _extent(self, extent: Extent) -> int:
        """Return where something ends in the bytes that are here; `INCOMPLETE` if it is larger than a block."""
        end = extent(self._data, self._at, final=self._blocks.ended)
        if end == INCOMPLETE and (self._refill() or self._blocks.ended):
            end = extent(self._data, self._at, final=self._blocks.ended)
        return end

    def _take(self, extent: Extent) -> tuple[int, bytes]:
        end, start = self._extent(extent), self._at
        if end == INCOMPLETE:
            if self._blocks.ended:
                raise self._cut_short()
            problem = f"has a value longer than {self._size} bytes, at byte {self.offset}"
            raise self.refused(problem, "Check where its records are, or raise batch_bytes")
        if end == start:
            raise self.invalid()
        offset = self.offset
        self._at = end
        return offset, self._data[start:end]

    def _cut_short(self) -> DeliveryError:
        return DeliveryIncompleteError(
            f"{self._where} ends before its JSON value does. Nothing was written. "
            "Fetch it again once the publisher has finished it."
        )

    def _refill(self) -> bool:
        """Read on, so that the bytes here begin at the position; return whether there are more than before."""
        rest = self._data[self._at :]
        self._offset += self._at
        self._at = 0
        self._data = self._blocks.fill(rest, self._size)
        return len(self._data) > len(rest)


def _key_end(data: bytes, start: int, *, final: bool) -> int:
    return value_end(data, start, final=final) if data[start : start + 1] == b'"' else start
