"""A table of versions is rebuilt with its view and its function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets import rebuild
from etl_assets.load.writers import History, Snapshot
from etl_assets_tests.ingest.test_history import as_of, dated, day_later, day_of, take, versions
from etl_assets_tests.rebuild.test_building import build, swap, traces, verify

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

__all__ = ["dated"]


def test_a_history_is_built_beside_the_one_in_use(dated: World) -> None:
    take(dated, 1, "a,1,", "b,1,")
    take(dated, 5, "a,1,")
    take(dated, 3, "a,3,", "b,1,")
    before = dated.query("SELECT * FROM core.goods_history ORDER BY code, _valid_from")
    built = build(dated)
    assert (built.table, built.rows) == ("etl_rebuild.goods_history", 4)
    assert dated.query("SELECT * FROM core.goods_history ORDER BY code, _valid_from") == before
    swap(dated)
    assert dated.query("SELECT * FROM core.goods_history ORDER BY code, _valid_from") == before
    assert dated.rows() == [("a", 1, None), ("b", 1, None)]
    assert as_of(dated, "2024-01-04Z") == [("a", 3), ("b", 1)]
    assert dated.violations() == []
    take(dated, 4, "a,4,")
    assert versions(dated) == [("a", 1, 1, 3), ("a", 3, 3, 4), ("a", 4, 4, 5), ("a", 1, 5, None), ("b", 1, 1, None)]
    assert dated.violations() == []


BY_HAND = {
    "a version deleted": (
        "DELETE FROM core.goods_history WHERE code = 'a' AND _valid_from < '2024-01-02'",
        [("missing", "code=a, _delivery_id=1", ())],
    ),
    "a version added": (
        (
            "INSERT INTO core.goods_history SELECT 'q', amount, note, _delivery_id, _record_no, _row_hash, _valid_from "
            "FROM core.goods_history WHERE code = 'b'"
        ),
        [("extra", "code=q, _delivery_id=1", ())],
    ),
    "a changed value": (
        "UPDATE core.goods_history SET amount = 99 WHERE code = 'a' AND _ended_by IS NOT NULL",
        [("contents", "code=a, _delivery_id=1", ("amount",))],
    ),
    "a moved beginning": (
        "UPDATE core.goods_history SET _valid_from = _valid_from - interval '1 s' WHERE code = 'b'",
        [("times", "code=b, _delivery_id=1", ("_valid_from",))],
    ),
    "a moved end": (
        "UPDATE core.goods_history SET _valid_to = _valid_to + interval '1 us' WHERE _valid_to IS NOT NULL",
        [("times", "code=a, _delivery_id=1", ("_valid_to",))],
    ),
    "an end that is gone": (
        "UPDATE core.goods_history SET _valid_to = NULL WHERE _valid_to IS NOT NULL",
        [("times", "code=a, _delivery_id=1", ("_valid_to",))],
    ),
    "another delivery that ended it": (
        "UPDATE core.goods_history SET _ended_by = 3 WHERE _ended_by IS NOT NULL",
        [("times", "code=a, _delivery_id=1", ("_ended_by",))],
    ),
    "another delivery that began it": (
        "UPDATE core.goods_history SET _delivery_id = 3 WHERE code = 'b'",
        [("missing", "code=b, _delivery_id=1", ()), ("extra", "code=b, _delivery_id=3", ())],
    ),
    "a changed hash": (
        "UPDATE core.goods_history SET _row_hash = 1 WHERE code = 'b'",
        [("hash", "code=b, _delivery_id=1", ())],
    ),
    "another record": (
        "UPDATE core.goods_history SET _record_no = 1 WHERE code = 'b'",
        [("mark", "code=b, _delivery_id=1", ())],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_each_change_of_versions_by_hand_is_found(dated: World, case: str) -> None:
    statement, differences = BY_HAND[case]
    take(dated, 1, "a,1,", "b,1,")
    take(dated, 3, "a,3,", "b,1,")
    take(dated, 5, "a,3,", "b,1,")
    assert (verify(dated).equal, verify(dated).differing) == (3, 0)
    dated.query(f"WITH done AS ({statement} RETURNING 1) SELECT * FROM done")
    found = verify(dated)
    assert [(one.kind, one.row, one.columns) for one in found.differences] == differences
    assert found.differing == len(differences)
    assert all("by hand" in one.why for one in found.differences)
    swap(dated)
    assert (verify(dated).equal, verify(dated).differing) == (3, 0)
    assert dated.violations() == []


def test_a_late_delivery_that_is_not_loaded_yet_is_the_reason_of_every_version_that_it_changes(dated: World) -> None:
    take(dated, 1, "a,1,")
    take(dated, 5, "a,1,")
    dated.publish("a,3,", file="2024-01-03.csv")
    late = dated.land("2024-01-03.csv").delivery
    found = verify(dated)
    assert found.reasons == {
        f"delivery {late.id} is not loaded yet": 1,
        f"deliveries are not loaded under today's declaration, and may have changed it: {late.id}": 2,
    }
    dated.load(late)
    assert (verify(dated).equal, verify(dated).differing) == (3, 0)


def test_other_times_of_the_same_deliveries_are_the_reason(dated: World) -> None:
    take(dated, 1, "a,1,")
    take(dated, 3, "a,2,")
    later = dated.other(more={"write": History(dated=day_later)})
    assert verify(later).reasons == {
        "delivery 1 was read under another declaration": 1,
        "delivery 2 was read under another declaration": 1,
    }
    swap(later)
    assert versions(later) == [("a", 1, 2, 4), ("a", 2, 4, None)]
    assert verify(later).differing == 0
    assert later.violations() == []


def test_a_history_without_deliveries_is_put_in_place_empty(dated: World) -> None:
    swap(dated)
    assert versions(dated) == []
    take(dated, 1, "a,1,")
    assert as_of(dated, "2024-01-01Z") == [("a", 1)]
    assert dated.violations() == []


def test_what_was_built_of_a_history_is_dropped(dated: World) -> None:
    take(dated, 1, "a,1,")
    build(dated)
    assert rebuild.drop(dated.source, dated.warehouse)
    assert traces(dated) == []
    left = "SELECT relname::text FROM pg_class WHERE relnamespace = 'etl_rebuild'::regnamespace UNION ALL SELECT "
    assert dated.query(f"{left}proname FROM pg_proc WHERE pronamespace = 'etl_rebuild'::regnamespace") == []
    assert versions(dated) == [("a", 1, 1, None)]


def test_a_snapshot_within_a_history_ends_again_what_it_had_ended(dated: World) -> None:
    dated.more = {"write": History(snapshot=Snapshot(max_deleted=0.5), dated=day_of)}
    take(dated, 1, "a,1,", "b,1,", "c,1,")
    take(dated, 3, "a,1,", "b,1,")
    take(dated, 5, "a,1,", "b,1,", "c,1,")
    before = versions(dated), dated.query("SELECT deleted_by, deleted_at, key FROM etl.deletion")
    assert verify(dated).differing == 0
    swap(dated)
    assert (versions(dated), dated.query("SELECT deleted_by, deleted_at, key FROM etl.deletion")) == before
    assert dated.violations() == []
