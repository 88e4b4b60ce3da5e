"""What the HTTP servers of `receive` and `metrics` have in common: uvicorn's settings, their socket, signals."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

QUIET: Final[dict[str, Any]] = {
    "loop": "asyncio",
    "ws": "none",
    "lifespan": "off",
    "interface": "asgi3",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
}
"""Arguments of `uvicorn.Config`: no logs, no websockets, and no header that says what answers or is believed."""


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Args:
        host: A name, or an address of IPv4 or IPv6.
        port: 0 for any that is free.

    Raises:
        OSError: If it cannot be used.
    """
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address[:2], family=family)


@contextlib.contextmanager
def outliving_signals() -> Iterator[None]:
    """Let the signals that end a server of uvicorn not end the process, which has things to do after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    former = {number: signal.signal(number, lambda _number, _frame: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
