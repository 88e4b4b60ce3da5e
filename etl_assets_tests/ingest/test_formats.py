"""The complete ingest of one history in each format: bad records, a correction, a second delivery, a reload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from etl_assets.model.counts import Counts
from etl_assets.postgres.migrations import migrate
from etl_assets.schema import Column, Schema
from etl_assets_tests.databases import fresh_database
from etl_assets_tests.ingest.goods_in_formats import FEEDS, goods
from etl_assets_tests.ingest.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets_tests.ingest.goods_in_formats import Feed, Row

_COLUMNS: Final = (Column("code", "text", required=True, pattern="[a-z]+"), Column("amount", "integer", minimum=0))
_FIRST: Final = Schema(_COLUMNS, key=("code",), ignored=("note", "@note"))
_LATER: Final = Schema((*_COLUMNS, Column("note", "text", published_as=("note", "@note"))), key=("code",))


@dataclass
class History:
    """What the warehouse had after each step.

    Attributes:
        counts: Of the loads: of the first delivery, of the second, and of the reloads of both.
        rows: The table after the first delivery, the replay, the second delivery, and the reloads.
        waiting: The quarantine after the first delivery.
        batches: The number of batches of the first delivery.
        violations: What the doctor found in the end.
    """

    feed: Feed
    counts: list[Counts]
    rows: list[dict[str, tuple[Any, ...]]]
    waiting: list[Rejected]
    batches: int
    violations: list[str]


def _history(feed: Feed, world: World) -> History:
    bad: list[Row | None] = [*goods(0, 0), ("bbb", "?", "note 1"), None, *goods(3, 19)]
    first = world.take_bytes(feed.write(bad))
    rows, waiting = [_by_code(world)], world.waiting()
    world.correct(waiting[0], amount="1000")
    world.correct(waiting[1], code="mended", amount="2000")
    world.replay()
    rows.append(_by_code(world))
    second = world.take_bytes(feed.write(goods(10, 24, more=100)))
    rows.append(_by_code(world))
    later = world.other(schema=_LATER)
    reloads = [later.load(report.delivery) for report in (first, second)]
    rows.append(_by_code(later))
    counts = [report.counts for report in (first, second, *reloads)]
    return History(feed, counts, rows, waiting, len(first.delivery.manifest.spans), later.violations())


def _by_code(world: World) -> dict[str, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in world.rows()}


@pytest.fixture(scope="module")
def empty(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A warehouse for all formats, each of which has its own source."""
    with fresh_database(postgres_url) as url:
        migrate(url)
        yield World(url, tmp_path_factory.mktemp("goods"), _FIRST)


@pytest.fixture(scope="module", params=FEEDS)
def history(request: pytest.FixtureRequest, empty: World) -> History:
    feed = FEEDS[request.param]
    return _history(feed, empty.other(name=f"goods_{request.param}", format=feed.format))


def test_good_records_of_several_batches_are_loaded_and_bad_ones_are_not(history: History) -> None:
    assert history.counts[0] == Counts(read=20, rejected=2, accepted=18, produced=18, inserted=18)
    assert history.rows[0] == {row[0]: (int(row[1]),) for row in (*goods(0, 0), *goods(3, 19))}
    assert history.batches > 1


def test_a_bad_record_waits_with_its_bytes_its_place_and_its_rule(history: History) -> None:
    bad, malformed = history.waiting
    assert (bad.record_no, bad.raw, bad.location, bad.rules) == (2, *history.feed.bad, ["amount__type"])
    raw, place, rule = history.feed.malformed
    assert (malformed.record_no, malformed.raw, malformed.location, malformed.rules) == (3, raw, place, [rule])


def test_corrected_records_are_replayed(history: History) -> None:
    assert history.rows[1] == {**history.rows[0], "bbb": (1000,), "mended": (2000,)}


def test_a_second_delivery_changes_rows_and_adds_rows(history: History) -> None:
    assert history.rows[2] == {**history.rows[1], **{row[0]: (int(row[1]),) for row in goods(10, 24, more=100)}}
    assert history.counts[1] == Counts(read=15, accepted=15, produced=15, inserted=5, updated=10)


def test_a_changed_declaration_reads_frozen_bytes_and_corrections_again(history: History) -> None:
    notes = {row[0]: row[2] for row in goods(0, 24)} | {"mended": None}
    assert history.rows[3] == {code: (*row, notes[code]) for code, row in history.rows[2].items()}
    assert [counts.rejected for counts in history.counts[2:]] == [0, 0]


def test_nothing_is_violated_and_deliveries_that_are_read_again_have_the_same_records(history: History) -> None:
    assert history.violations == []
