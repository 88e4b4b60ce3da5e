"""`Receiver`: answers requests, as an application of ASGI. Nothing is acknowledged before it is kept durably."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from etl_assets.receive.body import Body, too_large
from etl_assets.receive.collector import one_line
from etl_assets.receive.door import Door
from etl_assets.receive.journal import Event
from etl_assets.receive.keeping import check_waiting, keep
from etl_assets.receive.part import Part
from etl_assets.receive.refusal import GoneError, Refusal, of_fault
from etl_assets.receive.request import about, headers_of, length_of, source_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from etl_assets.extract.inbox import Inbox
    from etl_assets.receive.collector import Collector
    from etl_assets.receive.door import Signed
    from etl_assets.receive.keeping import About, Receipt

T = TypeVar("T")
EVENTS_AT_ONCE: Final = 512
"""How many events a process reads at the same time; each is in memory."""
_BUSY_SECONDS: Final = 1
_FREE_SECONDS: Final = 60
_BETWEEN_CHECKS: Final = 16 * 1024 * 1024
"""After how many bytes of a body the free space is looked up again."""
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """The answer to a request: its status, its JSON, and headers besides those of every answer."""

    status: int
    content: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Receiver:
    """The application.

    Attributes:
        doors: Those of the sources that receive, by name.
        collectors: Those of the sources that receive events, by name.
        threads: Where files are written.
        at_once: How many bodies of files are received at the same time.
        keep_free: How many bytes of the disk stay free.
    """

    doors: Mapping[str, Door]
    collectors: Mapping[str, Collector]
    threads: Executor
    at_once: int
    keep_free: int
    _nowhere: Door = field(default_factory=lambda: Door(None))
    _files: int = 0
    _events: int = 0

    async def __call__(
        self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Answer one request."""
        headers = headers_of(scope)
        body = Body(receive, waits_for_leave=headers.get("expect", "").lower() == "100-continue")
        try:
            answer = await self._answer(scope["method"], scope["path"], headers, body)
        except GoneError:
            _LOG.info("A publisher closed the connection before the end of the body. Nothing was kept.")
            return
        except asyncio.CancelledError:  # the receiver ends, and this body was not complete in time
            answer = _refused(Refusal(503, "The receiver is being stopped. Nothing was kept. Send it again later.", 1))
        except Exception:  # noqa: BLE001 -- the publisher is answered, and the error is in the log
            _LOG.exception("A request failed. Nothing of it was acknowledged.")
            answer = _refused(Refusal(500, "The receiver failed. Send it again later, with the same bytes.", 60))
        await _send(send, answer, closes=not body.is_complete)

    async def _answer(self, method: str, path: str, headers: Mapping[str, str], body: Body) -> Answer:
        try:
            return await self._accepted(method, path, headers, body)
        except Refusal as refusal:
            await body.drain()
            return _refused(refusal)

    async def _accepted(self, method: str, path: str, headers: Mapping[str, str], body: Body) -> Answer:
        if path == "/health" and method in {"GET", "HEAD"}:
            await body.drain()
            return Answer(200, {"status": "ok"})
        name = source_of(path)
        if name is None:
            raise Refusal(404, "There is nothing at this path. Nothing was kept. Send to /receive/ and the source.")
        if method not in {"POST", "PUT"}:
            raise Refusal(405, "Files are sent by POST or PUT. Nothing was kept. Use one of them.")
        inbox, signed = self.doors.get(name, self._nowhere).admit(headers)
        try:
            says = about(headers, inbox)
            _check_length(headers, inbox)
            if inbox.events is None:
                return await self._file(inbox, says, signed, body, length_of(headers))
            return await self._event(inbox, says, signed, body)
        except Refusal as refusal:
            _LOG.info("%s: refused with %d. %s", name, refusal.status, refusal.text)
            raise
        except OSError as error:
            _LOG.warning("%s: the inbox cannot be written (%s). Nothing was kept.", name, error)
            raise of_fault(error) from error

    async def _file(self, inbox: Inbox, says: About, signed: Signed | None, body: Body, length: int) -> Answer:
        with self._turn("_files", self.at_once):
            waiting = await self._in_thread(inbox.folder.waiting)
            check_waiting(len(waiting), inbox.max_waiting)
            await self._in_thread(self._check_free, inbox, length)
            part = await self._part(inbox, signed)
            try:
                checked = 0
                async for piece in body.pieces(inbox):
                    await self._in_thread(part.write, piece)
                    if part.size - checked >= _BETWEEN_CHECKS:
                        checked = part.size
                        await self._in_thread(self._check_free, inbox, 0)
                if not part.size:
                    raise _empty()
                if signed is not None:
                    signed.check()
                receipt: Receipt = await self._in_thread(keep, inbox.folder, part, says, inbox.max_waiting)
            finally:
                await asyncio.shield(asyncio.wrap_future(self.threads.submit(part.discard)))
        note = receipt.note
        _LOG.info("%s: %s %s", inbox.source, "again" if receipt.duplicate else "received", note.key)
        return _kept(inbox, note.sha256, note.size, note.key, duplicate=receipt.duplicate)

    async def _event(self, inbox: Inbox, says: About, signed: Signed | None, body: Body) -> Answer:
        with self._turn("_events", EVENTS_AT_ONCE):
            await self._in_thread(self._check_free, inbox, 0)
            whole = bytearray()
            async for piece in body.pieces(inbox):
                whole += piece
            if not whole:
                raise _empty()
            if signed is not None:
                signed.mac.update(whole)
                signed.check()
            event = Event(one_line(bytes(whole)), says.id)
            outcome = await self.collectors[inbox.source].add(event)
        if outcome == "conflict":
            raise Refusal(
                409, "The id of the request was used for another event. Nothing was kept. Send it under a new id."
            )
        return _kept(inbox, event.digest.hex(), len(event.body), None, duplicate=outcome == "repeated")

    async def _part(self, inbox: Inbox, signed: Signed | None) -> Part:
        """Create a part; if the request is given up meanwhile, it is discarded once it is there."""
        creating = self.threads.submit(Part.create, inbox.folder, signed.mac if signed else None)
        try:
            return await asyncio.shield(asyncio.wrap_future(creating))
        except asyncio.CancelledError:
            creating.add_done_callback(_discard)
            raise

    @contextmanager
    def _turn(self, kind: str, most: int) -> Iterator[None]:
        """Count a body while it is received; refuse it if there are too many."""
        if getattr(self, kind) >= most:
            text = "Too many bodies are being received. Nothing was kept. Send it again in a moment."
            raise Refusal(503, text, _BUSY_SECONDS)
        setattr(self, kind, getattr(self, kind) + 1)
        try:
            yield
        finally:
            setattr(self, kind, getattr(self, kind) - 1)

    def _check_free(self, inbox: Inbox, length: int) -> None:
        free = free_bytes(inbox.folder.path)
        if free - length < self.keep_free:
            text = "The inbox has too little space left. Nothing was kept. Send it again later."
            raise Refusal(507 if free < length else 503, text, _FREE_SECONDS)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *arguments)


def _discard(creating: Future[Part]) -> None:
    if creating.exception() is None:
        creating.result().discard()


def free_bytes(path: Path) -> int:
    """Return the free space where a folder is, or will be."""
    while not path.exists():
        path = path.parent
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def _check_length(headers: Mapping[str, str], inbox: Inbox) -> None:
    if length_of(headers) > inbox.most_bytes:
        raise too_large(inbox.most_bytes)


def _empty() -> Refusal:
    return Refusal(400, "The body is empty. Nothing was kept. Send the file as the body of the request.")


def _kept(inbox: Inbox, digest: str, size: int, key: str | None, *, duplicate: bool) -> Answer:
    facts = {"source": inbox.source, "sha256": digest, "size": size, "duplicate": duplicate, "key": key}
    return Answer(200 if duplicate else 201, facts)


def _refused(refusal: Refusal) -> Answer:
    headers = {}
    if refusal.retry_after:
        headers["retry-after"] = str(refusal.retry_after)
    if refusal.status == 401:  # noqa: PLR2004 -- unauthorized
        headers["www-authenticate"] = "Bearer"
    if refusal.status == 405:  # noqa: PLR2004 -- method not allowed
        headers["allow"] = "POST, PUT"
    return Answer(refusal.status, {"error": refusal.text}, headers)


async def _send(send: Callable[[Any], Awaitable[None]], answer: Answer, *, closes: bool) -> None:
    content = json.dumps(answer.content).encode() + b"\n"
    headers = {"content-type": "application/json", "content-length": str(len(content)), **answer.headers}
    if closes:
        headers["connection"] = "close"
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    await send({"type": "http.response.body", "body": content})
