"""Every way of writing rows ends in the same table, with the same counts."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.postgres.connection import connect
from etl_assets.postgres.tables import key_range, upsert
from etl_assets.postgres.tables.ddl import ensure_table
from etl_assets.postgres.tables.fillfactor import ensure_fillfactor
from etl_assets.schema import Column, Schema
from etl_assets_tests.load.feed import Feed

if TYPE_CHECKING:
    from etl_assets.model.counts import Counts
    from etl_assets.model.delivery import Delivery

NUMBERED = Schema(
    columns=(Column("number", "integer", required=True), Column("amount", "integer"), Column("note", "text")),
    key=("number",),
)
ROW = st.tuples(st.integers(1, 9), st.integers(1, 2), st.sampled_from([None, "x"]))
BATCH = st.lists(ROW, min_size=4, max_size=9, unique_by=lambda row: row[0])
BATCHES = st.lists(BATCH, min_size=1, max_size=2)
STEP = st.tuples(st.sampled_from(["load", "load", "again", "late"]), BATCHES)
NAMES = count()
NEVER = 10**9


@pytest.fixture(params=["upserted", "replaced one by one", "replaced in order", "updated"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(upsert, "REPLACED_FROM", NEVER if request.param == "upserted" else 1)
    monkeypatch.setattr(key_range, "_LEAST", 1 if request.param == "replaced in order" else NEVER)
    return str(request.param)


def new_feed(url: str, way: str) -> Feed:
    feed = Feed(url, NUMBERED, f"numbers{next(NAMES)}")
    if way == "updated":
        with connect(url) as connection:
            ensure_table(connection, feed.table, NUMBERED)
            ensure_fillfactor(connection, feed.table, 45)
    return feed


def counts_of(feed: Feed, late: Any, steps: Any) -> list[tuple[Counts, dict[str, int]]]:
    """Load deliveries after one that comes late, and reload the last one; return what each load counts."""
    waiting, found = [feed.send(*late)], []
    loaded: list[Delivery] = []
    for number, (step, batches) in enumerate([*steps, ("late", late)], start=1):
        if step == "late" and waiting:
            loaded.append(waiting.pop())
        elif step != "again" or not loaded:
            loaded.append(feed.send(*batches, filtered=number))
        report = feed.load(loaded[-1], force=step == "again")
        found.append((report.counts, dict(report.rules)))
    return found


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(late=BATCHES, steps=st.lists(STEP, min_size=2, max_size=4))
def test_any_history_ends_in_the_same_table(migrated_url: str, way: str, late: Any, steps: Any) -> None:
    feed = new_feed(migrated_url, way)
    with pytest.MonkeyPatch.context() as other:
        other.setattr(upsert, "REPLACED_FROM", NEVER)
        other.setattr(key_range, "_LEAST", NEVER)
        expected = new_feed(migrated_url, "upserted")
        counts = counts_of(expected, late, steps)
    assert counts_of(feed, late, steps) == counts
    assert contents(feed) == contents(expected)


def contents(feed: Feed) -> list[Any]:
    """Return the rows with their marks, whose deliveries are numbered within the source."""
    return feed.query(
        "SELECT number, amount, note, _record_no, _row_hash, _delivery_id - (SELECT min(id) FROM etl.delivery "
        f"WHERE source = '{feed.source}') FROM {feed.table} ORDER BY 1"
    )
