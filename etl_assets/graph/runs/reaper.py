"""The reaper: it finds runs whose process is gone, and enters them as crashed in the run history and in Dagster.

Dagster's own run monitoring watches only runs whose launcher knows whether their worker lives. For Dagster, runs that a
command executes in its own process, and runs of the default launcher, stay under way forever. The reaper therefore asks
the database: a run holds a lock as long as its process lives.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

import dagster as dg
from dagster._core.remote_origin import RegisteredCodeLocationOrigin

from etl_assets import alerts
from etl_assets.graph.keys import ALL_ASSETS, REPLAY, SOURCE_TAG
from etl_assets.graph.runs.ended_runs import reconcile, rules_of
from etl_assets.graph.runs.run_record import ASKED_TO_END
from etl_assets.model.run import CANCELLED
from etl_assets.postgres.connection import connected
from etl_assets.postgres.runs import history, missed_runs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from etl_assets.graph.runs.one_by_one import Failures
    from etl_assets.model.run import RunEnd
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.runs.missed_runs import StartedRun
    from etl_assets.source import Source

UNDER_WAY: Final = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
GONE: Final = "The process that executed the run is gone: it was killed, or its machine stopped."


def reap(
    instance: dg.DagsterInstance,
    url: str,
    sources: Mapping[str, Source],
    failures: Failures,
    location: str | None = None,
) -> list[RunEnd]:
    """Check every run that is under way, and enter those whose process is missing for the second time.

    A run of this machine is entered at once if its process does not exist. A run that has ended in Dagster but not in
    the history is entered with the end that Dagster has.

    Args:
        instance: The instance of Dagster that has the runs.
        url: URL of the warehouse.
        sources: All known sources, by name.
        failures: The runs that cannot be checked or entered are added to it, and the others are handled.
        location: Check only runs of this code location and those of none; None checks all runs.

    Returns:
        The runs that were entered as crashed or cancelled.
    """
    under_way = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(statuses=list(UNDER_WAY)))}
    ends: list[RunEnd] = []
    with connected(url) as connection:
        started = missed_runs.find(connection, under_way.keys())
        for run_id in dict.fromkeys(row.key.run_id for row in started):
            rows = [row for row in started if row.key.run_id == run_id]
            with failures.of(run_id):
                run = under_way.get(run_id) or instance.get_run_by_id(run_id)
                if is_ours(run, location):
                    ends += _check_run(connection, instance, rows, run, sources)
    return ends


def _check_run(
    connection: Connection,
    instance: dg.DagsterInstance,
    rows: Collection[StartedRun],
    run: dg.DagsterRun | None,
    sources: Mapping[str, Source],
) -> list[RunEnd]:
    """Enter the end of a run that has ended or whose process is gone; return what was entered as an end."""
    if run is not None and run.is_finished:
        for record in instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id])):
            reconcile(connection, instance, record, sources)
        return []
    if (run is not None and not _in_one_process(run, rows)) or not _is_gone(connection, rows):
        return []
    ends = _enter_ends(connection, rows, run, sources)
    _report_to_dagster(instance, run)
    return ends


def is_ours(run: dg.DagsterRun | None, location: str | None) -> bool:
    """Return whether this code location watches a run: a run of its own, or of a command, which has no server."""
    origin = run.remote_job_origin if run is not None else None
    if location is None or origin is None:
        return True
    of_command = isinstance(origin.repository_origin.code_location_origin, RegisteredCodeLocationOrigin)
    return of_command or origin.location_name == location


def _in_one_process(run: dg.DagsterRun, rows: Collection[StartedRun]) -> bool:
    """Return whether a run without a process is over.

    A job written by hand may have one process for each step, and none between two steps.
    """
    ours = SOURCE_TAG in run.tags or run.job_name in {REPLAY, ALL_ASSETS}
    return ours or any(row.status == "started" for row in rows)


def _is_gone(connection: Connection, rows: Collection[StartedRun]) -> bool:
    """Return whether a run has no process now and had none some time ago; enter whether it is missed now."""
    if any(row.alive for row in rows):
        for row in rows:
            if row.missed:
                missed_runs.clear_missed(connection, row.key)
        return False
    for row in rows:
        missed_runs.mark_missed(connection, row.key)
    return all(row.missed_long or _process_is_gone(row) for row in rows)


def _process_is_gone(row: StartedRun) -> bool:
    """Return whether a process of this machine does not exist. Of other machines nothing is known: False."""
    if row.process is None or row.host != socket.gethostname():
        return False
    try:
        os.kill(row.process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _enter_ends(
    connection: Connection, rows: Collection[StartedRun], run: dg.DagsterRun | None, sources: Mapping[str, Source]
) -> list[RunEnd]:
    ends = []
    for row in rows:
        with connection.transaction():
            if not missed_runs.claim(connection, row):
                continue
            if run is not None and run.status == dg.DagsterRunStatus.CANCELING:
                end = history.run_interrupted(connection, row.key, "cancelled", ASKED_TO_END, error_class=CANCELLED)
            else:
                end = history.run_interrupted(connection, row.key, "crashed", GONE, error_class=history.CRASHED)
            if end is not None:
                alerts.update_for_run(connection, rules_of(sources, row.key.source), end)
                ends.append(end)
    return ends


def _report_to_dagster(instance: dg.DagsterInstance, run: dg.DagsterRun | None) -> None:
    """Report the end of the run to Dagster, so that it may start the run again, unless the run has already ended."""
    if run is None or (now := instance.get_run_by_id(run.run_id)) is None or now.is_finished:
        return
    if now.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(now, f"{GONE} It had been asked to end.")
    else:
        instance.report_run_failed(now, f"{GONE} Table etl.run shows what it had written.")
