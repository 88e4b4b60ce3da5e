"""Gives runs that a command executes the code location to which they belong, so that the UI shows them there.

Dagster gives it to runs that it launches, and to none that is executed in the process that creates it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dagster as dg

CODE_LOCATION: Final = "etl_assets.definitions"
"""The module that Dagster loads, and the name of the code location where ``workspace.yaml`` gives it no other."""
_REPOSITORY: Final = "__repository__"
_CREATE: Final = "create_run_for_job"


@contextmanager
def in_code_location(instance: dg.DagsterInstance) -> Iterator[None]:
    """Let runs that are created in this process, for the length of a block, belong to the code location.

    Its origin says no server, as no server launched the run; `is_ours` knows the runs of commands by that.

    Args:
        instance: In which `execute_in_process` creates the runs.
    """

    def create(job_def: dg.JobDefinition, **given: Any) -> dg.DagsterRun:
        location = RegisteredCodeLocationOrigin(CODE_LOCATION)
        origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, _REPOSITORY), job_def.name)
        return type(instance).create_run_for_job(instance, job_def, **given, remote_job_origin=origin)

    vars(instance)[_CREATE] = create
    try:
        yield
    finally:
        del vars(instance)[_CREATE]
