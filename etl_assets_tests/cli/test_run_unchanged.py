"""The command `run` where nothing new is published: it looks, and starts no run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets_tests.cli.desk import prepare_january

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk


@pytest.fixture
def loaded(prepared: Prepared) -> Desk:
    return prepared(prepare_january)


def _number_of_runs() -> int:
    with dg.DagsterInstance.get() as instance:
        return len(instance.get_runs())


def test_the_command_starts_no_run_where_nothing_new_is_published(loaded: Desk) -> None:
    first = _number_of_runs()
    ((delivery, since),) = loaded.query("SELECT id, fetched_at FROM etl.delivery WHERE source = 'stations'")
    (line,) = loaded.lines("run", "stations", "--json")
    assert (line["status"], line["delivery"], line["since"]) == ("unchanged", delivery, since.isoformat())
    assert _number_of_runs() == first
    assert loaded.query("SELECT status FROM etl.run WHERE unchanged_since IS NOT NULL") == [("succeeded",)]
    with dg.DagsterInstance.get() as instance:
        (record,) = instance.fetch_observations(dg.AssetKey(["core", "stations"]), limit=5).records
    assert record.asset_observation is not None
    assert record.asset_observation.metadata["status"].value == "unchanged"


def test_checks_that_failed_before_are_shown_with_an_unchanged_partition(loaded: Desk) -> None:
    (line,) = loaded.lines("run", "readings", "--partition", "2013-01-01", "--json")
    assert line["status"] == "unchanged"
    assert any("values__celsius failed: 1 of 4 records break celsius__type" in remark for remark in line["remarks"])


def test_the_option_all_compares_the_hash(loaded: Desk) -> None:
    path = loaded.folder / "feeds" / "stations.csv"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_text(path.read_text().replace("B", "C"))
    os.utime(path, ns=times)
    assert [line["status"] for line in loaded.lines("run", "stations", "--json")] == ["unchanged"]
    assert [line["status"] for line in loaded.lines("run", "stations", "--all", "--json")] == ["loaded"]
    assert [line["status"] for line in loaded.lines("run", "stations", "--all", "--json")] == ["unchanged"]


def test_parked_records_that_can_be_replayed_are_named_after_an_unchanged_run(loaded: Desk) -> None:
    loaded.execute(
        "INSERT INTO core.stations SELECT 'Z', _delivery_id, _record_no, _row_hash FROM core.stations LIMIT 1"
    )
    assert "quarantine replay readings --parked" in loaded.succeed("run", "stations")
    assert loaded.query("SELECT count(*) FROM etl.run WHERE unchanged_since IS NOT NULL") == [(1,)]
