"""Remembers what landing found out about batches, and a small batch that was read, for the load that follows.

A load in another process, or a reload, finds it out again. So nothing depends on it but the time.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.extract.base import Format
    from etl_assets.model.batch import RawBatch, Sized
    from etl_assets.model.delivery import MemberIndex

MOST_BYTES: Final = 64 * 1024 * 1024
"""Bytes that are remembered of all files; four for each record of delimited text."""
MOST_READ: Final = 256 * 1024
"""Bytes of the largest batch that is remembered as it was read."""


class Found:
    """What was found out about the batches of files; those that were asked for longest ago are forgotten.

    Args:
        most_bytes: The number of bytes to keep.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._files: OrderedDict[tuple[str, str, str], Mapping[int, Sized]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def remember(self, sha256: str, format_: Format, member: str, found: Mapping[int, Sized]) -> None:
        """Remember what was found out about a file.

        Args:
            sha256: Of the bytes of the delivery.
            format_: By which they were read.
            member: Name of the file in the archive; the empty text if there is none.
            found: By number of the batch.
        """
        key = sha256, repr(format_), member
        with self._lock:
            self._bytes += _size(found) - _size(self._files.pop(key, {}))
            self._files[key] = found
            while self._bytes > self._most_bytes:
                _, forgotten = self._files.popitem(last=False)
                self._bytes -= _size(forgotten)

    def recall(self, sha256: str, format_: Format, member: str) -> Mapping[int, Sized]:
        """Return what was found out about a file, by number of the batch; nothing if it was forgotten."""
        key = sha256, repr(format_), member
        with self._lock:
            if key not in self._files:
                return {}
            self._files.move_to_end(key)
            return self._files[key]


class ReadBatch:
    """The batch that was read last before its load, as it was parsed. It is given away once."""

    def __init__(self) -> None:
        self._batches: dict[tuple[str, str, MemberIndex], RawBatch] = {}

    def remember(self, sha256: str, format_: Format, index: MemberIndex, batch: RawBatch) -> None:
        """Remember a batch instead of the one before, unless it is large.

        Args:
            sha256: Of the bytes of the delivery.
            format_: By which they were read.
            index: Of the member, with the span of the batch alone.
            batch: The batch, which holds its bytes.
        """
        self._batches.clear()
        if batch.span.length <= MOST_READ:
            self._batches[sha256, repr(format_), index] = batch

    def take(self, sha256: str, format_: Format, index: MemberIndex) -> RawBatch | None:
        """Return the batch of a member of which nothing else is to be read, and forget it; None if it is not known."""
        return self._batches.pop((sha256, repr(format_), index), None) if self._batches else None


def _size(found: Mapping[int, Sized]) -> int:
    return sum(value.nbytes for value in found.values())


FOUND: Final = Found()
"""What this process found out."""
READ: Final = ReadBatch()
"""What this process has read and not loaded yet."""
