"""The sensor that completes the run history: crashed runs, and runs and check results that are not entered yet.

It is switched on from the start. The annotations are not postponed here, because Dagster reads those of the sensor.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import dagster as dg

from etl_assets.graph.resource import open_warehouse
from etl_assets.graph.runs.ended_runs import reconcile
from etl_assets.graph.runs.one_by_one import Failures
from etl_assets.graph.runs.reaper import is_ours, reap
from etl_assets.postgres.connection import connected
from etl_assets.source import Source

WATCH: Final = "watch_runs"
WATCH_SECONDS: Final = 15
"""The first tick after a run is killed finds it missing, and the second gives it up: within a minute."""
RUNS_PER_TICK: Final = 50
FIRST_PERIOD: Final = timedelta(days=1)
"""The first tick finds runs that ended within this time."""
OVERLAP: Final = timedelta(minutes=2)
"""Later ticks start this long before the cursor: the clocks of the processes that write Dagster's storage differ."""
ENDED: Final = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True)
class Cursor:
    """Which ended runs the ticks have handled.

    Attributes:
        at: When the newest handled run ended, or was tagged last.
        seen: The handled runs of the overlap before `at`: id of the run, and when it was updated.
        failed: Ids of the runs that could not be handled. Each tick tries them again, at most `RUNS_PER_TICK`.
    """

    at: datetime
    seen: Mapping[str, str] = field(default_factory=dict)
    failed: Sequence[str] = ()

    @classmethod
    def read(cls, text: str | None, now: datetime) -> Self:
        """Return the cursor that the previous tick wrote, or that of the first tick."""
        if not text:
            return cls(now - FIRST_PERIOD)
        state = json.loads(text)
        return cls(datetime.fromisoformat(state["at"]), state["seen"], state.get("failed", ()))

    def __str__(self) -> str:
        return json.dumps({"at": self.at.isoformat(), "seen": self.seen, "failed": list(self.failed)})

    def after(self, records: Sequence[dg.RunRecord], failed: Iterable[str] = ()) -> Self:
        """Return the cursor after more runs have been handled, some of which failed."""
        at = max([self.at, *(record.update_timestamp for record in records)])
        seen = {**self.seen, **{record.dagster_run.run_id: record.update_timestamp.isoformat() for record in records}}
        kept = {run_id: updated for run_id, updated in seen.items() if datetime.fromisoformat(updated) > at - OVERLAP}
        return type(self)(at, kept, list(dict.fromkeys(failed))[-RUNS_PER_TICK:])


def watch_sensor(sources: Mapping[str, Source]) -> dg.SensorDefinition:
    """Return the sensor that completes the run history.

    Args:
        sources: All known sources, by name.
    """

    @dg.sensor(
        name=WATCH,
        minimum_interval_seconds=WATCH_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Enters crashed runs in etl.run, and the results of checks written by hand in etl.check_result.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        url = open_warehouse().url
        origin = context.code_location_origin
        location = origin.location_name if origin is not None else None
        failures = Failures()
        crashed = reap(context.instance, url, sources, failures, location)
        cursor = Cursor.read(context.cursor, datetime.now(UTC))
        ended = ended_since(context.instance, cursor)
        failed: list[str] = []
        with connected(url) as connection:
            for record in (*_records(context.instance, cursor.failed), *ended):
                run = record.dagster_run
                with failures.of(run.run_id):
                    if is_ours(run, location):
                        reconcile(connection, context.instance, record, sources)
                if run.run_id in failures.errors:
                    failed.append(run.run_id)
            failures.report(connection, WATCH)
        context.update_cursor(str(cursor.after(ended, failed)))
        return dg.SkipReason(f"{len(crashed)} runs crashed, {len(ended)} ended since the last tick.{failures}")

    return watch


def ended_since(instance: dg.DagsterInstance, cursor: Cursor) -> list[dg.RunRecord]:
    """Return ended runs that are not handled yet, oldest first; at most as many as one tick may handle."""
    records = instance.get_run_records(
        dg.RunsFilter(statuses=list(ENDED), updated_after=cursor.at - OVERLAP),
        limit=RUNS_PER_TICK + len(cursor.seen),
        order_by="update_timestamp",
        ascending=True,
    )
    return [
        record
        for record in records
        if cursor.seen.get(record.dagster_run.run_id) != record.update_timestamp.isoformat()
    ]


def _records(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> Sequence[dg.RunRecord]:
    """Return the runs with some ids, except those that were deleted."""
    return instance.get_run_records(dg.RunsFilter(run_ids=list(run_ids))) if run_ids else []
