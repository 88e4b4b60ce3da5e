"""Every way of writing rows ends in the same table, with the same counts."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.postgres.connection import connect, connected
from etl_assets.postgres.tables import key_range, upsert
from etl_assets.postgres.tables.ddl import ensure_table
from etl_assets.postgres.tables.fillfactor import ensure_fillfactor
from etl_assets.schema import Column, Schema
from etl_assets_tests.load.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.model.counts import Counts

NUMBERED = Schema(
    columns=(Column("number", "integer", required=True), Column("amount", "integer"), Column("note", "text")),
    key=("number",),
)
ROW = st.tuples(st.integers(1, 30), st.integers(1, 3), st.sampled_from([None, "x"]))
BATCH = st.lists(ROW, min_size=1, max_size=12, unique_by=lambda row: row[0])
STEP = st.tuples(
    st.sampled_from(["load", "load", "load", "keep", "late", "again"]), st.lists(BATCH, min_size=1, max_size=2)
)
NAMES = count()


@pytest.fixture(params=["upserted", "replaced one by one", "replaced in order", "updated in place"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    few = 10**9
    monkeypatch.setattr(upsert, "REPLACED_FROM", few if request.param == "upserted" else 1)
    monkeypatch.setattr(key_range, "_LEAST", 1 if request.param == "replaced in order" else few)
    monkeypatch.setattr(key_range, "_MOST", few)
    yield request.param


def new_feed(url: str, way: str) -> Feed:
    feed = Feed(url, NUMBERED, f"numbers{next(NAMES)}")
    if way == "updated in place":
        with connect(url) as connection:
            ensure_table(connection, feed.table, NUMBERED)
            ensure_fillfactor(connection, feed.table, 45)
    return feed


def counts_of(feed: Feed, steps: list[tuple[str, list[list[Any]]]]) -> list[Counts]:
    """Carry out steps: load a delivery, keep it for later, load the first one that was kept, load the last one again."""
    kept, loaded, found = [], [], []
    for number, (step, batches) in enumerate(steps):
        if step in {"load", "keep"} or not (kept if step == "late" else loaded):
            delivery = feed.send(*batches, filtered=number)
            if step == "keep":
                kept.append(delivery)
                continue
        else:
            delivery = kept.pop(0) if step == "late" else loaded[-1]
        loaded.append(delivery)
        report = feed.load(delivery, force=step == "again")
        found.append((report.counts, dict(report.rules)))
    return found


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEP, min_size=2, max_size=6))
def test_any_history_ends_in_the_same_table(
    migrated_url: str, way: str, steps: list[tuple[str, list[list[Any]]]]
) -> None:
    feed = new_feed(migrated_url, way)
    with pytest.MonkeyPatch.context() as other:
        other.setattr(upsert, "REPLACED_FROM", 10**9)
        other.setattr(key_range, "_LEAST", 10**9)
        expected = new_feed(migrated_url, "upserted")
        expected_counts = counts_of(expected, steps)
    assert counts_of(feed, steps) == expected_counts
    question = (
        "SELECT number, amount, note, _record_no, _row_hash, d.id - min(d.id) OVER () FROM {} JOIN etl.delivery d "
    )
    question += "ON d.id = _delivery_id ORDER BY 1"
    assert feed.query(question.format(feed.table)) == expected.query(question.format(expected.table))
