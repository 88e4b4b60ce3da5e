"""A snapshot that marks: what a complete delivery no longer has stays, with the time since which it is gone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from etl_assets import ingest
from etl_assets.audit.auditor import open_auditor
from etl_assets.errors import DeclarationError, IncompatibleTableError, TooManyDeletedError
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import Snapshot, Upsert
from etl_assets.model.expectation import Expectation
from etl_assets.model.partitions import Static
from etl_assets.postgres.connection import connected
from etl_assets.schema import Column, References, Schema, UniqueTogether
from etl_assets_tests.ingest.world import GOODS, ending_after

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from etl_assets.model.delivery import Delivery
    from etl_assets_tests.ingest.world import World

MARKING = {"write": Snapshot(max_deleted=0.5, mark=True)}
BIG = "0" * 40 + "1"
LONG = "x" * 40
"""A note, as an amount with so many zeros, makes each record a batch of its own, if batches have 64 bytes."""


@pytest.fixture(name="shop")
def _shop(world: World) -> World:
    return world.other(more=MARKING)


def marks(world: World) -> dict[str, datetime | None]:
    """Return the mark of each row by its code."""
    return dict(world.query("SELECT code, _deleted_at FROM core.goods ORDER BY 1"))


def do(world: World, statements: str) -> None:
    with connected(world.url) as connection:
        connection.execute(statements.encode())


def current(world: World) -> list[tuple[Any, ...]]:
    """Return the rows that the view shows."""
    return world.query("SELECT code, amount FROM core.goods_current ORDER BY 1")


def test_rows_that_the_newest_delivery_does_not_have_are_marked_with_the_time_of_its_fetch(shop: World) -> None:
    shop.take("fig,1,", "plum,1,", "pear,1,")
    report = shop.take("fig,2,", "pear,1,", "kiwi,1,")
    gone = report.delivery.fetched_at
    assert marks(shop) == {"fig": None, "kiwi": None, "pear": None, "plum": gone}
    assert current(shop) == [("fig", 2), ("kiwi", 1), ("pear", 1)]
    counts = report.counts
    assert (counts.inserted, counts.updated, counts.unchanged, counts.deleted) == (1, 1, 1, 1)
    assert shop.violations() == []


def test_the_mark_stays_that_of_the_first_delivery_without_the_key(shop: World) -> None:
    shop.take("fig,1,", "plum,1,")
    gone = shop.take("fig,1,").delivery.fetched_at
    report = shop.take("fig,2,")
    assert marks(shop) == {"fig": None, "plum": gone}
    assert report.counts.deleted == 0
    assert shop.violations() == []


def test_a_key_that_comes_back_is_not_marked_and_has_the_new_contents(shop: World) -> None:
    shop.take("fig,1,", "plum,1,")
    shop.take("fig,1,")
    shop.take("fig,1,", "plum,5,")
    assert marks(shop) == {"fig": None, "plum": None}
    assert current(shop) == [("fig", 1), ("plum", 5)]
    assert shop.violations() == []


def test_a_delivery_that_changes_every_row_lets_those_that_were_marked_be_there(shop: World) -> None:
    shop.take("fig,1,", "plum,1,")
    shop.take("fig,1,")
    shop.take("fig,2,", "plum,2,")
    assert marks(shop) == {"fig": None, "plum": None}


def test_a_key_that_comes_back_with_the_same_contents_or_in_a_rejected_record_is_not_marked(shop: World) -> None:
    shop.take("fig,1,", "plum,1,", "pear,1,", "kiwi,1,")
    shop.take("fig,1,", "kiwi,1,")
    shop.take("fig,1,", "kiwi,1,", "plum,1,", "pear,-1,")
    assert set(marks(shop).values()) == {None}
    assert shop.violations() == []


def test_a_key_that_comes_back_and_goes_again_has_the_time_at_which_it_went_last(shop: World) -> None:
    shop.take("fig,1,", "plum,1,")
    shop.take("fig,1,")
    shop.take("fig,1,", "plum,1,")
    gone = shop.take("fig,1,").delivery.fetched_at
    assert marks(shop)["plum"] == gone
    assert shop.query('SELECT count(*) FROM etl.deletion WHERE key = \'{"code": "plum"}\'') == [(2,)]


def test_what_is_marked_is_in_the_table_of_deletions(shop: World) -> None:
    first = shop.take("fig,1,", "plum,1,").delivery
    second = shop.take("fig,1,").delivery
    assert shop.query("SELECT deleted_by, key, delivery_id, record_no FROM etl.deletion") == [
        (second.id, {"code": "plum"}, first.id, 2)
    ]


def test_a_key_that_cannot_be_read_may_be_any_and_lets_every_row_be_there(world: World) -> None:
    number = Column("code", "integer", required=True)
    shop = world.other(schema=replace(GOODS, columns=(number, *GOODS.columns[1:])), more=MARKING)
    shop.take("1,1,", "2,1,")
    shop.take("1,1,")
    shop.take("1,1,", "x,1,")
    assert set(marks(shop).values()) == {None}
    assert shop.query("SELECT notes -> 'unreadable_keys' FROM etl.batch WHERE kind = 'completion' ORDER BY id") == [
        (None,),
        (None,),
        (1,),
    ]


def test_a_late_delivery_between_two_others_moves_the_mark_to_itself_or_behind_itself(world: World) -> None:
    shop = world.other(files=True, more={"write": Snapshot(max_deleted=1.0, mark=True)})
    shop.publish("fig,1,", "plum,1,", file="b.csv")
    late = shop.land("b.csv").delivery
    shop.take("fig,1,", "plum,2,", "kiwi,1,", file="a.csv")
    newest = shop.take("fig,3,", file="c.csv").delivery
    assert marks(shop) == {"fig": None, "kiwi": newest.fetched_at, "plum": newest.fetched_at}
    shop.load(late)
    assert marks(shop) == {"fig": None, "kiwi": late.fetched_at, "plum": newest.fetched_at}
    assert current(shop) == [("fig", 3)]
    assert shop.violations() == []


def test_a_late_delivery_brings_a_marked_row_of_a_key_that_no_newer_one_has(world: World) -> None:
    shop = world.other(files=True, more=MARKING)
    shop.publish("fig,1,", "plum,1,", "pear,1,", file="a.csv")
    late = shop.land("a.csv").delivery
    second = shop.take("fig,2,", "pear,-1,", file="b.csv").delivery
    third = shop.take("fig,3,", file="c.csv").delivery
    shop.load(late)
    assert marks(shop) == {"fig": None, "pear": third.fetched_at, "plum": second.fetched_at}
    assert shop.violations() == []


def test_a_key_that_a_reloaded_delivery_no_longer_has_is_looked_for_in_older_ones(world: World) -> None:
    shop = world.other(more=MARKING)
    shop.take("fig,1,", "plum,1,", "pear,1,")
    second = shop.take("fig,2,", "plum,1,", "pear,1,").delivery
    third = shop.take("fig,1,", "plum,1,", "pear,-1,").delivery
    (record,) = shop.waiting()
    shop.correct(record, code="kiwi", amount="1")
    shop.replay(record.id)
    shop.load(third)
    assert shop.query("SELECT id FROM etl.delivery WHERE needs_reload") == [(second.id,)]
    shop.load(second)
    assert marks(shop) == {"fig": None, "kiwi": None, "pear": third.fetched_at, "plum": None}
    assert shop.violations() == []


def test_nothing_is_marked_before_the_last_batch_is_written(shop: World) -> None:
    shop.format = Csv(batch_bytes=64)
    shop.take(f"fig,1,{LONG}", f"plum,1,{LONG}", f"pear,1,{LONG}")
    shop.publish(f"fig,2,{LONG}", f"pear,2,{LONG}")
    delivery = shop.land().delivery
    with pytest.raises(KeyboardInterrupt):
        shop.load(delivery, ending_after(1))
    assert set(marks(shop).values()) == {None}
    shop.load(delivery)
    assert marks(shop) == {"fig": None, "pear": None, "plum": delivery.fetched_at}
    assert shop.violations() == []


def test_the_brake_counts_new_marks_among_the_rows_without_marks(shop: World) -> None:
    shop.take("fig,1,", "plum,1,", "pear,1,", "kiwi,1,", "lime,1,", "date,1,")
    shop.take("fig,1,", "plum,1,", "pear,1,")
    with pytest.raises(TooManyDeletedError, match=r"the keys of 2 of 3 rows.*consents to 1.*: pear; plum") as error:
        shop.take("fig,1,")
    assert "Nothing was marked as deleted" in str(error.value)
    assert [code for code, at in marks(shop).items() if at is None] == ["fig", "pear", "plum"]


def test_an_empty_delivery_is_refused_and_marks_nothing(world: World) -> None:
    shop = world.other(more={"write": Snapshot(max_deleted=1.0, mark=True)})
    shop.take("fig,1,", "plum,1,")
    shop.take("fig,1,")
    with pytest.raises(TooManyDeletedError, match="has no records, and the table has 1 rows"):
        shop.take()
    assert current(shop) == [("fig", 1)]


def test_partitions_with_a_column_mark_only_their_own_rows(world: World) -> None:
    schema = Schema((Column("part", "text", required=True), GOODS["code"]), ("part", "code"))
    write = Snapshot(max_deleted=1.0, mark=True)
    source = replace(
        world.other(schema=schema, more={"write": write}).source, partitions=Static(("a", "b"), column="part")
    )

    def take(part: str, *lines: str) -> Delivery:
        world.publish(*lines, header="part,code")
        landed = ingest.land(source, source.partition(part), world.warehouse)
        return ingest.load(source, landed.delivery, world.warehouse, "run").delivery

    take("a", "a,fig", "a,plum")
    take("b", "b,fig", "b,pear")
    gone = take("a", "a,plum").fetched_at
    take("b", "b,fig", "b,pear", "b,lime")
    assert world.query("SELECT part, code, _deleted_at FROM core.goods WHERE _deleted_at IS NOT NULL") == [
        ("a", "fig", gone)
    ]


def orders_of(world: World, missing: Any = "park") -> World:
    good = Column("good", "text", references=References("core.goods.code", missing=missing))
    return world.other(name="orders", schema=Schema((Column("id", "integer", required=True), good), ("id",)), more={})


def test_records_of_other_sources_do_not_find_a_marked_parent(shop: World) -> None:
    shop.take("fig,1,", "plum,1,")
    shop.take("fig,1,")
    orders = orders_of(shop)
    orders.take("1,plum", "2,fig", header="id,good")
    assert orders.rows() == [(2, "fig")]
    shop.take("fig,1,", "plum,1,")
    orders.replay(*[record.id for record in orders.waiting()])
    assert orders.rows() == [(1, "plum"), (2, "fig")]


def test_a_row_of_a_table_finds_a_parent_in_it_that_comes_back_with_the_same_delivery(world: World) -> None:
    above = Column("note", "text", references=References("core.goods.code"))
    schema = replace(GOODS, columns=(*GOODS.columns[:2], above))
    shop = world.other(schema=schema, format=Csv(batch_bytes=64), more=MARKING)
    shop.take("fig,1,", f"plum,{BIG},", "lime,1,")
    shop.take("fig,1,", "lime,1,")
    shop.take("fig,1,", f"lime,{BIG},", f"kiwi,{BIG},plum", f"plum,{BIG},")
    assert [code for code, at in marks(shop).items() if at is None] == ["fig", "kiwi", "lime", "plum"]
    assert shop.waiting() == []


@pytest.mark.parametrize("referenced", ["report", "refuse"])
def test_rows_of_other_tables_that_refer_to_newly_marked_rows_count_as_for_deleted_ones(
    world: World, referenced: Any
) -> None:
    shop = world.other(more={"write": Snapshot(max_deleted=1.0, referenced=referenced, mark=True)})
    shop.take("fig,1,", "plum,1,")
    orders_of(shop).take("1,plum", "2,fig", header="id,good")
    if referenced == "refuse":
        with pytest.raises(TooManyDeletedError, match="1 rows of other tables refer to them"):
            shop.take("fig,1,")
        assert set(marks(shop).values()) == {None}
    else:
        shop.take("fig,1,")
        assert shop.query("SELECT notes -> 'orphaned_rows' FROM etl.batch WHERE kind = 'completion' ORDER BY id") == [
            (None,),
            (1,),
        ]


@pytest.fixture(name="role")
def _role(world: World) -> Iterator[str]:
    name = f"reader_{uuid4().hex}"
    do(world, f"CREATE ROLE {name}")
    yield name
    do(world, f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_the_view_has_added_columns_and_wider_ones_and_keeps_its_rights(shop: World, role: str) -> None:
    shop.take("fig,1,", "plum,1,")
    do(shop, f"GRANT SELECT ON core.goods_current TO {role}")
    note = GOODS["note"]
    wider = shop.other(
        schema=replace(GOODS, columns=(GOODS["code"], Column("amount", "decimal", precision=25, scale=2), note))
    )
    more = wider.other(schema=replace(wider.schema, columns=(*wider.schema.columns, Column("tint", "text"))))
    wider.take("fig,2,")
    assert wider.violations() == []
    more.take("fig,2,,red", header="code,amount,note,tint")
    assert more.query("SELECT code, amount::text, tint FROM core.goods_current") == [("fig", "2.00", "red")]
    columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'core.goods_current'::regclass ORDER BY attnum"
    assert [name for (name,) in more.query(columns)] == [
        *("code", "amount", "note", "_delivery_id", "_record_no", "_row_hash", "tint")
    ]
    assert more.query(f"SELECT has_table_privilege('{role}', 'core.goods_current', 'SELECT')") == [(True,)]
    assert more.violations() == []


def test_something_else_with_the_name_of_the_view_is_refused(shop: World) -> None:
    do(shop, "CREATE SCHEMA IF NOT EXISTS core; CREATE VIEW core.goods_current AS SELECT 1 AS x")
    with pytest.raises(IncompatibleTableError, match="is not the view of the rows"):
        shop.take("fig,1,")
    assert shop.query("SELECT x FROM core.goods_current") == [(1,)]


def test_the_doctor_finds_that_the_view_is_gone(shop: World) -> None:
    shop.take("fig,1,")
    do(shop, "DROP VIEW core.goods_current")
    assert shop.violations() == ["constraints_are_there: table core.goods lacks the view core.goods_current"]


def test_an_expectation_sees_the_rows_that_are_not_marked(shop: World) -> None:
    shop.take("fig,1,", "plum,9,")
    shop.take("fig,1,")
    expectation = Expectation("expect_column_values_to_be_between", column="amount", max_value=5)
    with open_auditor(shop.url, shop.schema, "core.goods", marked=True) as auditor:
        (result,) = auditor.evaluate([expectation])
    assert result.passed


def test_rows_that_were_deleted_come_back_marked_when_the_mode_marks(world: World) -> None:
    shop = world.other(more={"write": Snapshot(max_deleted=0.5)})
    first = shop.take("fig,1,", "plum,1,", "pear,1,").delivery
    second = shop.take("fig,1,", "plum,1,").delivery
    third = shop.take("fig,1,").delivery
    marking = shop.other(more=MARKING)
    for delivery in (third, second, first):
        marking.load(delivery)
    assert marks(marking) == {"fig": None, "pear": second.fetched_at, "plum": third.fetched_at}
    assert marking.violations() == []


def test_marked_rows_are_deleted_with_consent_when_the_mode_deletes(shop: World) -> None:
    deliveries = [shop.take("fig,1,", "plum,1,", "pear,1,").delivery, shop.take("fig,1,", "plum,1,").delivery]
    deliveries.append(shop.take("fig,1,").delivery)
    deleting = shop.other(more={"write": Snapshot(max_deleted=0.5)})
    with pytest.raises(TooManyDeletedError, match="the keys of 2 of 3 rows"):
        deleting.load(deliveries[-1])
    ingest.load(deleting.source, deliveries[-1], deleting.warehouse, "run", accept_deletes=True)
    for delivery in deliveries[-2::-1]:
        deleting.load(delivery)
    assert [row[0] for row in deleting.rows()] == ["fig"]
    assert deleting.query("SELECT to_regclass('core.goods_current')") == [(None,)]
    assert deleting.violations() == []


def test_every_row_is_there_again_when_the_mode_is_upsert(shop: World) -> None:
    first = shop.take("fig,1,", "plum,1,").delivery
    second = shop.take("fig,1,").delivery
    kept = shop.other(more={"write": Upsert()})
    kept.load(second)
    kept.load(first)
    assert [row[0] for row in kept.rows()] == ["fig", "plum"]
    assert kept.query("SELECT to_regclass('core.goods_current')") == [(None,)]
    assert kept.violations() == []


def test_a_view_that_people_made_over_the_marks_must_be_dropped_first(shop: World) -> None:
    shop.take("fig,1,")
    second = shop.take("fig,2,", "plum,1,").delivery
    do(shop, "CREATE VIEW core.fruit AS SELECT code FROM core.goods_current")
    kept = shop.other(more={"write": Upsert()})
    with pytest.raises(IncompatibleTableError, match="Drop that view"):
        kept.load(second)
    assert shop.query("SELECT code FROM core.fruit ORDER BY 1") == [("fig",), ("plum",)]


@pytest.mark.parametrize(
    "schema",
    [
        replace(GOODS, columns=(*GOODS.columns[:2], Column("note", "text", unique=True))),
        replace(GOODS, rules=(UniqueTogether("amount", "note"),)),
    ],
)
def test_unique_values_beyond_the_key_are_refused(world: World, schema: Schema) -> None:
    with pytest.raises(DeclarationError, match="which keep their values"):
        replace(world.source, schema=schema, write=Snapshot(mark=True))


def test_a_column_with_the_name_of_the_marks_is_refused(world: World) -> None:
    with pytest.raises(DeclarationError, match="is kept for bookkeeping"):
        replace(world.source, schema=replace(GOODS, columns=(*GOODS.columns, Column("_deleted_at", "text"))))


def test_marking_is_another_declaration_and_not_marking_is_the_same_as_before(world: World) -> None:
    assert Snapshot().identity == "Snapshot"
    one, other = (replace(world.source, write=Snapshot(mark=mark)) for mark in (False, True))
    assert one.fingerprint != other.fingerprint
