"""Retention in Dagster: the daily job, what it shows, and the columns downstream."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd  # noqa: TC002 -- Dagster reads the annotation of an input

from etl_assets import Column, PartitionBy, Schema
from etl_assets.graph.assets.io_manager import PostgresIOManager
from etl_assets.graph.build import definitions
from etl_assets_tests.graph.conftest import metadata_of

if TYPE_CHECKING:
    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench

DAYS = Schema((Column("day", "date", required=True), Column("amount", "integer")), key=("day",))
TODAY = datetime.now(UTC).date()
OLD = TODAY - timedelta(days=40)


def kept(bench: Bench, keep: str | None, *lines: str) -> Source:
    by = PartitionBy("day", every="day", keep=keep)
    return bench.people(*lines, header="day,amount", schema=DAYS, partition_by=by)


def test_the_daily_job_drops_what_is_too_old_and_reports_it_on_the_table(bench: Bench) -> None:
    bench.run(kept(bench, None, f"{OLD},1", f"{TODAY},1"))
    result = bench.run_job(definitions({"people": kept(bench, "30 days")}), "retention")
    assert result.success
    (observation,) = result.get_asset_observation_events()
    assert observation.asset_key == dg.AssetKey(["core", "people"])
    assert observation.asset_observation_data.asset_observation.metadata["dropped rows"].value == 1
    assert bench.query("SELECT day FROM core.people") == [(TODAY,)]


def test_the_job_is_there_only_if_a_source_does_not_keep_every_row(bench: Bench) -> None:
    schedules = {
        keep: {schedule.name for schedule in definitions({"people": kept(bench, keep)}).schedules or ()}
        for keep in (None, "30 days")
    }
    assert schedules == {
        None: {"audit_schedule", "prune_schedule"},
        "30 days": {"audit_schedule", "prune_schedule", "retention_schedule"},
    }


def test_the_table_shows_what_was_dropped_and_what_was_too_old(bench: Bench) -> None:
    bench.run(kept(bench, None, f"{OLD},1", f"{TODAY},1"))
    result = bench.run(kept(bench, "30 days", f"{OLD},2", f"{TODAY},2"))
    assert result.success
    metadata = metadata_of(result, "core", "people")
    counts = {row.data["count"]: row.data["written by this run"] for row in metadata["counts"].records}
    assert (counts["expired"], counts["updated"], counts["produced"]) == (1, 1, 2)
    assert metadata["rows dropped for their age"] == 1
    assert metadata["dagster/row_count"] == 1
    assert bench.query("SELECT sum(expired) FROM etl.run") == [(1,)]


def test_an_asset_downstream_sees_the_columns_and_rows_of_the_whole_table(bench: Bench) -> None:
    source = kept(bench, None, f"{OLD},1", f"{TODAY},2")
    assert bench.run(source).success
    received: list[pd.DataFrame] = []

    @dg.asset(ins={"people": dg.AssetIn(key=["core", "people"])})
    def total(people: pd.DataFrame) -> None:
        received.append(people)

    resources: dict[str, Any] = {"io_manager": PostgresIOManager()}
    specs: list[Any] = [dg.AssetSpec(["core", "people"]), total]
    assert dg.materialize(specs, instance=bench.instance, resources=resources).success
    assert sorted(received[0].to_dict("list").items()) == [("amount", [1, 2]), ("day", [OLD, TODAY])]
