"""A verification finds every change made by hand, says why, and shows no sensitive value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, LiteralString

import pytest

from etl_assets.postgres.connection import connected
from etl_assets.schema import Column
from etl_assets_tests.ingest.world import GOODS
from etl_assets_tests.rebuild.test_building import verified

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

CORRUPTIONS: list[tuple[LiteralString, int, str]] = [
    ("UPDATE core.goods SET amount = 9 WHERE code = 'a'", 1, "changed by hand"),
    ("UPDATE core.goods SET note = NULL WHERE code = 'b'", 1, "changed by hand"),
    ("UPDATE core.goods SET note = note || ' ' WHERE code = 'b'", 1, "changed by hand"),
    ("DELETE FROM core.goods WHERE code = 'c'", 1, "deleted by hand"),
    (
        "INSERT INTO core.goods SELECT 'z', 1, NULL, _delivery_id, 99, 0 FROM core.goods LIMIT 1",
        1,
        "inserted by hand",
    ),
    (
        "INSERT INTO core.goods (code, amount, _delivery_id, _record_no, _row_hash) VALUES ('z', 1, 987654, 1, 0)",
        1,
        "written by hand",
    ),
    ("UPDATE core.goods SET _row_hash = 0 WHERE code = 'a'", 1, "row hash was changed"),
    ("UPDATE core.goods SET _record_no = 3 WHERE code = 'a'", 1, "mark was changed"),
    (
        "UPDATE core.goods SET amount = CASE code WHEN 'a' THEN 3 ELSE 1 END WHERE code <> 'c'",
        2,
        "changed by hand",
    ),
    ("UPDATE core.goods SET code = 'q' WHERE code = 'a'", 2, "by hand"),
    ("TRUNCATE core.goods", 3, "deleted by hand"),
]
"""A statement, how many rows differ after it, and a part of the reason."""


@pytest.mark.parametrize(("statement", "rows", "why"), CORRUPTIONS, ids=[statement for statement, *_ in CORRUPTIONS])
def test_a_change_by_hand_is_found(world: World, statement: LiteralString, rows: int, why: str) -> None:
    world.take("a,1,x", "b,2,y")
    world.take("a,1,x", "b,3,y", "c,4,z")
    with connected(world.url) as connection:
        connection.execute(statement)
    found = verified(world)
    assert found.differing == rows
    assert all(why in reason for reason in found.reasons)
    assert len(found.differences) == rows


def test_a_delivery_that_is_stale_is_the_reason(world: World) -> None:
    first = world.take("a,1,x").delivery
    changed = world.other(schema=replace(GOODS, columns=(*GOODS.columns[:2], Column("note", "text", null=("x",)))))
    found = verified(changed)
    assert found.reasons == {f"delivery {first.id} was read under another declaration": 1}


def test_values_of_sensitive_columns_are_not_shown(world: World) -> None:
    columns = [column.replace(sensitive=True) for column in GOODS.columns]
    here = world.other(schema=replace(GOODS, columns=tuple(columns)))
    here.take("a,1,x")
    with connected(here.url) as connection:
        connection.execute("UPDATE core.goods SET amount = 7")
    (difference,) = verified(here).differences
    assert difference.row == "a key that is not shown, since it is sensitive"
    assert difference.columns == ("amount",)
