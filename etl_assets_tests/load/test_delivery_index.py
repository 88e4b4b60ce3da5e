"""The index by which a reload finds the rows of its delivery."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets.postgres.connection import connected
from etl_assets.postgres.tables.delivery_index import cover_new_rows, find_index
from etl_assets.schema import Column
from etl_assets_tests.load.feed import STOCK

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets_tests.load.feed import Feed

AB = [("a", 1, "x"), ("b", 2, None)]
MANY = 20_000
"""So many rows that the index has several ranges."""


def rows_of(numbers: range) -> list[tuple[str, int, None]]:
    return [(f"c{number:05}", number, None) for number in numbers]


def index_names(feed: Feed) -> list[str]:
    """Return the names of the indexes that keep ranges, of any table."""
    names = feed.query("SELECT c.relname FROM pg_class c JOIN pg_am m ON m.oid = c.relam WHERE m.amname = 'brin'")
    return [name for (name,) in names]


def cover_the_rest(feed: Feed) -> int:
    """Make the index cover all rows; return how many ranges of the table it did not cover."""
    with connected(feed.url) as connection:
        index = find_index(connection, feed.table)
        row = connection.execute("SELECT brin_summarize_new_values(%s::oid)", (index,)).fetchone()
    return -1 if row is None else int(row[0])


def read_by(connection: Connection, feed: Feed, *, scans: int) -> tuple[int, int]:
    """Return how often the index was searched, and how many rows of the table were read, by whatever way.

    Waits until the server has counted so many searches: it counts those of a session when the session ends.
    """
    index = find_index(connection, feed.table)
    for _ in range(100):
        row = connection.execute(
            "SELECT pg_stat_get_numscans(%s::oid), pg_stat_get_tuples_returned(t) + pg_stat_get_tuples_fetched(t) "
            "FROM CAST(%s AS regclass) t",
            (index, feed.table),
        ).fetchone()
        if row is not None and row[0] >= scans:
            return int(row[0]), int(row[1])
        time.sleep(0.1)
    pytest.fail("The index was not searched.")


def test_a_table_is_created_with_the_index(feed: Feed) -> None:
    feed.take(AB)
    assert len(index_names(feed)) == 1


def test_a_table_without_the_index_gets_it_with_the_next_load(feed: Feed) -> None:
    feed.take(AB)
    with connected(feed.url) as connection:
        connection.execute(f"DROP INDEX core.{index_names(feed)[0]}".encode())
    feed.take([("c", 3, None)])
    assert len(index_names(feed)) == 1


def test_an_index_of_another_name_is_enough(feed: Feed) -> None:
    feed.take(AB)
    with connected(feed.url) as connection:
        connection.execute(f"ALTER INDEX core.{index_names(feed)[0]} RENAME TO by_delivery".encode())
    feed.schema = replace(STOCK, columns=(*STOCK.columns, Column("size", "integer")))
    feed.take([("c", 3, None, 4)])
    assert index_names(feed) == ["by_delivery"]


def test_tables_whose_long_names_begin_alike_have_an_index_each(feed: Feed) -> None:
    for feed.source in ("s" * 59 + "1", "s" * 59 + "2"):
        feed.take(AB)
    assert len(index_names(feed)) == 2


def test_a_reload_reads_the_rows_of_its_delivery_and_not_the_whole_table(feed: Feed) -> None:
    feed.take(rows_of(range(MANY)))
    delivery = feed.send(AB)
    feed.load(delivery)
    feed.load(delivery, force=True)
    with connected(feed.url) as connection:
        _, before = read_by(connection, feed, scans=1)
        feed.load(delivery, force=True)
        scans, after = read_by(connection, feed, scans=2)
    assert scans == 2
    assert after - before < MANY // 2


def test_a_first_load_leaves_its_rows_for_a_reload_to_cover(feed: Feed) -> None:
    feed.take(rows_of(range(MANY)))
    assert cover_the_rest(feed) > 0


def test_a_reload_makes_the_index_cover_all_rows(feed: Feed) -> None:
    delivery = feed.send(rows_of(range(MANY)))
    feed.load(delivery)
    feed.load(delivery, force=True)
    assert cover_the_rest(feed) == 0


def test_rows_of_a_corrected_delivery_are_found_between_those_of_others(feed: Feed) -> None:
    delivery = feed.send(rows_of(range(MANY)))
    feed.load(delivery)
    feed.take([(f"c{number:05}", -1, None) for number in range(0, MANY, 100)])
    feed._sent[delivery.id] = [feed.batch(1, 1, rows_of(range(MANY - 1)), {MANY: ["note__required"]})]
    report = feed.load(delivery, force=True)
    kept, gone = feed.query("SELECT count(*) FILTER (WHERE amount = -1), count(*) FROM core.stock")[0]
    assert (kept, MANY - gone, report.counts.deleted) == (MANY // 100, 1, 1)


@pytest.mark.parametrize("covered", [True, False], ids=["covered", "not covered"])
def test_a_reload_deletes_the_rows_that_are_gone(feed: Feed, *, covered: bool) -> None:
    rows = rows_of(range(MANY))
    delivery = feed.send(rows)
    feed.load(delivery)
    feed._sent[delivery.id] = [feed.batch(1, 1, rows[:-1], {MANY: ["note__required"]})]
    with connected(feed.url) as vacuum, vacuum.transaction():
        if not covered:
            vacuum.execute(f"LOCK TABLE {feed.table} IN SHARE UPDATE EXCLUSIVE MODE".encode())
        report = feed.load(delivery, force=True)
    assert feed.rows() == rows[:-1]
    assert report.counts.deleted == 1
    assert (cover_the_rest(feed) == 0) == covered


def test_covering_rows_does_not_wait_for_a_session_that_vacuums(feed: Feed) -> None:
    feed.take(rows_of(range(MANY)))
    with connected(feed.url) as vacuum, vacuum.transaction(), connected(feed.url) as connection:
        vacuum.execute(f"LOCK TABLE {feed.table} IN SHARE UPDATE EXCLUSIVE MODE".encode())
        cover_new_rows(connection, feed.table)
    assert cover_the_rest(feed) > 0
