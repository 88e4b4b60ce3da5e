"""What a process that executes runs hands to its command, and which commands have such processes."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from etl_assets.cli.outcome import Outcome
from etl_assets.cli.processes import Answer
from etl_assets.cli.side_by_side import in_order
from etl_assets.errors import DeclarationError, SettingsError
from etl_assets.graph.launcher.forks import foreign_threads
from etl_assets_tests.cli.desk import prepare_published
from etl_assets_tests.cli.feeds import Feed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.errors import EtlAssetsError
    from etl_assets_tests.cli.conftest import Prepared

LOADED = Outcome("shelves", "0.csv", 1, "loaded")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks runs")


@contextmanager
def _thread(name: str) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=over.wait, name=name)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("kind", [SettingsError, DeclarationError])
def test_an_error_of_this_package_is_raised_by_the_command_as_it_was_raised(kind: type[EtlAssetsError]) -> None:
    error = Answer(error=(kind.__name__, "The server is away.")).raised()
    assert type(error) is kind
    assert str(error) == "The server is away."


def test_an_answer_without_an_error_raises_none() -> None:
    assert Answer().raised() is None


def test_outcomes_come_in_the_order_of_the_plan_and_those_after_a_missing_one_last() -> None:
    ended = [(1, [LOADED]), (4, [LOADED]), (0, []), (3, [])]
    assert list(in_order(ended)) == [(0, []), (1, [LOADED]), (3, []), (4, [LOADED])]


@on_linux
def test_a_thread_is_one_that_a_fork_would_miss() -> None:
    with _thread("walker"):
        assert "walker" in foreign_threads()
    assert "walker" not in foreign_threads()


@on_linux
def test_a_command_with_threads_executes_its_runs_itself(prepared: Prepared) -> None:
    desk = prepared(prepare_published)
    feed = Feed("shelves", per_run=1)
    feed.declare(desk)
    feed.publish(desk, files=2)
    with _thread("walker"):
        assert len(desk.lines("run", "shelves", "--jobs", "2", "--json")) == 2
    assert desk.query("SELECT DISTINCT process FROM etl.run WHERE source = 'shelves'") == [(os.getpid(),)]
