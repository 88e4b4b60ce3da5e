"""Two records of one delivery with one key and different contents: reported, rejected, or one of them wins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import ingest
from etl_assets.errors import DeclarationError
from etl_assets.extract.formats.csv import Csv
from etl_assets.graph.assets.checks import loaded_results
from etl_assets.load.writers import Snapshot
from etl_assets.model.rule import KEY_UNIQUE
from etl_assets.postgres.connection import connected
from etl_assets.postgres.tables.upsert import TableWriter
from etl_assets.schema import Column, Greatest, References, Schema
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

PAIR = ("plum,1,", "fig,1,", "plum,2,")
LONG = "x" * 40


@pytest.fixture(params=["one batch", "a batch each", "a batch each, on an older server"])
def batched(request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A feed whose records are in one batch, or each in a batch of its own."""
    if request.param != "one batch":
        world.format = Csv(batch_bytes=64)
    if "older" in request.param:
        monkeypatch.setattr(TableWriter, "_returns_old", False)
    return world


def records(*lines: str) -> list[str]:
    return [f"{line}{LONG}" for line in lines]


def declare(world: World, repeated_keys: Any, **more: Any) -> None:
    world.schema = replace(GOODS, repeated_keys=repeated_keys, **more)


def test_a_record_with_the_key_of_an_earlier_one_is_reported_with_its_place_and_wins(batched: World) -> None:
    report = batched.take(*records(*PAIR))
    assert [row[:2] for row in batched.rows()] == [("fig", 1), ("plum", 2)]
    assert report.rules == {KEY_UNIQUE: 1}
    assert report.counts.rejected == 0
    with connected(batched.url) as connection:
        checks = loaded_results(batched.source, connection, [report])
    results = {result.name: result for check in checks for result in check.entries}
    assert (results[KEY_UNIQUE].passed, results[KEY_UNIQUE].by_consent) == (False, False)
    assert results[KEY_UNIQUE].places == ("record 3 at :4",)
    assert batched.violations() == []


def test_a_pair_is_reported_in_each_delivery_and_in_each_reload(batched: World) -> None:
    for _ in range(2):
        report = batched.take(*records(*PAIR))
        assert report.rules == {KEY_UNIQUE: 1}
        batched.take(*records("fig,1,"))
    reloaded = ingest.load(batched.source, report.delivery, batched.warehouse, "run", force=True)
    assert reloaded.rules == {KEY_UNIQUE: 1}


def test_equal_twins_break_no_rule(batched: World) -> None:
    report = batched.take(*records("plum,1,", "plum,1,", "fig,1,"))
    assert report.rules == {}


def test_a_record_with_the_key_of_an_earlier_one_can_be_rejected(batched: World) -> None:
    declare(batched, "reject")
    report = batched.take(*records(*PAIR, "plum,1,"))
    assert [row[:2] for row in batched.rows()] == [("fig", 1), ("plum", 1)]
    assert [(record.record_no, record.rules) for record in batched.waiting()] == [(3, [KEY_UNIQUE])]
    assert report.counts.rejected == 1
    assert batched.violations() == []


def test_a_rejected_record_is_the_same_whatever_was_in_the_table(batched: World) -> None:
    declare(batched, "reject")
    for before in ("plum,1,", "plum,2,"):
        batched.take(*records(before))
        batched.take(*records(*PAIR))
        assert [row[:2] for row in batched.rows()] == [("fig", 1), ("plum", 1)]


def test_a_rejected_record_can_be_replayed_with_another_key(batched: World) -> None:
    declare(batched, "reject")
    batched.take(*records(*PAIR))
    batched.replay()
    (record,) = batched.waiting()
    batched.correct(record, code="pear")
    batched.replay()
    assert [row[:2] for row in batched.rows()] == [("fig", 1), ("pear", 2), ("plum", 1)]


def test_the_last_may_win_without_a_report(batched: World) -> None:
    declare(batched, "last")
    report = batched.take(*records(*PAIR))
    assert [row[:2] for row in batched.rows()] == [("fig", 1), ("plum", 2)]
    assert report.rules == {}
    assert KEY_UNIQUE not in {rule.name for rule in batched.source.rules}


def test_versions_of_a_declared_order_are_no_pair(batched: World) -> None:
    ordered = (GOODS["code"], Column("amount", "integer", required=True), GOODS["note"])
    declare(batched, "report", columns=ordered, order_by="amount")
    report = batched.take(*records("plum,1,", "plum,2,"), f"fig,1,{LONG}", f"fig,1,y{LONG}")
    assert report.rules == {KEY_UNIQUE: 1}


def test_an_unknown_choice_is_refused(world: World) -> None:
    with pytest.raises(DeclarationError, match="repeated_keys is 'middle'"):
        declare(world, "middle")


def test_reporting_does_not_change_the_fingerprint(world: World) -> None:
    before = world.source.fingerprint
    declare(world, "last")
    assert world.source.fingerprint == before
    declare(world, "reject")
    assert world.source.fingerprint != before


@pytest.mark.parametrize(
    ("later", "rejected"), [(("a,2", "a,1"), [3]), (("a,2", "a,2"), [3, 4]), (("a,1", "a,2"), [4])]
)
def test_records_are_compared_with_the_first_of_their_key_also_if_it_is_in_an_earlier_batch(
    world: World, later: tuple[str, str], rejected: list[int]
) -> None:
    world.format = Csv(batch_bytes=100)
    declare(world, "reject")
    report = world.take(*(f"{record},{LONG}" for record in ("b,1", "a,1", *later)))
    assert [span.records for span in report.delivery.manifest.spans] == [2, 2]
    assert [record.record_no for record in world.waiting()] == rejected
    assert [row[:2] for row in world.rows()] == [("a", 1), ("b", 1)]
    assert world.violations() == []


def test_the_first_record_of_a_key_can_win(batched: World) -> None:
    declare(batched, "first")
    counts = batched.take(*records(*PAIR, "plum,1,")).counts
    assert [row[:2] for row in batched.rows()] == [("fig", 1), ("plum", 1)]
    assert (counts.produced, counts.inserted, counts.duplicate, counts.rejected) == (4, 2, 2, 0)
    assert batched.violations() == []


def test_the_record_with_the_greatest_value_can_win_and_of_equal_values_the_last(batched: World) -> None:
    declare(batched, Greatest("amount"), columns=(GOODS["code"], GOODS["amount"].replace(required=True), GOODS["note"]))
    batched.take(f"plum,1,{LONG}a", f"plum,3,{LONG}b", f"plum,3,{LONG}c", f"plum,2,{LONG}d")
    assert batched.rows() == [("plum", 3, f"{LONG}c")]
    assert batched.violations() == []


def test_the_greatest_value_of_one_delivery_does_not_outdo_a_later_delivery(batched: World) -> None:
    declare(batched, Greatest("amount"), columns=(GOODS["code"], GOODS["amount"].replace(required=True), GOODS["note"]))
    batched.take(*records("plum,9,", "plum,1,"))
    batched.take(*records("plum,2,", "plum,1,"))
    assert [row[:2] for row in batched.rows()] == [("plum", 2)]


def test_all_records_of_a_key_can_be_rejected_if_their_contents_differ(batched: World) -> None:
    declare(batched, "reject_all")
    counts = batched.take(*records("kiwi,1,", *PAIR, "kiwi,1,")).counts
    assert [row[:2] for row in batched.rows()] == [("fig", 1), ("kiwi", 1)]
    waiting = [(record.record_no, record.rules) for record in batched.waiting()]
    assert waiting == [(2, [KEY_UNIQUE]), (4, [KEY_UNIQUE])]
    assert counts.rejected == 2
    assert batched.violations() == []


def test_all_records_of_a_key_that_are_rejected_leave_the_row_of_a_snapshot(world: World) -> None:
    shop = world.other(schema=replace(GOODS, repeated_keys="reject_all"), more={"write": Snapshot(max_deleted=1.0)})
    shop.take("fig,1,", "plum,1,")
    shop.take("fig,1,", "plum,2,", "plum,3,")
    assert [row[:2] for row in shop.rows()] == [("fig", 1), ("plum", 1)]


def test_a_corrected_record_that_comes_first_wins_with_the_next_run(batched: World) -> None:
    declare(batched, "first")
    delivery = batched.take(*records("plum,bad,", "plum,2,")).delivery
    (record,) = batched.waiting()
    batched.correct(record, amount="1")
    batched.replay(record.id)
    batched.load(delivery)
    assert [row[:2] for row in batched.rows()] == [("plum", 1)]
    assert batched.violations() == []


def test_a_winner_that_the_database_rejects_leaves_no_row_of_its_key(world: World) -> None:
    parents = world.other(name="kinds", schema=Schema((Column("code", "text", required=True),), ("code",)))
    parents.take("a", header="code")
    note = Column("note", "text", references=References("core.kinds.code", missing="reject"))
    shop = world.other(schema=replace(GOODS, columns=(*GOODS.columns[:2], note), repeated_keys="first"))
    shop.take("plum,1,missing", "plum,2,a")
    assert shop.rows() == []


@pytest.mark.parametrize("column", ["unknown", "note"])
def test_a_greatest_column_must_be_required(world: World, column: str) -> None:
    with pytest.raises(DeclarationError, match="no required column with values that can be ordered"):
        replace(world.source, schema=replace(GOODS, repeated_keys=Greatest(column)))
