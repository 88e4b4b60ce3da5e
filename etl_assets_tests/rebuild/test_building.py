"""The table that is built is that of a load from empty; an interrupted build goes on, with what came since."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import doctor, rebuild
from etl_assets.errors import BusyError, IncompatibleTableError, RebuildError
from etl_assets.extract.formats.csv import Csv
from etl_assets.load import PostgresLoader
from etl_assets.load.transaction import BatchTransaction
from etl_assets.load.writers import Append, Replace
from etl_assets.model.record_status import RECORD_STATUSES
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import decisions, locks, quarantine
from etl_assets.postgres.runs import results
from etl_assets.schema import Column, Schema
from etl_assets_tests.ingest.world import GOODS, ending_after

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

BY_NOTE = replace(GOODS, columns=(*GOODS.columns[:2], Column("note", "text", required=True)), key=("code", "note"))
AS_TEXT = replace(GOODS, columns=(GOODS.columns[0], Column("amount", "text"), GOODS.columns[2]))


def build(world: World, transaction: type[BatchTransaction] = BatchTransaction) -> rebuild.Built:
    source = replace(world.source, loader=PostgresLoader(transaction=transaction))
    return rebuild.build(source, world.warehouse, "rebuild")


def verify(world: World) -> rebuild.Verification:
    return rebuild.verify(world.source, world.warehouse, "rebuild")


def swap(world: World) -> rebuild.Built:
    return rebuild.swap(world.source, world.warehouse, "rebuild")


def entries(world: World) -> list[int]:
    """Return the ids of the ledger entries of a rebuild."""
    return [
        id_
        for (id_,) in world.query(
            "SELECT b.id FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id WHERE d.source = 'goods@rebuild'"
        )
    ]


def built_rows(world: World) -> list[tuple[object, ...]]:
    return world.query("SELECT code, amount, note FROM etl_rebuild.goods ORDER BY code, note")


def test_a_swap_leaves_the_rows_with_their_marks_and_keeps_every_invariant(world: World) -> None:
    world.take("a,1,x", "b,bad,y")
    world.take("a,1,x", "b,3,y", "c,4,z", "d,bad,")
    before = world.query("SELECT * FROM core.goods ORDER BY code")
    swap(world)
    assert world.query("SELECT * FROM core.goods ORDER BY code") == before
    assert world.violations() == []


def test_a_changed_key_is_refused_with_the_command_that_loads_it(world: World) -> None:
    world.take("a,1,x", "b,2,y")
    world.take("a,5,z", "b,2,y")
    changed = world.other(schema=BY_NOTE)
    with pytest.raises(IncompatibleTableError, match="`etl-assets rebuild goods --swap`"):
        changed.take("a,6,z", "b,2,y")
    swap(changed)
    assert sorted(changed.rows()) == [("a", 1, "x"), ("a", 6, "z"), ("b", 2, "y")]
    assert changed.violations() == []
    changed.take("c,1,w")
    assert max(changed.rows()) == ("c", 1, "w")
    assert changed.violations() == []


def test_a_changed_type_is_loaded_by_a_rebuild(world: World) -> None:
    world.take("a,1,x", "b,bad,y")
    changed = world.other(schema=AS_TEXT)
    with pytest.raises(IncompatibleTableError, match="`etl-assets rebuild goods --swap`"):
        changed.take("a,1,x", "b,bad,y", "c,1,z")
    swap(changed)
    assert changed.rows() == [("a", "1", "x"), ("b", "bad", "y"), ("c", "1", "z")]
    assert changed.waiting() == []
    assert changed.violations() == []


def test_a_record_that_is_rejected_no_longer_waits_no_longer(world: World) -> None:
    world.take("a,1,x", "b,bad,y", "c,worse,z")
    (_, dismissed) = world.waiting()
    with connected(world.url) as connection:
        decisions.dismiss(connection, [dismissed.id], "ada", "known")
    changed = world.other(schema=AS_TEXT)
    swap(changed)
    assert world.query("SELECT record_no, status FROM etl.rejected ORDER BY 1") == [
        (2, "superseded"),
        (3, "superseded"),
    ]
    assert changed.violations() == []


def test_the_rules_of_a_rejected_record_of_an_older_delivery_are_restored(world: World) -> None:
    world.take("a,1,x", "b,bad,y")
    world.take("a,2,x")
    world.query("UPDATE etl.rejected SET rules = '{amount__minimum}' RETURNING id")
    violations = doctor.reread(world.warehouse, [world.source]).violations
    assert "rejected_are_as_read" in {violation.invariant for violation in violations}
    assert all("`etl-assets rebuild NAME --swap`" in violation.remedy for violation in violations)
    swap(world)
    assert doctor.reread(world.warehouse, [world.source]).violations == []


def test_a_dismissed_record_that_is_rejected_still_stays_dismissed(world: World) -> None:
    world.take("a,1,x", "b,bad,y", "c,worse,z")
    (_, dismissed) = world.waiting()
    with connected(world.url) as connection:
        decisions.dismiss(connection, [dismissed.id], "ada", "known")
    swap(world)
    assert world.query("SELECT record_no, status, reviewer FROM etl.rejected ORDER BY 1") == [
        (2, "open", None),
        (3, "dismissed", "ada"),
    ]
    assert world.violations() == []


def test_a_mode_without_a_key_follows_one_with_a_key(world: World) -> None:
    world.take("a,1,x")
    world.take("a,1,x", "a,2,y")
    changed = world.other(schema=replace(GOODS, key=()), more={"write": Append()})
    swap(changed)
    assert world.query("SELECT code, amount FROM core.goods ORDER BY 2") == [("a", 1), ("a", 1), ("a", 2)]
    assert changed.violations() == []


def test_an_interrupted_build_goes_on_with_the_batches_that_it_lacks(world: World) -> None:
    here = world.other(format=Csv(batch_bytes=64))
    here.take(*(f"{letter},1,{'x' * 30}" for letter in "abcdef"))
    here.take(*(f"{letter},2,{'x' * 30}" for letter in "abcdef"))
    with pytest.raises(KeyboardInterrupt):
        build(here, ending_after(4))
    entered = entries(here)
    assert len(entered) == 4
    build(here)
    assert set(entered) < set(entries(here))
    assert verify(here).differing == 0
    swap(here)
    assert here.violations() == []


def test_loads_and_corrections_of_the_table_in_use_go_on_and_are_taken_over(world: World) -> None:
    world.take("a,1,x", "b,bad,y", "e,worse,")
    build(world)
    (first, second) = world.waiting()
    world.correct(first, amount="7")
    world.replay(first.id)
    world.take("a,9,x", "c,3,z")
    assert len(built_rows(world)) == 1
    assert verify(world).reasons == {}
    assert built_rows(world) == [("a", 9, "x"), ("b", 7, "y"), ("c", 3, "z")]
    assert [record.id for record in world.waiting()] == [second.id]
    swap(world)
    assert world.rows() == [("a", 9, "x"), ("b", 7, "y"), ("c", 3, "z")]
    assert [record.id for record in world.waiting()] == [second.id]
    assert world.violations() == []


def test_corrections_are_kept_under_another_key(world: World) -> None:
    world.take("a,1,x", "b,bad,y")
    (record,) = world.waiting()
    world.correct(record, amount="7")
    world.replay(record.id)
    changed = world.other(schema=BY_NOTE)
    swap(changed)
    assert changed.rows() == [("a", 1, "x"), ("b", 7, "y")]
    assert changed.violations() == []


def test_records_that_refer_to_the_same_table_find_their_parents_in_the_new_one(world: World) -> None:
    columns = (GOODS.columns[0], Column("note", "text", references="core.goods.code"))
    here = world.other(schema=Schema(columns, key=("code",)))
    here.take("c,b", "b,a", header="code,note")
    here.take("a,", header="code,note")
    here.replay()
    assert here.rows() == [("a", None), ("b", "a"), ("c", "b")]
    here.query("WITH gone AS (DELETE FROM core.goods RETURNING 1) SELECT * FROM gone")
    build(here)
    assert here.query("SELECT code FROM etl_rebuild.goods ORDER BY 1") == [("a",), ("b",), ("c",)]
    swap(here)
    assert here.rows() == [("a", None), ("b", "a"), ("c", "b")]
    assert here.violations() == []


def test_another_declaration_begins_the_build_again(world: World) -> None:
    world.take("a,1,x")
    build(world)
    changed = world.other(schema=AS_TEXT)
    build(changed)
    assert built_rows(changed) == [("a", "1", "x")]


def test_a_delivery_that_is_staged_does_not_meet_that_of_the_rebuild(world: World) -> None:
    here = world.other(schema=replace(GOODS, key=()), more={"write": Replace()}, format=Csv(batch_bytes=64))
    here.take("a,1,x")
    here.publish(*(f"{letter},2,{'x' * 30}" for letter in "abcdef"))
    landed = here.land().delivery
    with pytest.raises(KeyboardInterrupt):
        here.load(landed, ending_after(1))
    changed = here.other(schema=replace(AS_TEXT, key=()))
    build(changed)
    assert here.query("SELECT pg_typeof(amount)::text FROM etl_staging.goods LIMIT 1") == [("bigint",)]
    swap(changed)
    assert len(here.query("SELECT code FROM core.goods")) == 6
    assert changed.violations() == []


def test_a_refused_delivery_that_was_loaded_keeps_the_table_from_being_swapped(world: World) -> None:
    world.take("a,1,x", "b,bad,y")
    stricter = world.other(max_rejected=0.0)
    (refused,) = build(stricter).refused
    assert refused.was_loaded
    with pytest.raises(RebuildError, match="were refused under today's declaration: 1"):
        swap(stricter)
    assert world.rows() == [("a", 1, "x")]


def test_a_run_that_loads_the_source_keeps_the_table_from_being_swapped(world: World) -> None:
    world.take("a,1,x")
    with connected(world.url) as connection:
        locks.lock(connection, "goods", "")
        with pytest.raises(BusyError, match="Another run is loading goods"):
            swap(world)


def test_lists_of_sources_never_show_a_rebuild(world: World) -> None:
    world.take("a,1,x", "b,bad,y")
    world.take("a,1,x", "b,bad,y", "c,bad,y")
    before = listed(world)
    build(world)
    assert world.query("SELECT count(*) FROM etl.delivery WHERE source = 'goods@rebuild'") == [(2,)]
    assert listed(world) == before
    assert doctor.examine(world.warehouse, [world.source]) == []
    assert rebuild.drop(world.source, world.warehouse)
    assert listed(world) == before
    assert traces(world) == []
    build(world)
    swap(world)
    assert traces(world) == []


def listed(world: World) -> list[object]:
    with connected(world.url) as connection:
        return [
            quarantine.counts(connection),
            [record.id for record in quarantine.find(connection, statuses=RECORD_STATUSES)],
            results.waiting_by_source(connection),
            results.delivered_partitions(connection),
            *(
                connection.execute(f"SELECT source, count(*) FROM etl.{view} GROUP BY 1 ORDER BY 1".encode()).fetchall()
                for view in ("quality_daily", "source_health", "rejections_by_rule", "rejected_case")
            ),
        ]


def traces(world: World) -> list[str]:
    """Return the tables of schema etl that name a rebuild, and the tables that it left."""
    found = [
        table
        for table, column in (
            ("delivery", "source"),
            ("rejected", "source"),
            ("fence", "source"),
            ("disjoint_partitions", "source"),
            ("deletion", "source"),
            ("reference", "table_name"),
        )
        if world.query(f"SELECT 1 FROM etl.{table} WHERE {column} LIKE '%rebuild%'")
    ]
    found += [
        table
        for table, column in (("batch", "delivery_id"), ("profile_part", "delivery_id"))
        if world.query(f"SELECT 1 FROM etl.{table} WHERE {column} >= 1000000000000000000")
    ]
    return found + [
        name
        for (name,) in world.query(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname LIKE 'etl_rebuild%' AND relkind = 'r'"
        )
    ]
