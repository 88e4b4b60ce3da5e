"""Runs of the command line belong to the code location, as those do that Dagster launches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import yaml

from etl_assets.cli.run_origin import CODE_LOCATION, in_code_location
from etl_assets_tests.cli.desk import prepare_january

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared


def test_runs_of_commands_have_the_code_location_that_the_ui_loads_and_the_tag_of_their_source(
    prepared: Prepared,
) -> None:
    desk = prepared(prepare_january)
    desk.succeed("audit", "stations")
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs()
        labelled = instance.get_runs(dg.RunsFilter(tags={".dagster/repository": f"__repository__@{CODE_LOCATION}"}))
    assert {run.run_id for run in runs} == {run.run_id for run in labelled}
    origins = {(run.job_name, run.remote_job_origin.location_name) for run in runs if run.remote_job_origin}
    assert origins == {("__ASSET_JOB", CODE_LOCATION), ("audit", CODE_LOCATION)}
    assert {run.tags.get("etl_assets/source") for run in runs} == {"stations", "readings", None}


def test_the_code_location_is_the_one_of_the_workspace() -> None:
    workspace = yaml.safe_load((Path(__file__).parents[2] / "workspace.yaml").read_text())
    assert workspace["load_from"] == [{"python_module": CODE_LOCATION}]


def test_runs_that_are_created_after_the_block_have_no_code_location() -> None:
    @dg.job
    def nothing() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        with in_code_location(instance):
            within = nothing.execute_in_process(instance=instance)
        after = nothing.execute_in_process(instance=instance)
    assert within.dagster_run.remote_job_origin is not None
    assert after.dagster_run.remote_job_origin is None
