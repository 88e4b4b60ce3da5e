"""Processes that load a feed and may die before the load is complete."""

from __future__ import annotations

import multiprocessing
import sys
import time
from typing import TYPE_CHECKING

import psycopg

from etl_assets_tests.load.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable

BATCHES = (
    [("a", 1, "one"), ("b", 1, "one"), ("c", 1, None)],
    [("b", 2, "two"), ("d", 2, "two"), ("d", 3, "again")],
    [("e", 3, "three"), ("a", 3, "three")],
)
REJECTED = {4: ["amount__type"], 8: ["note__required", "amount__type"]}
LOCKS = (
    "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
    "WHERE l.locktype = 'advisory' AND d.datname = current_database()"
)
"""Counts the locks of runs in a database."""
_NOTICED = 10.0
"""The most seconds that the server needs to notice that a process is gone."""
EXPECTED = [("a", 3, "three"), ("b", 2, "two"), ("c", 1, None), ("d", 3, "again"), ("e", 3, "three")]


def load_in_a_process(url: str, transaction: tuple[str, str]) -> int | None:
    """Load the feed in a fresh process; return its exit code, negative for the signal that ended it.

    Args:
        url: The database.
        transaction: Name of a class in `wrong_transactions`, or ``dying_at`` and the point at which it dies.
    """
    return in_a_process(url, _load, url, transaction)


def in_a_process(url: str, work: Callable[..., None], *args: object) -> int | None:
    """Call a function in a fresh process; return its exit code, negative for the signal that ended it.

    Returns when the server has noticed that the locks of the process have no owner.

    Args:
        url: The database in which it works.
        work: A function of a module, so that it can be pickled.
        args: Its arguments, which must be picklable.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["etl_assets_tests.chaos.wrong_transactions", "etl_assets_tests.load.feed"])
    process = context.Process(target=work, args=args)
    process.start()
    process.join(60)
    until = time.monotonic() + _NOTICED
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(LOCKS).fetchall() != [(0,)] and time.monotonic() < until:
            time.sleep(0.01)
    return process.exitcode


def _load(url: str, transaction: tuple[str, str]) -> None:
    from etl_assets_tests.chaos import faults, wrong_transactions

    name, point = transaction
    kind = faults.dying_at(point) if name == "dying_at" else getattr(wrong_transactions, name)
    feed = Feed(url, transaction=kind)
    feed.load(feed.send(*BATCHES, rejected=REJECTED))
    sys.exit(0)
