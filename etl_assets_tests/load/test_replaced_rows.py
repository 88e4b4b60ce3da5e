"""Many changed rows are deleted and copied, unless something would notice the difference to an update."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from etl_assets.model.rule import KEY_UNIQUE
from etl_assets.postgres.connection import connected
from etl_assets.postgres.tables.upsert import REPLACED_FROM

if TYPE_CHECKING:
    from etl_assets_tests.load.feed import Feed

MANY = range(REPLACED_FROM)


def take(feed: Feed, amount: int, keys: range = MANY) -> tuple[int, int, int]:
    """Load one row for each key; return how many were inserted, updated and unchanged."""
    counts = feed.take([(f"k{number:05}", amount, None) for number in keys]).counts
    return counts.inserted, counts.updated, counts.unchanged


def deleted(feed: Feed) -> int:
    """Return how many rows of the table were deleted, once the server has counted all that the ledger says."""
    written = "SELECT sum(inserted + updated) FROM etl.batch"
    counted = (
        "SELECT pg_stat_get_tuples_inserted(oid) + pg_stat_get_tuples_updated(oid), pg_stat_get_tuples_deleted(oid)"
    )
    for _ in range(200):
        ((expected,),) = feed.query(written)
        ((found, gone),) = feed.query(f"{counted} FROM pg_class WHERE oid = 'core.stock'::regclass")
        if found >= expected:
            return int(gone)
        time.sleep(0.05)
    raise AssertionError("the server did not count the rows")


def execute(feed: Feed, *statements: str) -> None:
    with connected(feed.url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_many_changed_rows_are_replaced(feed: Feed) -> None:
    take(feed, 1)
    assert take(feed, 2) == (0, len(MANY), 0)
    assert deleted(feed) == len(MANY)
    assert feed.query("SELECT count(*), min(amount), max(amount) FROM core.stock") == [(len(MANY), 2, 2)]


def test_new_rows_come_in_with_those_that_are_replaced_and_the_others_stay(feed: Feed) -> None:
    take(feed, 1)
    first = feed.query("SELECT _delivery_id FROM core.stock LIMIT 1")
    rows = [(f"k{number:05}", 1 if number < 10 else 2, None) for number in range(len(MANY) + 30)]
    counts = feed.take(rows).counts
    assert (counts.inserted, counts.updated, counts.unchanged) == (30, len(MANY) - 10, 10)
    assert deleted(feed) == len(MANY) - 10
    assert feed.query("SELECT DISTINCT _delivery_id FROM core.stock WHERE amount = 1") == first
    assert feed.query("SELECT count(*) FROM core.stock") == [(len(MANY) + 30,)]


def test_newer_rows_are_not_replaced(feed: Feed) -> None:
    take(feed, 0)
    late = feed.send([(f"k{number:05}", 1, None) for number in MANY])
    take(feed, 2, MANY[:-5])
    report = feed.load(late)
    assert (report.counts.updated, report.counts.unchanged) == (5, len(MANY) - 5)
    assert feed.query("SELECT amount, count(*) FROM core.stock GROUP BY 1 ORDER BY 1") == [(1, 5), (2, len(MANY) - 5)]


def test_a_few_changed_rows_are_updated(feed: Feed) -> None:
    take(feed, 1)
    assert take(feed, 2, MANY[1:]) == (0, len(MANY) - 1, 0)
    assert deleted(feed) == 0


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(
            [
                "CREATE TABLE core.lines (code text REFERENCES core.stock ON DELETE CASCADE)",
                "INSERT INTO core.lines SELECT code FROM core.stock",
            ],
            id="a foreign key",
        ),
        pytest.param(
            [
                "CREATE FUNCTION core.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''deleted''; END'",
                "CREATE TRIGGER refuse BEFORE DELETE ON core.stock FOR EACH ROW EXECUTE FUNCTION core.refuse()",
            ],
            id="a trigger",
        ),
        pytest.param(["CREATE UNIQUE INDEX ON core.stock (code, amount)"], id="a unique index"),
        pytest.param(["CREATE RULE kept AS ON DELETE TO core.stock DO INSTEAD NOTHING"], id="a rule"),
        pytest.param(["CREATE PUBLICATION changes FOR TABLE core.stock"], id="a publication"),
    ],
)
def test_rows_are_updated_if_something_would_notice(feed: Feed, statements: list[str]) -> None:
    take(feed, 1)
    execute(feed, *statements)
    assert take(feed, 2) == (0, len(MANY), 0)
    assert deleted(feed) == 0
    if "core.lines" in statements[0]:
        assert feed.query("SELECT count(*) FROM core.lines") == [(len(MANY),)]


def test_values_of_columns_that_are_not_declared_stay(feed: Feed) -> None:
    take(feed, 1)
    execute(feed, "ALTER TABLE core.stock ADD COLUMN checked_by text", "UPDATE core.stock SET checked_by = 'Ada'")
    assert take(feed, 2) == (0, len(MANY), 0)
    assert feed.query("SELECT DISTINCT amount, checked_by FROM core.stock") == [(2, "Ada")]


def test_records_that_repeat_the_key_of_an_earlier_batch_are_reported(feed: Feed) -> None:
    report = feed.take([(f"k{number:05}", 1, None) for number in MANY], [(f"k{number:05}", 2, None) for number in MANY])
    assert report.counts.updated == len(MANY)
    assert report.rules == {KEY_UNIQUE: len(MANY)}
    for _ in range(50):  # rows of a copy that failed count, too, and before those that were deleted
        if deleted(feed) == len(MANY):
            return
        time.sleep(0.1)
    raise AssertionError("the rows of the first batch were not deleted")
