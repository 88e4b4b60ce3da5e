"""The table of the run history: what a run writes to it, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from psycopg.errors import CheckViolation

from etl_assets.errors import LoadError
from etl_assets.model.run import RunKey
from etl_assets.postgres.connection import connected
from etl_assets.postgres.runs import history

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.postgres.connection import Connection

_KEY = RunKey("run", "people", "north")


@pytest.fixture
def connection(migrated_url: str) -> Iterator[Connection]:
    with connected(migrated_url) as opened:
        yield opened


def _row(connection: Connection, *columns: str) -> tuple[Any, ...]:
    row = connection.execute(f"SELECT {', '.join(columns)} FROM etl.run".encode()).fetchone()
    assert row is not None
    return row


def _batch(connection: Connection, number: int, read: int, kind: str = "ingest", partition: str = "north") -> None:
    connection.execute(
        "WITH d AS (INSERT INTO etl.delivery (source, partition, rank, sha256, size, records, manifest) "
        "VALUES ('people', %s, '', '', 1, 9, '{}') RETURNING id) "
        "INSERT INTO etl.batch (delivery_id, generation, kind, number, run_id, epoch, first_record, last_record, read, "
        "rejected, filtered, accepted, produced, inserted, updated, unchanged, duplicate, deleted, hash_seed) "
        "SELECT id, 1, %s, %s, 'run', 1, 1, %s, %s, 0, 0, %s, %s, %s, 0, 0, 0, 0, 0 FROM d",
        (partition, kind, number, read, read, read, read, read),
    )


def test_seconds_of_the_phases_are_collected_and_the_delivery_is_kept(connection: Connection) -> None:
    history.run_started(connection, _KEY, step="landing")
    _batch(connection, 1, 5)
    history.step_ended(connection, _KEY, delivery_id=1, seconds={"landing": 0.5})
    history.run_started(connection, _KEY, step="core")
    end = history.run_succeeded(connection, _KEY, seconds={"core": 1.25})
    assert end is not None
    assert (end.status, end.delivery_id, end.counts.inserted) == ("succeeded", 1, 5)
    assert end.seconds >= 0
    assert _row(connection, "step", "seconds") == ("core", {"landing": 0.5, "core": 1.25})


def test_a_run_that_was_never_entered_has_no_end(connection: Connection) -> None:
    assert history.run_succeeded(connection, _KEY) is None
    assert connection.execute("SELECT FROM etl.run").fetchall() == []


def test_counts_are_the_sums_of_ledger_entries_of_the_partition_or_of_any_partition_for_a_replay(
    connection: Connection,
) -> None:
    history.run_started(connection, _KEY)
    _batch(connection, 1, 5)
    _batch(connection, 2, 7, partition="south")
    end = history.run_interrupted(connection, _KEY, "crashed", "It is gone.", error_class=history.CRASHED)
    assert end is not None
    assert (end.counts.read, end.delivery_id) == (5, 1)
    assert "Committed batches: 1, with 5 records" in end.error
    replay = RunKey("run", "people", "")
    history.run_started(connection, replay)
    _batch(connection, 3, 2, kind="replay", partition="south")
    ended = history.run_succeeded(connection, replay)
    assert ended is not None
    assert ended.counts.read == 2


def test_a_run_that_starts_again_has_no_error_and_one_more_attempt(connection: Connection) -> None:
    history.run_started(connection, _KEY, attempt=2)
    history.run_failed(connection, _KEY, "LoadError", "It failed.", step="core")
    assert _row(connection, "status", "attempt", "error") == ("failed", 2, "It failed.")
    history.run_started(connection, _KEY, again=True)
    assert _row(connection, "status", "attempt", "error", "error_class", "ended_at") == (
        "started", 3, None, None, None,
    )  # fmt: skip


def test_the_text_of_a_foreign_error_is_not_entered() -> None:
    assert history.error_text(LoadError("Nothing was written.")) == "Nothing was written."
    assert "36" not in history.error_text(ValueError("Ada is 36"))


def test_an_unknown_status_is_refused(connection: Connection) -> None:
    history.run_started(connection, _KEY)
    with pytest.raises(CheckViolation):
        connection.execute("UPDATE etl.run SET status = 'lost'")
