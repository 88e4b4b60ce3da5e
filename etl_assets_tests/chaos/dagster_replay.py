"""A replay through Dagster's job, in an instance that is kept in memory: which partitions its events materialize."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import dagster as dg

from etl_assets.graph.build import definitions
from etl_assets.graph.run_config import replay_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.source import Source
    from etl_assets_tests.chaos.runs import Runs


def replay_in_dagster(runs: Runs, source: Source, ids: Sequence[int] | None) -> list[str]:
    """Replay records of the quarantine by Dagster's job, in this process.

    Args:
        runs: Of the trial.
        source: Its source.
        ids: Of the records; None for all that wait.

    Returns:
        Each materialization: the asset, a space, and the partition.
    """
    os.environ.pop("DAGSTER_HOME", None)
    os.environ["ETL_ASSETS_DATABASE_URL"] = runs.url
    os.environ["ETL_ASSETS_LANDING_URL"] = str(runs.folder / "landing")
    job = definitions({source.name: source}).resolve_job_def("replay")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, run_config=replay_config(source.name, ids))
        records = instance.get_records_for_run(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
        events = [record.event_log_entry.dagster_event for record in records]
    made = [event.step_materialization_data.materialization for event in events if event is not None]
    return [f"{each.asset_key.to_user_string()} {each.partition}" for each in made]
