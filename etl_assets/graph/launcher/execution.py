"""Executes a run in a process that was forked for it: by the parent of forked runs, or by a worker."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Final

from dagster._core.events import EngineEventData
from dagster._grpc.impl import core_execute_run
from dagster._utils.hosted_user_process import recon_job_from_origin

from etl_assets.graph.wanted import WANTED, Wanted

if TYPE_CHECKING:
    import dagster as dg

_NEEDED: Final = ("etl_assets.graph.needed", "etl_assets.graph.storage", "alembic.command", "psycopg2", "pandas")


def import_libraries() -> None:
    """Import what every run needs, once and before the forks.

    No source is loaded and nothing is computed with Polars: a fork cannot use the threads that Polars starts for the
    first computation, and would wait for them for ever.
    """
    for module in _NEEDED:
        importlib.import_module(module)


def execute(run: dg.DagsterRun, instance: dg.DagsterInstance) -> None:
    """Execute a run, as ``dagster api execute_run`` does, with the files of sources that it needs.

    Args:
        run: A run that was launched. If it has ended already, nothing is executed.
        instance: Dagster's instance, which has it.

    Raises:
        LookupError: If the run does not say where its job is.
    """
    if run.job_code_origin is None:
        raise LookupError(f"Run {run.run_id} does not say where its job is. Nothing was executed.")
    WANTED.set(Wanted.of(run, instance))
    pid = os.getpid()
    instance.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
    for _ in core_execute_run(recon_job_from_origin(run.job_code_origin), run, instance, inject_env_vars=False):
        pass
