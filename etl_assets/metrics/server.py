"""Serves ``/metrics`` and ``/health`` by HTTP until a signal ends it. One thread reads the databases."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST

from etl_assets.errors import SettingsError
from etl_assets.http_server import QUIET, bound, outliving_signals

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Mapping

    from etl_assets.metrics.collector import Exposition

    Send = Callable[[dict[str, Any]], Awaitable[None]]

_AT_ONCE: Final = 32
_END_SECONDS: Final = 5
_TEXT: Final = "text/plain; charset=utf-8"


def serve(exposition: Exposition, listener: socket.socket, started: Callable[[], None]) -> None:
    """Answer requests until SIGINT or SIGTERM.

    Args:
        exposition: What ``/metrics`` answers.
        listener: A bound socket.
        started: Is called before requests are answered.
    """
    with ThreadPoolExecutor(1, "etl-assets-metrics") as thread, outliving_signals():
        config = uvicorn.Config(
            _application(exposition, thread),
            **QUIET,
            limit_concurrency=_AT_ONCE,
            timeout_graceful_shutdown=_END_SECONDS,
        )
        started()
        asyncio.run(uvicorn.Server(config).serve([listener]))


def listening(address: str) -> socket.socket:
    """Return a socket that listens at an address.

    Args:
        address: ``host:port``; an IPv6 address is in brackets. Port 0 is any that is free.

    Raises:
        SettingsError: If it is no address, or cannot be used.
    """
    host, _, port = address.rpartition(":")
    try:
        return bound(host.strip("[]"), int(port))
    except (ValueError, OverflowError):
        problem = "is not an address"
    except OSError as error:
        problem = f"cannot be used ({error.strerror})"
    raise SettingsError(
        f"--listen {address} {problem}. Nothing was started. Write a host and a port that is free, such as "
        "127.0.0.1:9464."
    )


def _application(exposition: Exposition, thread: ThreadPoolExecutor) -> Callable[..., Awaitable[None]]:
    async def application(scope: Mapping[str, Any], _receive: object, send: Send) -> None:
        match scope["method"], scope["path"]:
            case "GET" | "HEAD", "/metrics":
                text = await asyncio.get_running_loop().run_in_executor(thread, exposition.text)
                await _answer(send, 200, CONTENT_TYPE_LATEST, text)
            case "GET" | "HEAD", "/health":
                await _answer(send, 200, _TEXT, b"ok\n")
            case "GET" | "HEAD", _:
                await _answer(send, 404, _TEXT, b"There are /metrics and /health.\n")
            case _:
                await _answer(send, 405, _TEXT, b"Only GET is answered.\n")

    return application


async def _answer(send: Send, status: int, content_type: str, content: bytes) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
