"""Keeps connections to the warehouse open between two sessions, while this process executes a run.

To open a connection costs the server a process that reads the system catalogue again. A run of a small delivery has
eleven sessions one after the other, which share one connection here. A process that executes no run keeps none.
"""

from __future__ import annotations

import os
import select
import threading
from collections import Counter, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus

if TYPE_CHECKING:
    Connection = psycopg.Connection[tuple[Any, ...]]

_MOST: Final = 4
"""So many connections to a database are kept at most."""
_RESET: Final = b"SELECT pg_advisory_unlock_all(); RESET ALL; DISCARD TEMP"
"""Ends what a session may leave. Prepared statements stay, so that the server plans each once."""

_runs: Final[Counter[str]] = Counter()
_kept: Final[defaultdict[tuple[int, str], list[Connection]]] = defaultdict(list)
"""By process and URL: a forked process leaves the connections of its parent alone."""
_lock: Final = threading.Lock()


def begin(url: str) -> None:
    """Keep the connections to a database from now on, until `end` was called as often."""
    with _lock:
        _runs[url] += 1


def end(url: str) -> None:
    """Close the connections that are kept, and keep none any more, unless another run needs them."""
    with _lock:
        _runs[url] -= 1
        over = _runs[url] <= 0
        if over:
            del _runs[url]
    if over:
        close(url)


def take(url: str) -> Connection | None:
    """Return a connection that was kept, in autocommit; None if there is none.

    One that the server has ended since is closed.
    """
    while True:
        with _lock:
            connections = _kept.get((os.getpid(), url))
            connection = connections.pop() if connections else None
        if connection is None or _is_quiet(connection):
            return connection
        connection.close()


def give_back(url: str, connection: Connection) -> None:
    """Release what a session holds, and keep its connection; close it if no run is executed, or if it has changed."""
    if url in _runs and _is_as_opened(connection):
        with suppress(psycopg.Error):
            reset = connection.pgconn.exec_(_RESET)  # a cursor would take longer than the server does
            with _lock:
                connections = _kept[os.getpid(), url]
                if reset.status == ExecStatus.COMMAND_OK and url in _runs and len(connections) < _MOST:
                    connections.append(connection)
                    return
    connection.close()


def close(url: str) -> None:
    """Close the connections that are kept, as after a fault, which may concern all of them."""
    with _lock:
        connections = _kept.pop((os.getpid(), url), [])
    for connection in connections:
        connection.close()


def _is_as_opened(connection: Connection) -> bool:
    """Return whether a connection is idle, and its transactions begin as those of a new one do."""
    return (
        not connection.closed
        and connection.info.transaction_status == TransactionStatus.IDLE
        and connection.autocommit
        and (connection.read_only, connection.isolation_level, connection.deferrable) == (None, None, None)
    )


def _is_quiet(connection: Connection) -> bool:
    """Return whether the server has sent nothing: what it sends to an idle session is that the session has ended."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
