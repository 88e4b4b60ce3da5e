"""`Collector`: brings the events of many requests into a journal, all that wait in one transaction."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import msgspec

from etl_assets.receive.journal import Journal
from etl_assets.receive.refusal import Refusal, of_fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from etl_assets.extract.inbox import Events, Inbox
    from etl_assets.receive.journal import Event, Outcome

    T = TypeVar("T")

_AT_ONCE: Final = 1000
_TICK_SECONDS: Final = 0.5
_LOG: Final = logging.getLogger(__name__)


class Collector:
    """The writer of a journal, with a thread of its own."""

    def __init__(self, inbox: Inbox, events: Events) -> None:
        self._inbox = inbox
        self._events = events
        self._journal: Journal | None = None
        self._waiting: list[tuple[Event, asyncio.Future[Outcome]]] = []
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, f"etl-assets-events-{inbox.source}")
        self._started = time.time()
        self._ends = False
        self._is_stuck = False

    async def add(self, event: Event) -> Outcome:
        """Return what became of an event once that is durable.

        Raises:
            Refusal: If it could not be kept.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, future))
        self._wake.set()
        return await future

    async def run(self) -> None:
        """Write events and close files until `end` is called; then write and close what is left."""
        while True:
            ends = self._ends
            if not self._waiting and not ends:
                try:
                    async with asyncio.timeout(_TICK_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass
            self._wake.clear()
            await self._write()
            await self._close_file(at_end=ends)
            if ends and not self._waiting:
                break
        if self._journal is not None:
            await self._in_thread(self._journal.close)
        self._thread.shutdown()

    def end(self) -> None:
        """Let `run` return when everything is written."""
        self._ends = True
        self._wake.set()

    async def _write(self) -> None:
        batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
        if not batch:
            return
        events = [event for event, _ in batch]
        try:
            outcomes = await self._in_thread(lambda: self._open().append(events))
        except (OSError, sqlite3.Error, Refusal) as error:
            refusal = error if isinstance(error, Refusal) else of_fault(error)
            reason = error.text if isinstance(error, Refusal) else type(error).__name__
            _LOG.warning("%s: %d events were not kept (%s).", self._inbox.source, len(batch), reason)
            for _, future in batch:
                if not future.done():
                    future.set_exception(Refusal(refusal.status, refusal.text, refusal.retry_after))
            return
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)

    async def _close_file(self, *, at_end: bool) -> None:
        try:
            if at_end or await self._in_thread(lambda: self._open().is_due(self._started)):
                receipt = await self._in_thread(lambda: self._open().close_file())
                if receipt is not None:
                    _LOG.info("%s: a file of events, %s", self._inbox.source, receipt.note.key)
            self._is_stuck = False
        except (OSError, sqlite3.Error, Refusal) as error:
            if not self._is_stuck:  # once, and not at every tick
                _LOG.warning(
                    "%s: the events cannot become a file now (%s). They stay in the journal; it is tried again.",
                    self._inbox.source,
                    error.text if isinstance(error, Refusal) else type(error).__name__,
                )
            self._is_stuck = True
            await asyncio.sleep(0 if at_end else _TICK_SECONDS)

    def _open(self) -> Journal:
        if self._journal is None:
            self._journal = Journal(self._inbox, self._events)
        return self._journal

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def one_line(body: bytes) -> bytes:
    """Return a JSON object on one line: line ends between its parts become blanks, which mean the same.

    Raises:
        Refusal: If the body is no JSON object in UTF-8.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal(400, "The body is no JSON object in UTF-8. Nothing was kept. Send one object in each request.")
    return body.strip().replace(b"\r", b" ").replace(b"\n", b" ")
