"""Reads the body of a request within its limits: number of bytes, time in all, time without a byte, and pace."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from etl_assets.receive.refusal import GoneError, Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from etl_assets.extract.inbox import Inbox

SLOWEST: Final = 1024
"""Bytes per second that a body must have on average, after a time of grace."""
GRACE_SECONDS: Final = 30.0
DRAINED_BYTES: Final = 8 * 1024 * 1024
"""How much of the body of a refused request is read, so that the publisher gets the answer and no reset."""
_DRAIN_SECONDS: Final = 2.0
_PIECE: Final = 1024 * 1024


class Body:
    """The body of one request.

    Attributes:
        is_complete: Whether all of it was read.
    """

    def __init__(self, receive: Callable[[], Awaitable[Any]], *, waits_for_leave: bool) -> None:
        """Take what the server gives.

        Args:
            receive: The next piece, as ASGI has it.
            waits_for_leave: Whether the publisher sends the body only when it is read (``Expect: 100-continue``).
        """
        self._receive = receive
        self._waits_for_leave = waits_for_leave
        self.is_complete = False

    async def pieces(self, inbox: Inbox) -> AsyncIterator[bytearray]:
        """Yield the body in pieces of about 1 MiB.

        Raises:
            Refusal: If a limit is exceeded.
            GoneError: If the publisher closed the connection before the end.
        """
        started = time.monotonic()
        size = 0
        buffer = bytearray()
        while not self.is_complete:
            elapsed = time.monotonic() - started
            left = inbox.deadline - elapsed
            if left <= 0 or size < SLOWEST * (elapsed - GRACE_SECONDS):
                raise _too_slow(f"within {inbox.deadline:g} seconds, at {SLOWEST:,} bytes per second or more")
            try:
                async with asyncio.timeout(min(inbox.timeout, left)):
                    chunk = await self._next()
            except TimeoutError:
                raise _too_slow(f"without pauses of {inbox.timeout:g} seconds") from None
            size += len(chunk)
            if size > inbox.most_bytes:
                raise too_large(inbox.most_bytes)
            buffer += chunk
            if len(buffer) >= _PIECE:
                yield buffer
                buffer = bytearray()
        if buffer:
            yield buffer

    async def drain(self) -> None:
        """Read what is left of a refused body, if it is not much."""
        if self._waits_for_leave:
            return
        size = 0
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self.is_complete and size < DRAINED_BYTES:
                    size += len(await self._next())
        except TimeoutError:
            pass

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        self.is_complete = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk


def too_large(max_bytes: int) -> Refusal:
    """Return the answer to a body with too many bytes."""
    return Refusal(413, f"The body has more than {max_bytes:,} bytes. Nothing was kept. Send less in one request.")


def _too_slow(expected: str) -> Refusal:
    return Refusal(408, f"The body did not arrive {expected}. Nothing was kept. Send it again.")
