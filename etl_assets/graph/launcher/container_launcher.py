"""Dagster's launcher of a container for each run, with the limits that sources declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_docker import DockerRunLauncher
from dagster_docker.container_context import DockerContainerContext

from etl_assets.graph.run_tags import limits_of

if TYPE_CHECKING:
    import dagster as dg

_MEBIBYTE = 2**20
_NANO = 10**9


class ContainerRunLauncher(DockerRunLauncher):
    """A `DockerRunLauncher` that gives the container of a run the limits of its sources; ``dagster.yaml`` names it.

    Its configuration is that of `DockerRunLauncher`. The limits are in a tag of the run, which
    `graph.coordinator.DeclaredTagsCoordinator` sets, and take the place of those that are configured.
    """

    def get_container_context(self, dagster_run: dg.DagsterRun) -> DockerContainerContext:
        """Return what the container of a run is created with."""
        context = super().get_container_context(dagster_run)
        memory, processors = limits_of(dagster_run.tags)
        kwargs = {"mem_limit": memory * _MEBIBYTE} if memory else {}
        kwargs |= {"nano_cpus": round(processors * _NANO)} if processors else {}
        return context.merge(DockerContainerContext(container_kwargs=kwargs)) if kwargs else context
