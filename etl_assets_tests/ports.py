"""TCP ports for the servers that tests start."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a port of a host can be connected to."""
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex((host, port)) == 0
