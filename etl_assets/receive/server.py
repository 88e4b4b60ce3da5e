"""Serves the receiver: opens the socket, keeps the inboxes tidy, and ends after the requests that are under way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn

from etl_assets.errors import SettingsError
from etl_assets.http_server import QUIET, bound, outliving_signals
from etl_assets.receive.app import Receiver
from etl_assets.receive.collector import Collector
from etl_assets.receive.door import Door
from etl_assets.receive.protocol import CONNECTIONS, KEEP_ALIVE_SECONDS, GuardedProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from etl_assets.extract.inbox import Inbox

_TIDY_SECONDS: Final = 60.0
_SECRETS_SECONDS: Final = 10.0
_MORE_THREADS: Final = 4
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """The limits of a process, whatever its sources declare.

    Attributes:
        at_once: How many bodies of files are received at the same time.
        keep_free: How many bytes of the disk stay free.
        end_seconds: How long requests may go on after a signal to end.
    """

    at_once: int = 16
    keep_free: int = 256 * 1024 * 1024
    end_seconds: int = 20


def serve(inboxes: Mapping[str, Inbox], listener: socket.socket, limits: Limits, started: Callable[[], None]) -> None:
    """Receive until SIGINT or SIGTERM.

    Args:
        inboxes: Those of the sources that receive, by name.
        listener: A bound socket.
        limits: The limits of this process.
        started: Is called once requests are answered.

    Raises:
        SettingsError: If a secret is missing or too short.
    """
    doors = {name: Door(inbox) for name, inbox in inboxes.items()}
    threads = ThreadPoolExecutor(limits.at_once + _MORE_THREADS, "etl-assets-receive")
    try:
        with outliving_signals():
            asyncio.run(_serve(inboxes, doors, listener, limits, threads, started))
    finally:
        threads.shutdown()  # parts of bodies that were not complete are removed


async def _serve(
    inboxes: Mapping[str, Inbox],
    doors: Mapping[str, Door],
    listener: socket.socket,
    limits: Limits,
    threads: ThreadPoolExecutor,
    started: Callable[[], None],
) -> None:
    collectors = {name: Collector(inbox, inbox.events) for name, inbox in inboxes.items() if inbox.events}
    receiver = Receiver(doors, collectors, threads, limits.at_once, limits.keep_free)
    server = _Server(
        uvicorn.Config(
            receiver,
            http=GuardedProtocol,
            **QUIET,
            backlog=CONNECTIONS,
            timeout_keep_alive=int(KEEP_ALIVE_SECONDS),
            timeout_graceful_shutdown=limits.end_seconds,
        ),
        started,
    )
    writers = [asyncio.create_task(collector.run()) for collector in collectors.values()]
    keeper = asyncio.create_task(_look_after(doors, inboxes, threads))
    for task in (*writers, keeper):
        task.add_done_callback(lambda _: setattr(server, "should_exit", True))
    await server.serve([listener])
    for collector in collectors.values():
        collector.end()
    keeper.cancel()
    await asyncio.gather(*writers)
    with contextlib.suppress(asyncio.CancelledError):
        await keeper


class _Server(uvicorn.Server):
    """The server of uvicorn, which calls a function once it answers requests."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and call the function."""
        await super().startup(sockets)
        self._on_started()


async def _look_after(doors: Mapping[str, Door], inboxes: Mapping[str, Inbox], threads: ThreadPoolExecutor) -> None:
    """Tidy the inboxes now and every minute, and read the secrets again every ten seconds."""
    loop = asyncio.get_running_loop()
    tick = 0
    while True:
        if tick % (_TIDY_SECONDS // _SECRETS_SECONDS) == 0:
            for inbox in inboxes.values():
                await loop.run_in_executor(threads, _tidy, inbox)
        tick += 1
        await asyncio.sleep(_SECRETS_SECONDS)
        for name, door in doors.items():
            try:
                await loop.run_in_executor(threads, door.read_secrets)
            except SettingsError as error:
                _LOG.warning("%s: the former secret stays valid. %s", name, error)


def _tidy(inbox: Inbox) -> None:
    try:
        inbox.folder.make()
        inbox.folder.tidy(inbox.keep, inbox.remember)
    except OSError as error:
        _LOG.warning("%s: the inbox %s cannot be written (%s).", inbox.source, inbox.folder.path, error.strerror)


def tcp_listener(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to a port.

    Raises:
        SettingsError: If it cannot be used.
    """
    try:
        return bound(host, port)
    except OSError as error:
        raise SettingsError(
            f"Port {port} of {host} cannot be used ({error.strerror}). Nothing was started. Choose another with "
            "--port, or stop the program that uses it."
        ) from error


def unix_listener(path: str) -> socket.socket:
    """Return a socket that is bound to a path, which this account and its group may use.

    Raises:
        SettingsError: If it cannot be used.
    """
    file = Path(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if file.exists() and stat.S_ISSOCK(file.stat().st_mode) and not _answers(path):
            file.unlink()
        listener.bind(path)
        file.chmod(0o660)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"The socket {path} cannot be used ({error.strerror}). Nothing was started. Name another with --uds, or "
            "stop the program that uses it."
        ) from error
    return listener


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(path) == 0
