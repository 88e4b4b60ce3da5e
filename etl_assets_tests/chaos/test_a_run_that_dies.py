"""Kill a run anywhere, run it again: the table, the quarantine and the counts are what one clean run leaves."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from etl_assets.errors import FencedError
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import locks
from etl_assets_tests.chaos import faults
from etl_assets_tests.chaos.victim import BATCHES, EXPECTED, REJECTED, load_in_a_process

if TYPE_CHECKING:
    from etl_assets.load import LoadReport
    from etl_assets.load.prepare import Prepared
    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets_tests.load.feed import Feed


def load_again(feed: Feed) -> LoadReport:
    return feed.load(feed.send(*BATCHES, rejected=REJECTED))


def violations(feed: Feed) -> list[str]:
    """What is not as one clean run leaves it."""
    found: list[str] = []
    if feed.rows() != EXPECTED:
        found.append(f"table {feed.rows()}")
    inserted, rejected, read = feed.query("SELECT sum(inserted), sum(rejected), sum(read) FROM etl.batch")[0]
    if inserted != len(EXPECTED):
        found.append(f"{inserted} inserted according to the ledger")
    quarantine = feed.query("SELECT record_no, raw FROM etl.rejected ORDER BY record_no")
    if quarantine != [(number, f"record {number}".encode()) for number in REJECTED]:
        found.append(f"quarantine {quarantine}")
    if (rejected, read) != (len(REJECTED), 10):
        found.append(f"ledger of {rejected} rejected, {read} read")
    if feed.query(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    ) != [(0,)]:
        found.append("a lock left held")
    if feed.query("SELECT relname FROM pg_class WHERE relname LIKE 'etl\\_%'"):
        found.append("a staging table left")
    return found


@pytest.mark.parametrize("point", faults.POINTS)
def test_a_run_killed_anywhere_and_run_again_ends_as_one_clean_run(feed: Feed, point: str) -> None:
    assert load_in_a_process(feed.url, ("dying_at", point)) == -signal.SIGKILL
    report = load_again(feed)
    assert violations(feed) == []
    assert report.status == "resumed"


def test_a_run_killed_twice_in_the_same_place_loses_nothing(feed: Feed) -> None:
    for _ in range(2):
        assert load_in_a_process(feed.url, ("dying_at", "before_commit")) == -signal.SIGKILL
    load_again(feed)
    assert violations(feed) == []


def test_a_ledger_line_in_a_transaction_of_its_own_is_shown_to_be_wrong(feed: Feed) -> None:
    assert load_in_a_process(feed.url, ("LedgerApart", "")) == -signal.SIGKILL
    load_again(feed)
    assert violations(feed) != []


def test_a_ledger_line_written_before_the_rows_is_shown_to_be_wrong(feed: Feed) -> None:
    assert load_in_a_process(feed.url, ("LedgerFirst", "")) == -signal.SIGKILL
    load_again(feed)
    assert violations(feed) != []


@pytest.mark.parametrize("guarded", [True, False])
def test_without_the_order_guard_an_older_row_beats_a_newer_one(feed: Feed, guarded: bool) -> None:  # noqa: FBT001
    feed.take([("a", 2, "new")], partition="2")
    if not guarded:
        feed.transaction = faults.Unguarded
    feed.take([("a", 1, "old")], partition="1")
    assert feed.rows() == ([("a", 2, "new")] if guarded else [("a", 1, "old")])


def test_a_session_that_the_server_ends_is_mended_and_the_batch_written_once(feed: Feed) -> None:
    faults.Disconnected.ended = False
    feed.transaction = faults.Disconnected
    load_again(feed)
    assert faults.Disconnected.ended
    assert violations(feed) == []


def test_a_lost_answer_to_commit_is_looked_up_in_the_ledger(feed: Feed) -> None:
    faults.AnswerLost.lost = False
    feed.transaction = faults.AnswerLost
    load_again(feed)
    assert faults.AnswerLost.lost
    assert violations(feed) == []


def test_a_run_that_was_replaced_writes_nothing_more(feed: Feed) -> None:
    class Replaced(BatchTransaction):
        def run(self, prepared: Prepared) -> Entry:
            if prepared.batch.span.batch == faults.FATAL_BATCH:
                with connected(feed.url) as other:
                    locks.take(other, "stock", "", "the run that took over")
            return super().run(prepared)

    feed.transaction = Replaced
    with pytest.raises(FencedError, match="newer run has taken over"):
        load_again(feed)
    assert feed.query("SELECT max(number) FROM etl.batch") == [(1,)]
