"""Kill a run at any point and repeat it: table, quarantine and counts are those that one clean run leaves."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from etl_assets.errors import FencedError
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import locks
from etl_assets_tests.chaos import faults, wrong_transactions
from etl_assets_tests.chaos.victim import BATCHES, EXPECTED, LOCKS, REJECTED, load_in_a_process

if TYPE_CHECKING:
    from etl_assets.load import LoadReport
    from etl_assets.load.prepare import Prepared
    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets_tests.load.feed import Feed


def load_again(feed: Feed) -> LoadReport:
    return feed.load(feed.send(*BATCHES, rejected=REJECTED))


def violations(feed: Feed) -> list[str]:
    """Return everything that differs from what one clean run leaves."""
    differences: list[str] = []
    if feed.rows() != EXPECTED:
        differences.append(f"table {feed.rows()}")
    inserted, rejected, read = feed.query("SELECT sum(inserted), sum(rejected), sum(read) FROM etl.batch")[0]
    if inserted != len(EXPECTED):
        differences.append(f"{inserted} inserted according to the ledger")
    quarantine = feed.query("SELECT record_no, raw FROM etl.rejected ORDER BY record_no")
    if quarantine != [(number, f"record {number}".encode()) for number in REJECTED]:
        differences.append(f"quarantine {quarantine}")
    if (rejected, read) != (len(REJECTED), 10):
        differences.append(f"ledger of {rejected} rejected, {read} read")
    if feed.query(LOCKS) != [(0,)]:
        differences.append("a lock is still held")
    if feed.query("SELECT relname FROM pg_class WHERE relname LIKE 'etl\\_%'"):
        differences.append("a staging table is left")
    return differences


@pytest.mark.parametrize("point", faults.POINTS)
def test_a_run_killed_at_any_point_and_repeated_leaves_what_one_clean_run_leaves(feed: Feed, point: str) -> None:
    assert load_in_a_process(feed.url, ("dying_at", point)) == -signal.SIGKILL
    report = load_again(feed)
    assert violations(feed) == []
    assert report.status == "resumed"


def test_a_run_killed_twice_at_the_same_point_loses_nothing(feed: Feed) -> None:
    for _ in range(2):
        assert load_in_a_process(feed.url, ("dying_at", "before_commit")) == -signal.SIGKILL
    load_again(feed)
    assert violations(feed) == []


def test_the_variant_that_writes_the_ledger_entry_in_its_own_transaction_fails(feed: Feed) -> None:
    assert load_in_a_process(feed.url, ("LedgerApart", "")) == -signal.SIGKILL
    load_again(feed)
    assert violations(feed) != []


def test_the_variant_that_writes_the_ledger_entry_before_the_rows_fails(feed: Feed) -> None:
    assert load_in_a_process(feed.url, ("LedgerFirst", "")) == -signal.SIGKILL
    load_again(feed)
    assert violations(feed) != []


@pytest.mark.parametrize("guarded", [True, False])
def test_only_with_the_guard_a_newer_row_is_kept_against_an_older_one(feed: Feed, guarded: bool) -> None:  # noqa: FBT001
    feed.take([("a", 2, "new")], partition="2")
    if not guarded:
        feed.transaction = wrong_transactions.Unguarded
    feed.take([("a", 1, "old")], partition="1")
    assert feed.rows() == ([("a", 2, "new")] if guarded else [("a", 1, "old")])


def test_after_the_server_ends_the_session_the_load_continues_and_the_batch_is_written_once(feed: Feed) -> None:
    faults.Disconnected.ended = False
    feed.transaction = faults.Disconnected
    load_again(feed)
    assert faults.Disconnected.ended
    assert violations(feed) == []


def test_after_a_lost_answer_to_commit_the_loader_finds_the_batch_in_the_ledger(feed: Feed) -> None:
    faults.AnswerLost.lost = False
    feed.transaction = faults.AnswerLost
    load_again(feed)
    assert faults.AnswerLost.lost
    assert violations(feed) == []


def test_a_run_that_was_taken_over_writes_nothing_more(feed: Feed) -> None:
    class Replaced(BatchTransaction):
        def run(self, prepared: Prepared) -> Entry:
            if prepared.batch.span.batch == faults.FATAL_BATCH:
                with connected(feed.url) as other:
                    locks.take_over(other, "stock", "", "the run that took over")
            return super().run(prepared)

    feed.transaction = Replaced
    with pytest.raises(FencedError, match="newer run has taken over"):
        load_again(feed)
    assert feed.query("SELECT max(number) FROM etl.batch") == [(1,)]
