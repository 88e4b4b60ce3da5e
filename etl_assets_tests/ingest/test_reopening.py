"""A dismissal is taken back: the record of the newest delivery waits again, and the counts agree."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import decisions, quarantine, reopening
from etl_assets.schema import Column
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

LOOSE = replace(GOODS, columns=(GOODS["code"], Column("amount", "integer"), GOODS["note"]))


def records(world: World) -> list[quarantine.Rejected]:
    with connected(world.url) as connection:
        return quarantine.find(connection, source=world.name, statuses=("open", "parked", *reopening.DISMISSED))


def dismiss(world: World) -> None:
    with connected(world.url) as connection:
        decisions.dismiss(connection, [record.id for record in world.waiting()], "ada", "known")


def reopen(world: World, *ids: int) -> list[str | None]:
    """Reopen records; return what kept each from it."""
    with connected(world.url) as connection:
        closed = reopening.reopen(connection, ids or [record.id for record in records(world)], "eve", "mistaken")
    return [one.obstacle for one in closed]


def statuses(world: World) -> list[str]:
    return [status for (status,) in world.query("SELECT status FROM etl.rejected ORDER BY delivery_id, record_no")]


def test_a_dismissed_record_waits_again_and_both_decisions_are_known(world: World) -> None:
    world.take("plum,-5,", "fig,1,")
    dismiss(world)
    assert reopen(world) == [None]
    assert statuses(world) == ["open"]
    assert world.query("SELECT decision, reviewer, note, former_status FROM etl.decision ORDER BY id") == [
        ("dismissed", "ada", "known", "open"),
        ("reopened", "eve", "mistaken", "dismissed"),
    ]
    assert world.violations() == []


def test_a_correction_that_a_dismissal_withdrew_is_there_again(world: World) -> None:
    world.take("plum,-5,", "fig,1,")
    (record,) = world.waiting()
    world.correct(record, amount="5")
    dismiss(world)
    assert world.query("SELECT correction FROM etl.rejected") == [(None,)]
    reopen(world)
    assert world.query("SELECT correction, reviewer FROM etl.rejected") == [({"amount": "5"}, "eve")]
    assert world.replay().replayed == 1
    assert world.rows() == [("fig", 1, None), ("plum", 5, None)]
    assert world.violations() == []


def test_a_reload_leaves_a_reopened_record_open(world: World) -> None:
    world.take("plum,-5,", "fig,1,")
    dismiss(world)
    reopen(world)
    for schema in (LOOSE, GOODS):
        other = world.other(schema=schema)
        other.load(other.land().delivery)
    assert statuses(world) == ["open"]
    assert world.violations() == []


def test_a_record_that_is_known_is_reopened_and_ends_the_dismissal_of_the_older_one(world: World) -> None:
    world.take("plum,-5,")
    dismiss(world)
    world.take("plum,-5,", "fig,1,")
    assert statuses(world) == ["dismissed", "known"]
    old, new = records(world)
    assert reopen(world, old.id) == [f"a newer delivery brought it again: record {new.id}"]
    assert reopen(world, new.id) == [None]
    assert statuses(world) == ["repeated", "open"]
    world.take("plum,-5,", "fig,2,")
    assert statuses(world) == ["repeated", "repeated", "open"]
    assert world.violations() == []


def test_a_record_that_was_known_stays_open_when_its_delivery_is_reloaded(world: World) -> None:
    world.take("plum,-5,")
    dismiss(world)
    world.take("plum,-5,", "fig,1,")
    reopen(world, records(world)[-1].id)
    for schema in (LOOSE, GOODS):
        other = world.other(schema=schema)
        other.load(other.land().delivery)
    assert statuses(world) == ["repeated", "open"]


def test_a_record_that_the_publisher_has_corrected_is_not_reopened(world: World) -> None:
    world.take("plum,-5,")
    dismiss(world)
    world.take("plum,5,")
    assert reopen(world) == ["the publisher has corrected it since"]
    assert statuses(world) == ["dismissed"]


def test_a_record_that_is_known_from_a_correction_is_not_reopened(world: World) -> None:
    world.take("plum,-5,")
    (record,) = world.waiting()
    world.correct(record, amount="5")
    world.replay()
    world.take("plum,-5,", "fig,1,")
    assert statuses(world) == ["replayed", "known"]
    assert reopen(world) == ["it is known because an older one was corrected; correct it, too"]


def test_a_waiting_record_is_not_reopened(world: World) -> None:
    world.take("plum,-5,")
    assert reopen(world) == ["it is not dismissed"]
    assert world.query("SELECT count(*) FROM etl.decision") == [(0,)]


def test_a_correction_is_refused_if_the_record_has_changed_since_it_was_read(world: World) -> None:
    world.take("plum,-5,", "fig,-1,")
    read = {record.id: record for record in world.waiting()}
    first, second = read
    world.correct(read[first], amount="7")
    with connected(world.url) as connection:
        corrections = {first: {"amount": "5"}, second: {"amount": "1"}}
        assert decisions.correct_several(connection, corrections, "eve", None, read) == {second}
    assert world.query("SELECT correction ->> 'amount' FROM etl.rejected ORDER BY id") == [("7",), ("1",)]
