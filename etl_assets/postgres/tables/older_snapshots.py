"""Waits until no other session sees the database as it was before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets.postgres.connection import Connection

_PAUSE: Final = 0.3


def wait_for_older_snapshots(connection: Connection, seconds: float, pause: Callable[[float], None]) -> bool:
    """Wait until no other session sees the database as it was before this call.

    A table that was written meanwhile would be empty, or have a part of its rows, for such a session.

    Args:
        connection: In autocommit.
        seconds: How long to wait at most.
        pause: Waits for a number of seconds.

    Returns:
        Whether there is no such session any more.
    """
    row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text").fetchone()
    newest = row[0] if row else "0"
    until = time.monotonic() + seconds
    while True:
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL AND age(backend_xmin) > age(%s::xid))",
            (newest,),
        ).fetchone()
        if row is None or not row[0]:
            return True
        if time.monotonic() > until:
            return False
        pause(_PAUSE)
