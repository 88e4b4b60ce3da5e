"""Events of a run wait for each other in the process that executes it, and only there."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent
from sqlalchemy.exc import OperationalError

from etl_assets.graph.storage import buffer as module
from etl_assets.graph.storage.buffer import EventBuffer

if TYPE_CHECKING:
    from collections.abc import Sequence

START, OUTPUT, SUCCESS = (dg.DagsterEventType[name] for name in ("RUN_START", "STEP_OUTPUT", "STEP_SUCCESS"))
END = dg.DagsterEventType.RUN_SUCCESS
Entry: Any = dg.EventLogEntry


@dataclass
class Log:
    """A log that may break while it is written, before or after the events are in it."""

    stored: list[dg.EventLogEntry] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    refused: str = ""

    def buffer(self) -> EventBuffer:
        return EventBuffer(self.write, self.write_one, lambda event: event in self.stored)

    def write(self, events: Sequence[dg.EventLogEntry]) -> None:
        kind = self.breaks.pop(0) if self.breaks else ""
        if kind == "before":
            raise _broken()
        if any(self.refused == event.user_message for event in events):
            raise ValueError(self.refused)
        self.stored += events
        if kind == "after":
            raise _broken()

    def write_one(self, event: dg.EventLogEntry) -> None:
        self.write([event])

    @property
    def messages(self) -> list[str]:
        return [event.user_message for event in self.stored]


def _broken() -> OperationalError:
    return OperationalError("INSERT", {}, Exception("closed"), connection_invalidated=True)


def entry(message: str, type_: dg.DagsterEventType | None = None, run_id: str = "run") -> dg.EventLogEntry:
    """Return an entry with a message; if it has a type, with an event that has no data."""
    event = DagsterEvent._make([type_.value, "toy", *[None] * (len(DagsterEvent._fields) - 2)]) if type_ else None
    created: dg.EventLogEntry = Entry(None, 20, message, run_id, 0.0, dagster_event=event)
    return created


def started(log: Log) -> EventBuffer:
    buffer = log.buffer()
    assert buffer.take(entry("start", START))
    return buffer


def test_events_are_not_taken_before_the_run_starts_here_and_after_it_ends() -> None:
    log = Log()
    buffer = log.buffer()
    assert not buffer.take(entry("planned", dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED))
    assert not buffer.take(entry("output", OUTPUT))
    assert buffer.take(entry("start", START))
    assert not buffer.take(entry("of another run", OUTPUT, "other"))
    assert buffer.take(entry("end", END))
    assert not buffer.take(entry("exited", dg.DagsterEventType.ENGINE_EVENT))
    assert log.messages == ["start", "end"]


@pytest.mark.parametrize(
    "name", ["STEP_START", "STEP_FAILURE", "STEP_SUCCESS", "STEP_UP_FOR_RETRY", "RUN_CANCELED", None]
)
def test_an_event_that_may_not_wait_is_written_with_all_that_wait(name: str | None) -> None:
    log = Log()
    buffer = started(log)
    buffer.take(entry("1", OUTPUT))
    buffer.take(entry("2", dg.DagsterEventType.ASSET_MATERIALIZATION))
    assert log.messages == ["start"]
    buffer.take(entry("now", dg.DagsterEventType[name] if name else None))
    assert log.messages == ["start", "1", "2", "now"]


def test_an_event_waits_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    buffer = started(log)
    buffer.take(entry("1", OUTPUT))
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.0)
    buffer.take(entry("2", OUTPUT))
    assert log.messages == ["start", "1", "2"]


def test_no_more_events_wait_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EVENTS", 2)
    log = Log()
    buffer = started(log)
    buffer.take_all([entry("1", OUTPUT), entry("2", OUTPUT)])
    assert log.messages == ["start"]
    buffer.take(entry("3", OUTPUT))
    assert log.messages == ["start", "1", "2", "3"]


@pytest.mark.parametrize("breaks", ["before", "after"])
def test_events_are_stored_once_although_the_connection_broke(breaks: str) -> None:
    log = Log()
    buffer = started(log)
    buffer.take(entry("1", OUTPUT))
    log.breaks = [breaks]
    buffer.take(entry("2", SUCCESS))
    assert log.messages == ["start", "1", "2"]


@pytest.mark.parametrize("second", ["before", "after"])
def test_events_that_cannot_be_written_are_kept_and_the_error_is_raised(second: str) -> None:
    log = Log()
    buffer = started(log)
    buffer.take(entry("1", OUTPUT))
    log.breaks = ["before", second]
    with pytest.raises(OperationalError):
        buffer.take(entry("2", SUCCESS))
    buffer.take(entry("3", OUTPUT))
    buffer.take(entry("4", SUCCESS))
    assert log.messages == ["start", "1", "2", "3", "4"]


def test_an_event_that_is_refused_takes_no_other_with_it() -> None:
    log = Log(refused="2")
    buffer = started(log)
    for message in "123":
        buffer.take(entry(message, OUTPUT))
    with pytest.raises(ValueError, match="2"):
        buffer.flush()
    buffer.flush()
    assert log.messages == ["start", "1", "3"]


def test_events_of_several_threads_are_stored_once_and_in_the_order_of_each() -> None:
    log = Log()
    buffer = started(log)

    def report(name: str) -> None:
        for number in range(500):
            buffer.take(entry(f"{name} {number:03}", OUTPUT if number % 7 else None))

    threads = [Thread(target=report, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    buffer.take(entry("end", END))
    for name in "abcd":
        assert [each for each in log.messages if each[0] == name] == [f"{name} {number:03}" for number in range(500)]
    assert log.messages[-1] == "end"


def test_what_waits_is_written_when_the_buffer_is_closed() -> None:
    log = Log()
    buffer = started(log)
    buffer.take(entry("1", OUTPUT))
    buffer.close()
    assert log.messages == ["start", "1"]
    assert not buffer.take(entry("2", OUTPUT))


def test_what_waits_is_written_when_the_process_ends() -> None:
    program = (
        "from etl_assets_tests.graph.storage.test_buffer import *\n"
        "def show(events): print(*(event.user_message for event in events))\n"
        "buffer = EventBuffer(show, None, None)\n"
        "buffer.take(entry('start', START)); buffer.take(entry('output', OUTPUT)); sys.exit()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["start", "output"]
