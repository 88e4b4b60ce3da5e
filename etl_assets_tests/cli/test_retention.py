"""`retention` drops what sources keep no longer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl_assets_tests.cli.desk import Desk

SALES = """
from etl_assets import Column, Csv, FileExtractor, PartitionBy, Schema, Source

SOURCE = Source(
    name="sales",
    description="What is sold.",
    owner="team:tests",
    extractor=FileExtractor(Csv(), "{folder}/sales.csv", settle_seconds=0),
    schema=Schema((Column("day", "date", required=True),), ("day",)),
    partition_by=PartitionBy("day", every="day", keep={keep!r}),
)
"""


def test_rows_are_dropped_once_and_sources_that_keep_every_row_are_refused(desk: Desk) -> None:
    today = datetime.now(UTC).date()
    (desk.folder / "sales.csv").write_text(f"day\n{today - timedelta(days=40)}\n{today}\n")
    desk.declare("sales", SALES.format(folder=desk.folder, keep=None))
    desk.succeed("migrate")
    desk.succeed("run", "sales")
    refused = desk.type("retention", "sales")
    assert refused.exit_code == 2
    assert "Source 'sales' keeps every row. Write keep= in its partition_by." in refused.output
    desk.declare("sales", SALES.format(folder=desk.folder, keep="30 days"))
    assert "sales keeps 30 days; dropped: 1 row." in desk.succeed("retention")
    assert "dropped: 0 rows." in desk.succeed("retention", "sales")
    assert desk.query("SELECT day FROM core.sales") == [(today,)]
