"""`Append` keeps every valid record once, without a key, whatever is loaded twice, reloaded, corrected or late."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import ingest
from etl_assets.errors import DeclarationError
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import Append
from etl_assets_tests.ingest.world import GOODS, ending_after

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

LONG = "x" * 40
EVENTS = replace(GOODS, key=())


@pytest.fixture(name="events")
def _events(world: World) -> World:
    return world.other(schema=EVENTS, more={"write": Append()})


def rows(world: World) -> list[tuple[Any, ...]]:
    return world.query("SELECT code, amount FROM core.goods ORDER BY _delivery_id, _record_no")


def test_equal_records_are_all_kept(events: World) -> None:
    counts = events.take("fig,1,", "fig,1,", "plum,2,").counts
    assert rows(events) == [("fig", 1), ("fig", 1), ("plum", 2)]
    assert (counts.inserted, counts.duplicate) == (3, 0)
    assert events.violations() == []


def test_each_delivery_adds_its_records(events: World) -> None:
    events.take("fig,1,")
    events.take("fig,1,", "fig,2,")
    assert rows(events) == [("fig", 1), ("fig", 1), ("fig", 2)]
    assert events.violations() == []


def test_a_delivery_that_is_loaded_twice_adds_nothing(events: World) -> None:
    delivery = events.take("fig,1,").delivery
    assert events.load(delivery).status == "unchanged"
    assert rows(events) == [("fig", 1)]


def test_a_forced_reload_leaves_equal_rows_alone(events: World) -> None:
    events.take("fig,1,", "plum,1,")
    before = events.query("SELECT ctid::text FROM core.goods ORDER BY 1")
    report = ingest.load(events.source, events.land().delivery, events.warehouse, "run", force=True)
    assert (report.counts.inserted, report.counts.unchanged, report.counts.deleted) == (0, 2, 0)
    assert events.query("SELECT ctid::text FROM core.goods ORDER BY 1") == before


def test_another_declaration_replaces_the_rows_of_the_records_that_it_reads_otherwise(events: World) -> None:
    delivery = events.take("fig,1,", "plum,7,").delivery
    capped = events.other(
        schema=replace(EVENTS, columns=(GOODS["code"], GOODS["amount"].replace(maximum=3), GOODS["note"]))
    )
    report = capped.load(delivery)
    assert (report.counts.unchanged, report.counts.deleted, report.counts.rejected) == (1, 1, 1)
    assert rows(capped) == [("fig", 1)]
    assert capped.violations() == []


def test_a_corrected_record_is_added_once(events: World) -> None:
    delivery = events.take("fig,1,", "plum,bad,").delivery
    (record,) = events.waiting()
    events.correct(record, amount="5")
    events.replay(record.id)
    assert rows(events) == [("fig", 1), ("plum", 5)]
    ingest.load(events.source, delivery, events.warehouse, "run", force=True)
    assert rows(events) == [("fig", 1), ("plum", 5)]
    assert events.violations() == []


def test_a_load_that_was_interrupted_goes_on_and_adds_each_record_once(events: World) -> None:
    events.format = Csv(batch_bytes=64)

    events.publish(f"fig,1,{LONG}", f"fig,1,{LONG}", f"fig,1,{LONG}")
    delivery = events.land().delivery
    with pytest.raises(KeyboardInterrupt):
        events.load(delivery, ending_after(1))
    assert rows(events) == [("fig", 1)]
    events.load(delivery)
    assert rows(events) == [("fig", 1)] * 3
    assert events.violations() == []


def test_a_row_that_is_changed_or_deleted_by_hand_is_found(events: World) -> None:
    events.take("fig,1,", "plum,1,")
    events.query("UPDATE core.goods SET amount = 9 WHERE code = 'fig' RETURNING 1")
    found = "".join(events.violations())
    assert "has 1 rows with other contents than records" in found
    assert "lacks 1 rows that records" in found


@pytest.mark.parametrize(
    ("changes", "problem"), [({"order_by": "code"}, "has order_by"), ({"repeated_keys": "last"}, "'last'")]
)
def test_what_contradicts_that_the_first_record_stays_is_refused(
    world: World, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(DeclarationError, match=problem):
        replace(world.source, schema=replace(GOODS, **changes), write=Append())


@pytest.fixture(name="keyed")
def _keyed(world: World) -> World:
    return world.other(more={"write": Append()})


def test_the_first_record_of_a_key_stays_within_a_delivery_and_after_it(keyed: World) -> None:
    keyed.take("fig,1,", "fig,2,", "plum,1,")
    counts = keyed.take("fig,3,", "plum,1,", "kiwi,1,").counts
    assert [row[:2] for row in keyed.rows()] == [("fig", 1), ("kiwi", 1), ("plum", 1)]
    assert (counts.inserted, counts.updated, counts.unchanged) == (1, 0, 2)
    assert keyed.violations() == []


def test_the_first_record_of_a_key_is_that_of_the_oldest_delivery_even_if_it_is_late(keyed: World) -> None:
    files = keyed.other(files=True)
    files.publish("fig,1,", file="a.csv")
    late = files.land("a.csv").delivery
    files.take("fig,2,", "plum,2,", file="b.csv")
    files.load(late)
    assert [row[:2] for row in files.rows()] == [("fig", 1), ("plum", 2)]
    assert files.violations() == []


def test_a_reload_that_changes_nothing_writes_nothing_and_asks_no_delivery_to_be_read_again(keyed: World) -> None:
    strict = keyed.other(schema=replace(GOODS, repeated_keys="reject"))
    first = strict.take("fig,1,", "plum,1,").delivery
    strict.take("kiwi,1,")
    report = ingest.load(strict.source, first, strict.warehouse, "run", force=True)
    assert (report.counts.updated, report.counts.unchanged) == (0, 2)
    assert strict.query("SELECT count(*) FROM etl.delivery WHERE needs_reload") == [(0,)]


def test_another_record_of_a_key_is_rejected_if_it_is_declared_and_an_equal_one_is_not(keyed: World) -> None:
    strict = keyed.other(schema=replace(GOODS, repeated_keys="reject"))
    strict.take("fig,1,", "plum,1,")
    counts = strict.take("fig,2,", "plum,1,").counts
    assert [row[:2] for row in strict.rows()] == [("fig", 1), ("plum", 1)]
    assert [record.rules for record in strict.waiting()] == [["key__unique"]]
    assert (counts.rejected, counts.unchanged) == (1, 1)
    assert strict.violations() == []


def test_a_mode_that_needs_a_key_refuses_a_schema_without_one(world: World) -> None:
    with pytest.raises(DeclarationError, match=r"key is empty, and Upsert needs a key.*or write Append\(\)"):
        replace(world.source, schema=EVENTS)
