"""A run is alive as long as its process, and its connection ends with it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from etl_assets.errors import SettingsError
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import locks
from etl_assets.postgres.runs import liveness

if TYPE_CHECKING:
    from collections.abc import Callable

_SOURCE_PARTITION = ("people", "")
_APPEAR = """
import sys
from etl_assets.postgres.runs import liveness
liveness.appear(sys.argv[1], "theirs", ("people", ""))
print("there", flush=True)
sys.stdin.read()
"""


def _alive(url: str, run_id: str) -> bool:
    with connected(url) as connection:
        return liveness.run_lock_number(run_id) in locks.held_lock_numbers(connection)


def _wait_for(condition: Callable[[], bool], thread_of: tuple[str, str] | None = None) -> None:
    """Wait until the condition is true, as long as the given thread lives that makes it true."""
    while not condition():
        assert thread_of is None or liveness._presences[thread_of]._thread.is_alive()


def test_a_run_is_alive_from_its_first_partition_until_another_run_appears(database_url: str) -> None:
    assert not _alive(database_url, "one")
    liveness.appear(database_url, "one", _SOURCE_PARTITION)
    liveness.appear(database_url, "one", ("airports", ""))
    liveness.leave(database_url, "one", _SOURCE_PARTITION)
    liveness.appear(database_url, "two", _SOURCE_PARTITION)
    assert _alive(database_url, "one"), "it has a partition left"
    liveness.leave(database_url, "one", ("airports", ""))
    assert _alive(database_url, "one"), "the process may still have work for it"
    liveness.leave(database_url, "two", _SOURCE_PARTITION)
    liveness.appear(database_url, "three", _SOURCE_PARTITION)
    _wait_for(lambda: not _alive(database_url, "one"))
    assert {run_id for url, run_id in liveness._presences if url == database_url} == {"three"}
    liveness.leave(database_url, "three", _SOURCE_PARTITION)


def test_a_run_of_a_process_that_is_killed_is_dead_at_once(database_url: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _APPEAR, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        assert _alive(database_url, "theirs")
    finally:
        process.kill()
        process.communicate()
    _wait_for(lambda: not _alive(database_url, "theirs"))


def test_a_broken_session_is_replaced_while_the_run_has_work(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "CHECK_SECONDS", 0.02)
    liveness.appear(database_url, "one", _SOURCE_PARTITION)
    _end_session(database_url, "one")
    _wait_for(lambda: _alive(database_url, "one"), (database_url, "one"))
    liveness.leave(database_url, "one", _SOURCE_PARTITION)
    _end_session(database_url, "one")
    presence = liveness._presences[database_url, "one"]
    presence._thread.join(30)
    assert presence.over
    assert presence._connection.closed
    liveness.appear(database_url, "one", _SOURCE_PARTITION)
    assert _alive(database_url, "one"), "it has work again"
    liveness.leave(database_url, "one", _SOURCE_PARTITION)


def test_a_run_cannot_appear_without_a_database(unused_url: str) -> None:
    with pytest.raises(SettingsError):
        liveness.appear(unused_url, "one", _SOURCE_PARTITION)
    assert (unused_url, "one") not in liveness._presences


@pytest.fixture
def unused_url() -> str:
    return "postgresql://nobody@127.0.0.1:1/nothing"


def _end_session(url: str, run_id: str) -> None:
    """Terminate the session that holds a run's lock."""
    number = liveness.run_lock_number(run_id)
    terminate = (
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
        "AND ((classid::bigint << 32) | objid::bigint) = %s"
    )
    with connected(url) as connection:
        assert connection.execute(terminate, (number,)).fetchall() == [(True,)]
