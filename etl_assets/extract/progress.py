"""Progress of a fetch, for people who wait for it: extractors report it, and commands and steps show it."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS: Final = 5.0
"""A fetch reports its progress at most this often."""
_LOG: Final = logging.getLogger("etl_assets.progress")
_LOG.propagate = False
_LOG.addHandler(logging.NullHandler())
_MEBIBYTE: Final = 1024**2


class Progress:
    """Counts what a fetch has, and reports it now and then.

    Attributes:
        pages: Number of pages, or of other parts of the publisher's answer.
        records: Number of records; 0 if they are not counted.
        size: Number of bytes.
    """

    def __init__(self, where: str) -> None:
        """Begin.

        Args:
            where: What is fetched, without secrets.
        """
        self.pages = self.records = self.size = 0
        self._lock = threading.Lock()
        self._where = where
        self._began = self._reported = time.monotonic()

    @property
    def seconds(self) -> float:
        """The time since the beginning."""
        return time.monotonic() - self._began

    def advance(self, *, pages: int = 0, records: int = 0, size: int = 0) -> None:
        """Add to the counts; from any thread."""
        with self._lock:
            self.pages += pages
            self.records += records
            self.size += size
            now = time.monotonic()
            is_due = now - self._reported >= SECONDS
            self._reported = now if is_due else self._reported
        if is_due:
            say(f"{self._where}: {self}")

    def __str__(self) -> str:
        counts = [f"{self.pages:,} pages"] if self.pages else []
        counts += [f"{self.records:,} records"] if self.records else []
        return ", ".join([*counts, f"{self.size / _MEBIBYTE:,.1f} MiB", f"{self.seconds:,.0f} s"])

    @property
    def statistics(self) -> dict[str, float]:
        """The counts as `Fetched.statistics`."""
        counts = {"pages": self.pages, "records": self.records}
        return {**{name: float(count) for name, count in counts.items() if count}, "seconds": round(self.seconds, 3)}


def say(text: str) -> None:
    """Report one sentence about a fetch, without contents of records or secrets."""
    _LOG.info("%s", text)


@contextmanager
def shown(show: Callable[[str], None]) -> Iterator[None]:
    """Show the progress of the fetches in a block.

    Args:
        show: Takes each sentence; it may be called from any thread.
    """
    handler = _Handler(show)
    before = _LOG.level
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOG.removeHandler(handler)
        _LOG.setLevel(before)


class _Handler(logging.Handler):
    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        """Show a sentence."""
        self._show(record.getMessage())
