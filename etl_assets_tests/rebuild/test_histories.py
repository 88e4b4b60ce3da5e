"""A table of versions is rebuilt with its view and its function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets import rebuild
from etl_assets.load.writers import History
from etl_assets_tests.ingest.test_history import as_of, dated, day_of, take, versions
from etl_assets_tests.rebuild.test_building import build, swap, verify

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
