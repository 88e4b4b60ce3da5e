"""The run launcher that sends runs to workers. It is dagster-celery's, mended where a run is ended or found dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from celery.states import READY_STATES
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from etl_assets.graph.celery.app import DEFAULT_QUEUE, celery_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    import dagster as dg
    from dagster._serdes import ConfigurableClassData


class WorkerRunLauncher(CeleryRunLauncher):
    """A run launcher that sends runs to workers; ``dagster.yaml`` names it, and the environment has the URLs.

    ```yaml
    run_launcher:
      module: etl_assets.graph.celery.launcher
      class: WorkerRunLauncher
    ```
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        """Create the launcher. Nothing is connected yet."""
        super().__init__(default_queue=DEFAULT_QUEUE, inst_data=inst_data)
        self.celery = celery_app()

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Return that there is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:  # noqa: ARG003 -- Dagster's signature
        """Return the launcher of an instance."""
        return cls(inst_data)

    @property
    def supports_resume_run(self) -> bool:
        """Whether a run can go on in another process: a run that is launched again does so, by the ledger."""
        return False

    def terminate(self, run_id: str) -> bool:
        """Let the worker that executes a run send SIGTERM to its process, on whichever machine that is.

        If none answers, the run stays as it is until a worker takes its task, its process is found gone, or Dagster
        waits no longer.

        Returns:
            Whether the run could be asked to end.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return False
        self._instance.report_run_canceling(run)
        task = run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        self.celery.control.revoke(task, terminate=True, signal="SIGTERM")
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return that the run has no process if its task has ended, and else that nothing is known against it.

        Celery does not know whether a worker lives. A dead one is found by the lock that the process of a run holds in
        the warehouse, and by the broker, which hands its task to another worker, where it ends without a run.
        """
        task = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task is not None and self.celery.AsyncResult(task).state in READY_STATES:
            return CheckRunHealthResult(WorkerStatus.FAILED, "The task of the run has ended, and the run has not.")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:  # noqa: ARG002, FBT001, FBT002 -- Dagster's signature
        """Return nothing: the history of runs has the machine and the process."""
        return None
