"""Which answers are worth another attempt, and how long to wait before it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

GONE: Final = frozenset({404, 410})
LATER: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses with which a server may answer differently a little later."""
IDEMPOTENT: Final = frozenset({"GET", "HEAD"})
"""Methods that may be sent again."""
LONGEST_WAIT: Final = 300.0
"""In seconds: a server that asks for more is left to the next run."""


def backoff(first: float, attempt: int) -> float:
    """Return the seconds before another attempt: twice as many each time, and random, so that clients spread.

    Args:
        first: The longest wait after the first attempt, in seconds.
        attempt: Number of attempts so far, from 1.
    """
    longest: float = min(first * 2 ** min(attempt - 1, 20), LONGEST_WAIT)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that a server asks to wait, in either form of the header; None if it asks for none."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:20])
    moment = moment_of(text)
    return None if moment is None else max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def moment_of(text: str) -> datetime | None:
    """Return the moment that a header such as ``Date`` means, in UTC if it has no zone; None if it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
