"""A Parquet file that others made."""

from __future__ import annotations

from etl_assets.extract.formats.parquet import Parquet
from etl_assets_tests.real_feeds.taking import FEEDS, with_real_feeds

pytestmark = with_real_feeds


def test_a_file_of_another_project_is_read() -> None:
    with (FEEDS / "torture" / "frictionless" / "data" / "table.parquet").open("rb") as file:
        (batch,) = Parquet().read(file, "table.parquet")
    assert batch.frame.rows() == [("1", "english", 1), ("2", "中国人", 2)]
    assert dict(batch.types) == {"id": "integer", "name": "text"}
    assert batch.location(2) == "table.parquet:group 1:row 2"
