"""The run coordinator that tags each run as its sources declare, before the run waits in the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator

from etl_assets.graph.run_tags import assets_of, tags_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import dagster as dg
    from dagster._core.run_coordinator.base import SubmitRunContext
    from dagster._core.workspace.context import BaseWorkspaceRequestContext


class DeclaredTagsCoordinator(QueuedRunCoordinator["dg.DagsterInstance"]):
    """Dagster's queue of runs, with the tags of `run_tags`; ``dagster.yaml`` names it.

    ```yaml
    run_coordinator:
      module: etl_assets.graph.coordinator
      class: DeclaredTagsCoordinator
    ```

    Every run passes here: of sensors, schedules, backfills, automation, retries and the UI. A tag that a run has
    already stays, so that a person can choose another queue.
    """

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Tag a run, and let it wait."""
        run = context.dagster_run
        declared = tags_of(_declared(run, context.workspace))
        if tags := {tag: value for tag, value in declared.items() if tag not in run.tags}:
            self._instance.add_run_tags(run.run_id, tags)
        return super().submit_run(context)


def _declared(run: dg.DagsterRun, workspace: BaseWorkspaceRequestContext) -> Iterator[Mapping[str, Any]]:
    """Yield metadata and tags of each asset of a run, as its code location has them; none if it does not load now."""
    origin = run.remote_job_origin
    if origin is None or not workspace.has_code_location(origin.location_name):
        return
    location = workspace.get_code_location(origin.location_name)
    graph = location.get_repository(origin.repository_origin.repository_name).asset_graph
    for key in assets_of(run):
        if graph.has(key):
            asset = graph.get(key)
            yield {**{name: entry.value for name, entry in asset.metadata.items()}, **asset.tags}
