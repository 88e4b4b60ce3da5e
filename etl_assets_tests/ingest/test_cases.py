"""The same bad record in many deliveries is one case, which ends when the publisher or a person has decided it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from etl_assets import Static, ingest
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import cases, decisions, quarantine
from etl_assets.schema import Column
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

LOOSE = replace(GOODS, columns=(GOODS["code"], Column("amount", "integer"), GOODS["note"]))


def statuses(world: World) -> list[str]:
    return [status for (status,) in world.query("SELECT status FROM etl.rejected ORDER BY delivery_id, record_no")]


def case(world: World) -> tuple[str, int]:
    ((status, deliveries),) = world.query("SELECT status, deliveries FROM etl.rejected_case")
    return status, deliveries


def dismiss(world: World) -> None:
    with connected(world.url) as connection:
        decisions.dismiss(connection, [record.id for record in world.waiting()], "ada", None)


def test_only_the_newest_of_the_same_bad_records_waits_and_all_are_kept(world: World) -> None:
    for day in range(4):
        world.take("plum,-5,", f"fig,{day},")
    assert statuses(world) == ["repeated", "repeated", "repeated", "open"]
    assert case(world) == ("open", 4)
    (record,) = world.waiting()
    with connected(world.url) as connection:
        assert cases.times_seen(connection, [record.id]) == {record.id: 4}
    assert world.violations() == []


def test_another_mistake_in_the_record_of_a_key_is_the_same_case(world: World) -> None:
    world.take("plum,-5,")
    world.take("plum,many,")
    assert statuses(world) == ["repeated", "open"]


def test_records_with_other_keys_are_other_cases(world: World) -> None:
    world.take("plum,-5,", "fig,-5,")
    world.take("plum,-5,", "pear,-5,")
    assert statuses(world) == ["repeated", "open", "open", "open"]


def test_a_record_without_a_key_is_recognised_by_its_bytes(world: World) -> None:
    world.take(",1,x", "a,b,c,d")
    world.take(",1,x", "a,b,c,e")
    assert statuses(world) == ["repeated", "open", "open", "open"]


def test_a_case_is_closed_when_its_key_arrives_valid_and_reopened_when_it_comes_back(world: World) -> None:
    world.take("plum,-5,")
    world.take("plum,5,")
    assert case(world) == ("corrected", 1)
    world.take("plum,-5,")
    assert statuses(world) == ["corrected", "open"]
    assert case(world) == ("open", 2)
    assert world.violations() == []


def test_a_valid_record_of_an_older_file_closes_nothing(world: World) -> None:
    world.files = True
    world.take("plum,-5,", file="b.csv")
    world.take("plum,5,", file="a.csv")
    assert statuses(world) == ["open"]


def test_a_bad_record_of_an_older_file_does_not_wait_beside_a_newer_one(world: World) -> None:
    world.files = True
    world.take("plum,-5,", file="b.csv")
    world.take("plum,-6,", file="a.csv")
    assert statuses(world) == ["open", "repeated"]


def test_a_record_that_was_dismissed_stays_known_until_it_changes(world: World) -> None:
    world.take("plum,-5,")
    dismiss(world)
    world.take("plum,-5,", "fig,1,")
    world.take("plum,-5,", "fig,2,")
    assert statuses(world) == ["dismissed", "known", "known"]
    world.take("plum,-6,")
    assert statuses(world)[-1] == "open"
    assert world.violations() == []


def test_a_record_that_was_corrected_stays_known_and_its_row_stays(world: World) -> None:
    world.take("plum,-5,")
    world.correct(world.waiting()[0], amount="5")
    world.replay()
    world.take("plum,-5,", "fig,1,")
    assert statuses(world) == ["replayed", "known"]
    assert world.rows() == [("fig", 1, None), ("plum", 5, None)]


def test_a_decided_case_that_the_publisher_corrected_is_open_when_it_comes_back(world: World) -> None:
    world.take("plum,-5,")
    dismiss(world)
    world.take("plum,5,")
    world.take("plum,-5,")
    assert statuses(world) == ["dismissed", "open"]


def test_a_known_record_can_be_corrected_after_all(world: World) -> None:
    world.take("plum,-5,")
    dismiss(world)
    world.take("plum,-5,", "fig,1,")
    with connected(world.url) as connection:
        (record,) = quarantine.find(connection, statuses=("known",))
    world.correct(record, amount="7")
    world.replay()
    assert world.rows() == [("fig", 1, None), ("plum", 7, None)]
    assert world.violations() == []


def test_a_reload_finds_the_same_cases_again(world: World) -> None:
    reports = [world.take("plum,-5,", f"fig,{day},") for day in range(3)]
    for report in (reports[0], reports[2], reports[1]):
        ingest.load(world.source, report.delivery, world.warehouse, "run", force=True)
        assert statuses(world) == ["repeated", "repeated", "open"]
    assert world.violations() == []


def test_a_record_that_waits_since_its_bytes_changed_and_changed_back_waits_after_a_reload(world: World) -> None:
    world.take("plum,-5,")
    dismiss(world)
    world.take("plum,-6,")
    report = world.take("plum,-5,", "fig,1,")
    assert statuses(world) == ["dismissed", "repeated", "open"]
    ingest.load(world.source, report.delivery, world.warehouse, "run", force=True)
    assert statuses(world) == ["dismissed", "repeated", "open"]


def test_a_looser_declaration_closes_the_case(world: World) -> None:
    world.take("plum,-5,")
    newest = world.take("plum,-5,", "fig,1,")
    changed = world.other(schema=LOOSE)
    ingest.load(changed.source, newest.delivery, world.warehouse, "run")
    assert statuses(world) == ["repeated", "superseded"]
    assert changed.violations() == []


def test_records_of_disjoint_partitions_with_one_key_are_two_cases(world: World) -> None:
    columns = (Column("day", "text", required=True), *GOODS.columns)
    world.schema = replace(GOODS, columns=columns, key=("day", "code"))
    source = replace(world.source, partitions=Static(("a", "b"), column="day"))
    for day in ("a", "b"):
        world.publish("x,plum,-5,", header="day,code,amount,note")
        landed = ingest.land(source, source.partition(day), world.warehouse)
        ingest.load(source, landed.delivery, world.warehouse, "run")
    assert statuses(world) == ["open", "open"]


def test_a_parked_record_waits_only_in_its_newest_delivery(world: World) -> None:
    world.schema = replace(GOODS, columns=(GOODS["code"].replace(references="core.kinds.code"), *GOODS.columns[1:]))
    world.take("plum,1,")
    world.take("plum,2,")
    assert statuses(world) == ["repeated", "parked"]
