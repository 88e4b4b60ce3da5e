"""Finds runs whose process is gone, and enters that they crashed, in the history and in Dagster.

Dagster's own run monitoring looks after runs whose launcher can say whether their worker lives. Those that a command
executes in its own process, and those of the default launcher, it takes for running until the end of time. Here the
database is asked: a run holds a lock as long as its process lives.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets import alerts
from etl_assets.graph.keys import REPLAY, SOURCE_TAG
from etl_assets.graph.runs.ended_runs import reconcile, rules_of
from etl_assets.graph.runs.run_record import ASKED_TO_END
from etl_assets.postgres.connection import connected
from etl_assets.postgres.runs import history, missed_runs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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
GONE: Final = "The process that executed the run is gone: it was killed, or its machine was."
_AD_HOC_JOB: Final = "__ASSET_JOB"


def reap(
    instance: dg.DagsterInstance, url: str, sources: Mapping[str, Source], location: str | None = None
) -> list[RunEnd]:
    """Look for every run that is under way; enter those that are not found for the second time.

    One that ran on this machine is entered at once when its process is not there. One that ended in Dagster and not
    in the history is entered as Dagster has it.

    Args:
        instance: Knows the runs.
        url: Of the warehouse.
        sources: All that are known, by name.
        location: Only runs of this code location, and those of none; all when it is None.

    Returns:
        The runs that were entered as crashed or cancelled.
    """
    under_way = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(statuses=list(UNDER_WAY)))}
    ends: list[RunEnd] = []
    with connected(url) as connection:
        lines = missed_runs.find(connection, under_way.keys())
        for run_id in dict.fromkeys(line.key.run_id for line in lines):
            run = under_way.get(run_id) or instance.get_run_by_id(run_id)
            if not is_ours(run, location):
                continue
            of_run = [line for line in lines if line.key.run_id == run_id]
            if run is not None and run.is_finished:
                for record in instance.get_run_records(dg.RunsFilter(run_ids=[run_id])):
                    reconcile(connection, instance, record, sources)
            elif (run is None or _in_one_process(run, of_run)) and _is_gone(connection, of_run):
                ends += _enter(connection, of_run, run, sources)
                _report_to_dagster(instance, run)
    return ends


def is_ours(run: dg.DagsterRun | None, location: str | None) -> bool:
    """Whether a run is this code location's to look after: nobody else's, or of a command."""
    origin = run.remote_job_origin if run is not None else None
    return location is None or origin is None or origin.location_name == location


def _in_one_process(run: dg.DagsterRun, lines: Collection[StartedRun]) -> bool:
    """Whether no process means no run. A job of somebody's own may have a process for each step, and none between."""
    ours = SOURCE_TAG in run.tags or run.job_name in {REPLAY, _AD_HOC_JOB}
    return ours or any(line.status == "started" for line in lines)


def _is_gone(connection: Connection, lines: Collection[StartedRun]) -> bool:
    """Whether nobody is at a run, now and when it was looked for before; remembers what was found."""
    if any(line.alive for line in lines):
        for line in lines:
            if line.missed:
                missed_runs.find_again(connection, line.key)
        return False
    for line in lines:
        missed_runs.miss(connection, line.key)
    return all(line.missed_long or _process_is_gone(line) for line in lines)


def _process_is_gone(line: StartedRun) -> bool:
    """Whether a process of this machine is not there. Of another's, nothing is known."""
    if line.process is None or line.host != socket.gethostname():
        return False
    try:
        os.kill(line.process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _enter(
    connection: Connection, lines: Collection[StartedRun], run: dg.DagsterRun | None, sources: Mapping[str, Source]
) -> list[RunEnd]:
    ends = []
    for line in lines:
        with connection.transaction():
            if not missed_runs.claim(connection, line):
                continue
            if run is not None and run.status == dg.DagsterRunStatus.CANCELING:
                end = history.run_cut_short(
                    connection, line.key, "cancelled", ASKED_TO_END, error_class=history.CANCELLED
                )
            else:
                end = history.run_cut_short(connection, line.key, "crashed", GONE, error_class=history.CRASHED)
            if end is not None:
                alerts.of_run(connection, rules_of(sources, line.key.source), end)
                ends.append(end)
    return ends


def _report_to_dagster(instance: dg.DagsterInstance, run: dg.DagsterRun | None) -> None:
    """Let Dagster know, so that it may start the run again; it may have heard of it meanwhile."""
    if run is None or (now := instance.get_run_by_id(run.run_id)) is None or now.is_finished:
        return
    if now.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(now, f"{GONE} It had been asked to end.")
    else:
        instance.report_run_failed(now, f"{GONE} etl.run says what it had written.")
