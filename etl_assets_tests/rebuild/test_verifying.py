"""A comparison finds every change that was made by hand, says why rows differ, and shows nothing that is sensitive."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import rebuild
from etl_assets.load.writers import Append
from etl_assets.schema import Column, Schema
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

BY_HAND = {
    "a changed value": ("UPDATE core.goods SET amount = 99 WHERE code = 'b'", "contents", "code=b", ("amount",)),
    "a null": ("UPDATE core.goods SET note = NULL WHERE code = 'b'", "contents", "code=b", ("note",)),
    "a value for a null": ("UPDATE core.goods SET note = 'n' WHERE code = 'd'", "contents", "code=d", ("note",)),
    "an empty text for a null": ("UPDATE core.goods SET note = '' WHERE code = 'd'", "contents", "code=d", ("note",)),
    "a blank": ("UPDATE core.goods SET note = note || ' ' WHERE code = 'b'", "contents", "code=b", ("note",)),
    "a deleted row": ("DELETE FROM core.goods WHERE code = 'b'", "missing", "code=b", ()),
    "another row": (
        "INSERT INTO core.goods SELECT 'q', 1, 'x', _delivery_id, 1, 7 FROM core.goods WHERE code = 'b'",
        "extra",
        "code=q",
        (),
    ),
    "a row of no delivery": ("INSERT INTO core.goods VALUES ('q', 1, 'x', 99, 1, 7)", "extra", "code=q", ()),
    "a changed hash": ("UPDATE core.goods SET _row_hash = _row_hash + 1 WHERE code = 'b'", "hash", "code=b", ()),
    "a mark of another record": ("UPDATE core.goods SET _record_no = 1 WHERE code = 'b'", "mark", "code=b", ()),
    "a mark of another delivery": (
        "UPDATE core.goods SET _delivery_id = _delivery_id + 1 WHERE code = 'b'",
        "mark",
        "code=b",
        (),
    ),
    "a changed key": ("UPDATE core.goods SET code = 'q' WHERE code = 'b'", "missing", "code=b", ()),
}


def verify(world: World) -> rebuild.Verification:
    return rebuild.verify(world.source, world.warehouse, "rebuild")


@pytest.fixture
def loaded(world: World) -> World:
    world.take("a,1,x", "b,2,y", "c,3,z", "d,4,")
    world.take("a,1,x", "c,8,z", "d,4,")
    return world


def test_a_table_that_nobody_changed_is_equal(loaded: World) -> None:
    found = verify(loaded)
    assert (found.equal, found.differing, found.differences, found.notes) == (4, 0, (), ())
    assert found.texts() == ["4 rows are equal."]


@pytest.mark.parametrize("case", BY_HAND)
def test_each_change_by_hand_is_found(loaded: World, case: str) -> None:
    statement, kind, row, columns = BY_HAND[case]
    loaded.query(f"WITH done AS ({statement} RETURNING 1) SELECT * FROM done")
    found = verify(loaded)
    first = found.differences[0]
    assert (first.kind, first.row, first.columns) == (kind, row, columns)
    assert "by hand" in first.why
    assert found.differing == len(found.differences) == (2 if case == "a changed key" else 1)


def test_rows_that_were_swapped_differ_both(loaded: World) -> None:
    loaded.query(
        "WITH done AS (UPDATE core.goods t SET amount = o.amount, note = o.note, _row_hash = o._row_hash "
        "FROM core.goods o WHERE (t.code, o.code) IN (('a', 'b'), ('b', 'a')) RETURNING 1) SELECT * FROM done"
    )
    found = verify(loaded)
    assert [(one.row, one.columns) for one in found.differences] == [
        ("code=a", ("amount", "note")),
        ("code=b", ("amount", "note")),
    ]


def test_a_row_of_many_deliveries_may_have_the_mark_of_any(world: World) -> None:
    world.publish("a,1,x")
    first = world.land().delivery
    world.take("a,1,x", "b,2,y")
    world.load(first)
    assert world.query("SELECT _delivery_id FROM core.goods WHERE code = 'a'") == [(2,)]
    assert (verify(world).equal, verify(world).differing) == (2, 0)


def test_a_delivery_that_landed_meanwhile_is_the_reason(loaded: World) -> None:
    loaded.publish("a,5,x")
    delivery = loaded.land().delivery
    found = verify(loaded)
    assert found.reasons == {f"delivery {delivery.id} is not loaded yet": 1}


def test_another_declaration_is_the_reason(loaded: World) -> None:
    columns = (*GOODS.columns[:2], Column("note", "text", null=("x",)))
    found = verify(loaded.other(schema=replace(GOODS, columns=columns)))
    assert found.reasons == {"delivery 1 was read under another declaration": 1}
    assert found.differences[0].columns == ("note",)


def test_another_key_is_named_and_rows_are_compared_by_their_record(loaded: World) -> None:
    columns = (*GOODS.columns[:2], Column("note", "text", required=True))
    found = verify(loaded.other(schema=Schema(columns, key=("code", "note"))))
    assert "The table in use has the key (code), and (code, note) is declared." in found.notes[0]


def test_columns_of_another_type_are_named_and_not_compared(loaded: World) -> None:
    columns = (GOODS.columns[0], Column("amount", "text"), GOODS.columns[2])
    found = verify(loaded.other(schema=replace(GOODS, columns=columns)))
    assert (found.equal, found.differing) == (4, 0)
    assert "Not compared, since the table in use lacks them or has them with another type: amount." in found.notes


def test_a_table_without_a_key_is_compared_by_delivery_and_record(world: World) -> None:
    here = world.other(schema=replace(GOODS, key=()), more={"write": Append()})
    here.take("a,1,x", "a,1,x", "b,2,y")
    assert (verify(here).equal, verify(here).differing) == (3, 0)
    here.query("WITH done AS (DELETE FROM core.goods WHERE _record_no = 2 RETURNING 1) SELECT * FROM done")
    here.query(
        "WITH done AS (INSERT INTO core.goods SELECT code, amount, note, _delivery_id, _record_no, _row_hash "
        "FROM core.goods WHERE _record_no = 3 RETURNING 1) SELECT * FROM done"
    )
    found = verify(here)
    assert [(one.kind, one.row) for one in found.differences] == [
        ("missing", "delivery 1, record 2"),
        ("extra", "delivery 1, record 3"),
    ]


def test_the_list_is_limited_and_the_number_is_not(world: World) -> None:
    world.take(*(f"{first}{second},1,x" for first in "abcdef" for second in "abcdef"))
    world.query("WITH done AS (UPDATE core.goods SET amount = 2 RETURNING 1) SELECT * FROM done")
    found = verify(world)
    assert (found.differing, len(found.differences)) == (36, 20)


def test_sensitive_values_are_not_shown(world: World) -> None:
    columns = (Column("code", "text", required=True, sensitive=True), *GOODS.columns[1:])
    here = world.other(schema=replace(GOODS, columns=columns))
    here.take("secret,1,x")
    here.query("WITH done AS (UPDATE core.goods SET amount = 77 RETURNING 1) SELECT * FROM done")
    found = verify(here)
    assert found.differences[0].row == "a key that is not shown, since it is sensitive"
    assert "secret" not in repr(found)
    assert "77" not in repr(found)
