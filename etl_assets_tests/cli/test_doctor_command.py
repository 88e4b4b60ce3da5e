"""The command `doctor`, and the invariant that compares Dagster with the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets.doctor import INVARIANTS
from etl_assets_tests.cli.desk import prepare_february

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    return prepared(prepare_february)


def test_a_warehouse_without_violations_exits_with_0(ready: Desk) -> None:
    (output,) = ready.lines("doctor", "--json")
    assert output["violations"] == []
    assert output["examined"] == [*(invariant.name for invariant in INVARIANTS), "dagster_agrees", "files_load"]
    shown = ready.succeed("doctor")
    assert f"All {len(INVARIANTS) + 2} invariants hold" in shown
    assert "This is a sample." in shown


def test_everything_is_read_again_if_that_is_wanted(ready: Desk) -> None:
    (output,) = ready.lines("doctor", "--deep", "--json")
    assert output["deep"]
    assert [(extent["source"], extent["records"], extent["skipped"]) for extent in output["read"] if extent["loaded"]]
    assert all(extent["batches"] == extent["loaded"] for extent in output["read"])
    assert "This is a sample." not in ready.succeed("doctor", "--deep")


def test_a_changed_value_exits_with_4(ready: Desk) -> None:
    ready.execute("UPDATE core.readings SET celsius = 99")
    (output,) = ready.lines("doctor", "--deep", "--json", exit_code=4)
    assert [violation["invariant"] for violation in output["violations"]] == ["rows_are_as_read"]


def test_a_violation_exits_with_4_and_says_what_to_do(ready: Desk) -> None:
    ready.execute("DELETE FROM core.readings")
    result = ready.type("doctor")
    assert result.exit_code == 4
    assert "table core.readings has 0 rows, and the ledger inserted 1 and deleted 0." in result.stdout
    assert "restore it from a backup" in result.stdout
    (output,) = ready.lines("doctor", "--json", exit_code=4)
    invariants = [violation["invariant"] for violation in output["violations"]]
    assert invariants == ["rows_are_as_many_as_entered", "rows_are_as_read"]


def test_a_partition_missing_in_dagster_is_found_and_repaired_by_a_run(ready: Desk) -> None:
    with dg.DagsterInstance.get() as instance:
        instance.wipe_assets([dg.AssetKey(["core", "readings"])])
    (output,) = ready.lines("doctor", "--json", exit_code=4)
    (violation,) = output["violations"]
    assert violation["invariant"] == "dagster_agrees"
    assert violation["subject"] == "readings (2013-02-01)"
    ready.publish("2013-01-01.csv", "station,day,temp,keeper\nA,1,2.5,Ann\n")
    ready.succeed("run", "readings")
    assert ready.type("doctor").exit_code == 0


@pytest.mark.parametrize("found", [None, b"station,day,temp,keeper\nB,4,2.6,Ann\n"], ids=["lost", "changed"])
def test_frozen_bytes_that_are_lost_or_changed_are_replaced_by_the_command_that_is_named(
    ready: Desk, found: bytes | None
) -> None:
    fetched = (ready.folder / "feeds" / "2013-02-01.csv").read_bytes()
    (frozen,) = (path for path in (ready.folder / "home").rglob("*.bytes") if path.read_bytes() == fetched)
    frozen.unlink()
    if found is not None:
        frozen.write_bytes(found)
    (output,) = ready.lines("doctor", "--json", exit_code=4)
    assert {violation["invariant"] for violation in output["violations"]} == {"bytes_are_frozen"}
    assert "`etl-assets run NAME --partition KEY --force`" in output["violations"][0]["remedy"]
    ready.succeed("run", "readings", "--partition", "2013-02", "--force")
    assert frozen.read_bytes() == fetched
    assert ready.query("SELECT celsius FROM core.readings") == [(2.5,)]
    assert ready.type("doctor").exit_code == 0


def test_a_run_that_has_not_yet_reported_to_dagster_is_no_violation(ready: Desk) -> None:
    with dg.DagsterInstance.get() as instance:
        instance.wipe_assets([dg.AssetKey(["core", "stations"])])
    ready.execute("UPDATE etl.run SET status = 'started' WHERE source = 'stations'")
    ready.execute("UPDATE etl.delivery SET completed_at = clock_timestamp() WHERE source = 'stations'")
    assert ready.type("doctor").exit_code == 0
    ready.execute("UPDATE etl.delivery SET completed_at = completed_at - interval '1 hour' WHERE source = 'stations'")
    assert ready.type("doctor").exit_code == 4


def test_a_materialization_without_a_delivery_is_found(ready: Desk) -> None:
    with dg.DagsterInstance.get() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(["core", "readings"], partition="2013-01-02"))
    (output,) = ready.lines("doctor", "--json", exit_code=4)
    assert [v["problem"] for v in output["violations"]] == ["is materialized in Dagster, but no delivery is complete"]
