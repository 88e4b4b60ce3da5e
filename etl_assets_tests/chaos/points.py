"""Stops a run where a fault is due: replaces functions inside the forked process, never in the package.

A function is replaced where its callers look it up, so that the run does all of its real work.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Literal

from psycopg import sql

from etl_assets import watch
from etl_assets.extract import file
from etl_assets.landing import LandingStore
from etl_assets.load.replay_transaction import ReplayTransaction
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.ledger import deliveries, locks
from etl_assets.postgres.tables import probe, reloading, upsert
from etl_assets.postgres.tables.copy import copy_in
from etl_assets_tests.chaos.history import CLOCK_STEPPED, CONNECTION_CUT, DISK_FULL, KILLED
from etl_assets_tests.chaos.processes import Flags

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.chaos.history import Fault

_CALLS: Final[dict[str, tuple[tuple[Any, str, Literal["before", "after"]], ...]]] = {
    "bytes frozen": ((LandingStore, "freeze", "after"),),
    "manifest stored": ((LandingStore, "put_manifest", "after"),),
    "delivery recorded": ((deliveries, "record", "after"),),
    "load begun": ((deliveries, "begin", "after"),),
    "before the fence": ((locks, "fence", "before"),),
    "after the fence": ((locks, "fence", "after"),),
    "after the lookups": ((BatchTransaction, "look_up", "after"),),
    "after the rows": ((BatchTransaction, "write_rows", "after"),),
    "after the entry": ((BatchTransaction, "write_entry", "after"),),
    "after COMMIT": ((BatchTransaction, "run", "after"), (ReplayTransaction, "replay", "after")),
    "before completing": ((deliveries, "complete", "before"),),
    "after completing": ((deliveries, "complete", "after"),),
    "before concluding": ((watch, "conclude", "before"),),
}
_DAY: Final = 86_400.0
_SMALLEST_ROOM: Final = 16
_ROOM: Final = 3_000


def arm(fault: Fault, flags: Flags) -> None:
    """Prepare this process for the fault that meets it; it is a forked child.

    At a named point, the process kills or stops itself. A stopped process waits for its parent, which does to the
    server or the session what the fault says, and lets the process go on.
    """
    if fault.kind == DISK_FULL:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (_SMALLEST_ROOM + int(fault.share * _ROOM), most))
    elif fault.kind == CLOCK_STEPPED:
        substitute(file, "time", SimpleNamespace(time=_stepping_clock(fault.share, flags), sleep=time.sleep))
    elif fault.kind == CONNECTION_CUT:
        return  # the proxy cuts it
    elif fault.point in _CALLS or fault.point in {"in COPY", "in COMMIT"}:
        _stop_at(fault.point, _Countdown(fault, flags))


def substitute(owner: Any, name: str, substitute_: Any) -> None:
    """Put something in the place of an attribute of a class or module, in this process alone."""
    setattr(owner, name, substitute_)


class _Countdown:
    """Kills or stops the process when its point has been reached often enough."""

    def __init__(self, fault: Fault, flags: Flags) -> None:
        self._left = fault.times
        self._signal = signal.SIGKILL if fault.kind == KILLED else signal.SIGSTOP
        self._flags = flags

    def is_due(self) -> bool:
        """Count down; return whether the fault comes now."""
        self._left -= 1
        return self._left == 0

    def __call__(self) -> None:
        if self.is_due():
            self.stop()

    def stop(self) -> None:
        """Kill or stop this process."""
        self._flags.set(Flags.MET)
        os.kill(os.getpid(), self._signal)


def _stop_at(point: str, reached: _Countdown) -> None:
    if point == "in COPY":
        _stop_in_copy(reached)
    elif point == "in COMMIT":
        _stop_in_commit(reached)
    for owner, name, when in _CALLS.get(point, ()):
        substitute(owner, name, _stopping(getattr(owner, name), reached, when))


def _stopping(function: Callable[..., Any], reached: Callable[[], None], when: Literal["before", "after"]) -> Any:
    """Return the function with a stop before or after each call."""

    def stopping(*args: Any, **options: Any) -> Any:
        if when == "before":
            reached()
        result = function(*args, **options)
        if when == "after":
            reached()
        return result

    return stopping


def _stop_in_copy(reached: _Countdown) -> None:
    """Send half of the rows of a COPY, and stop."""
    original = copy_in

    def half(connection: Any, table: Any, columns: Any, data: bytes) -> None:
        if not reached.is_due():
            original(connection, table, columns, data)
            return
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
            table, sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(data[: len(data) // 2])
            reached.stop()
            copy.write(data[len(data) // 2 :])

    substitute(upsert, "copy_in", half)
    substitute(probe, "copy_in", half)
    substitute(reloading, "copy_in", half)


def _stop_in_commit(reached: _Countdown) -> None:
    """Send COMMIT, and stop before the answer is read."""

    def ended(transaction: BatchTransaction) -> None:
        if reached.is_due():
            transaction.connection.pgconn.send_query(b"COMMIT")
            transaction.connection.pgconn.flush()
            reached.stop()

    last_of_batch, last_of_replay = BatchTransaction.write_profile, ReplayTransaction.write_entry

    def write_profile(self: BatchTransaction, prepared: Any) -> None:
        last_of_batch(self, prepared)
        ended(self)

    def write_entry(self: ReplayTransaction, entry: Any) -> None:
        last_of_replay(self, entry)
        ended(self)

    substitute(BatchTransaction, "write_profile", write_profile)
    substitute(ReplayTransaction, "write_entry", write_entry)


def _stepping_clock(share: float, flags: Flags) -> Callable[[], float]:
    """Return a clock that has stepped by up to a day, forward or back."""

    def stepped() -> float:
        flags.set(Flags.MET)
        return time.time() + (share - 0.5) * 2 * _DAY

    return stepped
