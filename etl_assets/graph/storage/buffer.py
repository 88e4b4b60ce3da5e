"""The events of the runs that this process executes, until they are written together.

A process executes a run from the moment at which it stores that the run started, RUN_START, until it stores that it
ended. No other process stores these two: neither the web server nor the daemon nor a code server, and no process of a
single step. Their events are not taken here.
"""

from __future__ import annotations

import atexit
import time
from threading import RLock
from typing import TYPE_CHECKING, Final

from dagster import DagsterError, DagsterEventType
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dagster import EventLogEntry

WAIT_SECONDS: Final = 5.0
"""How long an event waits at most while others follow it."""
MOST_EVENTS: Final = 500
MAY_WAIT: Final = frozenset(
    {
        DagsterEventType.LOGS_CAPTURED,
        DagsterEventType.STEP_INPUT,
        DagsterEventType.LOADED_INPUT,
        DagsterEventType.STEP_OUTPUT,
        DagsterEventType.HANDLED_OUTPUT,
        DagsterEventType.STEP_EXPECTATION_RESULT,
        DagsterEventType.ASSET_MATERIALIZATION,
        DagsterEventType.ASSET_OBSERVATION,
        DagsterEventType.ASSET_CHECK_EVALUATION,
    }
)
"""What a step reports in quick succession. Everything else is written at once, and with it what waits."""
_RUN_ENDS: Final = frozenset(
    {DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED}
)
_REFUSALS: Final = (SQLAlchemyError, DagsterError, AttributeError, TypeError, ValueError)
"""What is raised if a row is refused, or if Dagster's own methods are not as this version knows them."""


class EventBuffer:
    """The events that wait. Any number of threads may use it."""

    def __init__(
        self,
        write: Callable[[Sequence[EventLogEntry]], None],
        write_one: Callable[[EventLogEntry], None],
        is_stored: Callable[[EventLogEntry], bool],
    ) -> None:
        """Create an empty buffer.

        Args:
            write: Stores events in one transaction.
            write_one: Stores one event as Dagster does.
            is_stored: Returns whether an event is stored.
        """
        self._write = write
        self._write_one = write_one
        self._is_stored = is_stored
        self._lock = RLock()
        self._runs: set[str] = set()
        self._waiting: list[EventLogEntry] = []
        self._attempted = 0
        """How many of them an attempt to write did not end for: it is unknown whether they are stored."""
        self._since = 0.0
        self._is_writing = False

    @property
    def is_of_run(self) -> bool:
        """Whether this process executes a run."""
        return bool(self._runs)

    def take(self, event: EventLogEntry) -> bool:
        """Take an event of a run that this process executes, and write what waits unless it may wait longer.

        Args:
            event: Any event.

        Returns:
            Whether the event is taken. If not, nothing is done with it.

        Raises:
            SQLAlchemyError: If the events cannot be written. They stay in the buffer.
        """
        type_ = event.dagster_event_type if event.is_dagster_event else None
        if type_ is not DagsterEventType.RUN_START and event.run_id not in self._runs:
            return False
        with self._lock:
            if type_ is DagsterEventType.RUN_START:
                self._begin(event.run_id)
            self._append(event)
            late = time.monotonic() - self._since >= WAIT_SECONDS
            if type_ not in MAY_WAIT or late or len(self._waiting) >= MOST_EVENTS:
                self.flush()
            if type_ in _RUN_ENDS:
                self._end(event.run_id)
        return True

    def take_all(self, events: Sequence[EventLogEntry]) -> bool:
        """Take events of a run that this process executes, and write nothing; return whether they are taken."""
        if not all(event.run_id in self._runs for event in events):
            return False
        with self._lock:
            for event in events:
                self._append(event)
        return True

    def flush(self) -> None:
        """Write the events that wait.

        If the connection breaks, the events are looked up and written again. If a row is refused, each event is
        written by itself, as Dagster does; one that is refused then is lost.

        Raises:
            SQLAlchemyError: If the events cannot be written. They stay in the buffer.
        """
        with self._lock:
            if self._is_writing or not self._waiting:
                return
            self._is_writing = True
            try:
                self._write_waiting()
            finally:
                self._is_writing = False

    def close(self) -> None:
        """Write the events that wait, and take no more.

        Raises:
            SQLAlchemyError: If the events cannot be written. They stay in the buffer.
        """
        with self._lock:
            self.flush()
            for run_id in list(self._runs):
                self._end(run_id)

    def _begin(self, run_id: str) -> None:
        if not self._runs:
            atexit.register(self.flush)
        self._runs.add(run_id)

    def _end(self, run_id: str) -> None:
        self._runs.discard(run_id)
        if not self._runs:
            atexit.unregister(self.flush)

    def _append(self, event: EventLogEntry) -> None:
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(event)

    def _write_waiting(self) -> None:
        try:
            self._attempt()
        except DBAPIError as error:
            if error.connection_invalidated:
                self._attempt()
            else:
                self._write_each()
        except _REFUSALS:
            self._write_each()

    def _attempt(self) -> None:
        """Write all events that wait, except those that an earlier attempt has stored."""
        if self._attempted and self._is_stored(self._waiting[0]):
            self._drop(self._attempted)
        if self._waiting:
            self._attempted = len(self._waiting)
            self._write(self._waiting)
            self._drop(self._attempted)

    def _write_each(self) -> None:
        self._attempted = 0
        while self._waiting:
            try:
                self._write_one(self._waiting[0])
            except DBAPIError as error:
                if not error.connection_invalidated:
                    self._drop(1)
                raise
            except _REFUSALS:
                self._drop(1)
                raise
            self._drop(1)

    def _drop(self, number: int) -> None:
        del self._waiting[:number]
        self._attempted = 0
