"""Waits for a server that this process was connected to before, while it is away.

A server that was never reached may not exist: the first connection of a process fails at once. A server that was
reached is restarting, or its network is interrupted, and a run that waits for it loses nothing. A server that answers
that there is no such database, or no such user, is not away.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final, TypeVar

import stamina

from etl_assets.errors import EnvironmentFaultError
from etl_assets.settings import database_wait

if TYPE_CHECKING:
    from collections.abc import Callable

C = TypeVar("C")

_LOG: Final = logging.getLogger(__name__)
_FIRST_WAIT: Final = 0.5
_JITTER: Final = 1.0
_LONGEST_WAIT: Final = 15.0
"""All in seconds: each wait is twice as long as the one before, and up to ``_JITTER`` longer."""
_REFUSED: Final = re.compile(
    r"FATAL: .*((database|role) \".*\" does not exist|authentication failed|no pg_hba\.conf entry|permission denied)"
)
"""What a server answers then. The driver gives no SQLSTATE for it."""
_reached: Final[set[str]] = set()
"""The servers that this process was connected to."""
_given_up: Final[set[str]] = set()
"""The servers that were waited for in vain and not reached since; nobody waits for them again."""


def open_waiting(server: str, open_: Callable[[], C], lost: type[Exception]) -> C:
    """Open a connection; if the server was reached before, wait for it for ``ETL_ASSETS_DATABASE_WAIT`` seconds.

    Args:
        server: The server and database as they may be shown, without the password.
        open_: Opens the connection.
        lost: The error that it raises if the server does not accept the connection.

    Raises:
        EnvironmentFaultError: If the server was reached before, and did not come back in time.
        Exception: The error of the kind ``lost``, if the server was never reached, or answers that it does not accept
            this user or has no such database.
    """
    try:
        connection = open_()
    except lost as error:
        if server not in _reached or _is_refusal(error):
            raise
        connection = _wait(server, open_, lost, error)
    _reached.add(server)
    _given_up.discard(server)
    return connection


def _wait(server: str, open_: Callable[[], C], lost: type[Exception], error: Exception) -> C:
    seconds = 0.0 if server in _given_up else database_wait()
    if seconds > 0:
        _LOG.warning(
            "The database at %s does not answer. Waiting for it, up to %g seconds; what was committed stays.",
            server,
            seconds,
        )
        try:
            for attempt in stamina.retry_context(
                on=lambda error: isinstance(error, lost) and not _is_refusal(error),
                attempts=None,
                timeout=seconds,
                wait_initial=_FIRST_WAIT,
                wait_jitter=_JITTER,
                wait_max=_LONGEST_WAIT,
            ):
                with attempt:
                    connection = open_()
        except lost as last:
            if _is_refusal(last):
                raise
            error = last
        except BaseException:  # the process was asked to end: what it still enters must not wait again
            _given_up.add(server)
            raise
        else:
            _LOG.warning("The database at %s answers again.", server)
            return connection
    _given_up.add(server)
    raise EnvironmentFaultError(
        f"The database at {server} no longer answers: {reason(error)}. Waited {database_wait():g} seconds for it "
        "(ETL_ASSETS_DATABASE_WAIT). What was committed before stays, and nothing else was written. Start the server, "
        "then run it again: a load resumes after its last committed batch."
    ) from None


def _is_refusal(error: Exception) -> bool:
    """Return whether the server answered, and will not accept this connection later either."""
    return _REFUSED.search(str(error)) is not None


def reason(error: Exception) -> str:
    """Return why a server did not accept a connection: the first line of the driver's message, without a period.

    The message names host, port, user and database, never the password.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().removesuffix(".")
