"""`Refusal`: why a request is not acknowledged, as the publisher reads it. Nothing of such a request is kept."""

from __future__ import annotations

import errno
import sqlite3
from typing import Final

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_RETRY_SECONDS: Final = 60


class Refusal(Exception):  # noqa: N818 -- an answer, not a fault
    """The answer to a request that is not acknowledged.

    Attributes:
        status: The status of HTTP.
        text: What happened, that nothing was kept, and what to do.
        retry_after: Seconds after which the request may succeed; 0 if it must be changed first.
    """

    def __init__(self, status: int, text: str, retry_after: int = 0) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.retry_after = retry_after


class GoneError(Exception):
    """The publisher closed the connection before its request was complete. Nothing is kept, and nobody is answered."""


def unauthorized() -> Refusal:
    """Return the answer to an unknown source, and to a wrong token or signature: nothing distinguishes them."""
    return Refusal(401, "The source or its credentials are not right. Nothing was kept. Check address and token.")


def of_fault(error: OSError | sqlite3.Error) -> Refusal:
    """Return the answer to a request that the inbox could not keep."""
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if full or (isinstance(error, OSError) and error.errno in _NO_SPACE):
        text = "The inbox has no space left. Nothing was kept. Send it again later."
        return Refusal(507, text, _RETRY_SECONDS)
    return Refusal(503, "The inbox cannot be written now. Nothing was kept. Send it again later.", _RETRY_SECONDS)
