"""A session that only reads, and gives up soon: a scrape must end before its scraper does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg

from etl_assets.errors import EnvironmentFaultError
from etl_assets.postgres.connection import without_password
from etl_assets.postgres.faults import translating
from etl_assets.postgres.outages import reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.postgres.connection import Connection

STATEMENT_SECONDS: Final = 2
"""How long one statement may take."""
_CONNECT_SECONDS: Final = 3
_SESSION: Final = {
    "TimeZone": "UTC",
    "default_transaction_read_only": "on",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
}


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """Open a session in autocommit for a block, in which each statement has `STATEMENT_SECONDS`.

    Args:
        url: ``postgresql://user:password@host:port/database``; the user needs the rights that docs/monitoring.md lists.

    Raises:
        EnvironmentFaultError: If the server does not accept a connection.
        LoadError: If it refuses a statement.
    """
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    try:
        connection = psycopg.connect(
            url,
            autocommit=True,
            options=options,
            application_name="etl_assets_metrics",
            connect_timeout=_CONNECT_SECONDS,
            tcp_user_timeout=1000 * _CONNECT_SECONDS,
        )
    except psycopg.OperationalError as error:
        raise EnvironmentFaultError(
            f"The database at {without_password(url)} does not accept a connection: {reason(error)}. Nothing was read. "
            "Start the server, or correct its URL."
        ) from None
    with connection, translating("reading metrics"):
        yield connection
