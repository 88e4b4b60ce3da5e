"""`Pace`: how fast requests follow each other; as declared, and as the server's answers say.

Servers say it in three ways: how many requests are left until when (``X-RateLimit-Remaining`` and ``-Reset``, with or
without ``X-``), how many are allowed in which time (``X-Rate-Limit-Limit`` and ``-Interval``), and by ``Retry-After``
with a refusal, which `waits` reads.
"""

from __future__ import annotations

import re
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from etl_assets.extract.http.waits import moment_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMAINING: Final = ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")
_RESET: Final = ("x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset")
_LIMIT: Final = "x-rate-limit-limit"
_INTERVAL: Final = re.compile(r"([0-9]{1,6})(ms|s|m|h)?")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
_MOMENT: Final = 1_000_000_000.0
"""A reset of at least so many seconds is a moment since 1970, a smaller one a time from now."""
_NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")


class Pace:
    """Keeps the pace of the requests of one fetch, from any number of threads.

    Attributes:
        taken: Number of requests so far.
    """

    def __init__(self, per_second: float) -> None:
        """Begin.

        Args:
            per_second: The declared number of requests a second; 0 for no limit.
        """
        self._pause = 1.0 / per_second if per_second else 0.0
        self.taken = 0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> float:
        """Take a place in the queue of requests, and return the seconds until it is due."""
        with self._lock:
            self.taken += 1
            now = time.monotonic()
            due = max(now, self._next)
            self._next = due + self._pause
            return due - now

    def learn(self, headers: Mapping[str, str]) -> None:
        """Slow down as a server asks in an answer.

        Args:
            headers: Of the answer, whose names compare without case.
        """
        with self._lock:
            if (pause := _pause(headers)) is not None:
                self._pause = max(self._pause, pause)
            if (reset := seconds_to_reset(headers)) is not None:
                self._next = max(self._next, time.monotonic() + reset)


def seconds_to_reset(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds until more requests are allowed; None if some are left, or the server does not say.

    Args:
        headers: Of an answer.
        now: The time; that of the server by default, whose clock the answer may be by.
    """
    remaining = next((headers[name] for name in _REMAINING if name in headers), "").strip()
    reset = next((headers[name] for name in _RESET if name in headers), "").strip()
    if not (_NUMBER.fullmatch(remaining) and float(remaining) < 1 and _NUMBER.fullmatch(reset)):
        return None
    seconds = float(reset)
    if seconds < _MOMENT:
        return seconds
    return max(0.0, seconds - (now or _server_time(headers)).timestamp())


def _server_time(headers: Mapping[str, str]) -> datetime:
    return moment_of(headers.get("Date", "")) or datetime.now(UTC)


def _pause(headers: Mapping[str, str]) -> float | None:
    """Return the seconds between two requests that a server allows; None if it does not say."""
    limit = headers.get(_LIMIT, "").strip()
    interval = _INTERVAL.fullmatch(headers.get("x-rate-limit-interval", "").strip())
    if interval is None or not _NUMBER.fullmatch(limit) or float(limit) < 1:
        return None
    return float(interval[1]) * _UNITS[interval[2]] / float(limit)
