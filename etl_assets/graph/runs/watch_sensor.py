"""The sensor that keeps the run history whole: runs whose process is gone, runs and checks that nobody entered.

It is switched on from the start. It reads the annotations of what it calls, which is why they are not postponed here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import dagster as dg

from etl_assets.graph.resource import open_warehouse
from etl_assets.graph.runs.ended_runs import reconcile
from etl_assets.graph.runs.reaper import is_ours, reap
from etl_assets.postgres.connection import connected
from etl_assets.source import Source

WATCH_SECONDS: Final = 15
"""A run that is killed is missed at the first look after that, and given up at the second: within a minute."""
RUNS_PER_TICK: Final = 50
FIRST_LOOK: Final = timedelta(days=1)
"""So far back the first tick looks for runs that ended."""
OVERLAP: Final = timedelta(minutes=2)
"""So far back every other tick looks again: the clocks of those who write Dagster's storage differ."""
ENDED: Final = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dataclass(frozen=True)
class Cursor:
    """How far ended runs were looked at.

    Attributes:
        at: When the newest of them ended, or was tagged last.
        seen: Those of the time before that is looked at again: the run and when it was updated.
    """

    at: datetime
    seen: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None, now: datetime) -> Self:
        """What the tick before wrote; the first tick's if there was none."""
        if not text:
            return cls(now - FIRST_LOOK)
        told = json.loads(text)
        return cls(datetime.fromisoformat(told["at"]), told["seen"])

    def __str__(self) -> str:
        return json.dumps({"at": self.at.isoformat(), "seen": self.seen})

    def after(self, records: Sequence[dg.RunRecord]) -> Self:
        """The cursor when some more runs have been looked at."""
        at = max([self.at, *(record.update_timestamp for record in records)])
        seen = {**self.seen, **{record.dagster_run.run_id: record.update_timestamp.isoformat() for record in records}}
        kept = {run_id: told for run_id, told in seen.items() if datetime.fromisoformat(told) > at - OVERLAP}
        return type(self)(at, kept)


def watch_sensor(sources: Mapping[str, Source]) -> dg.SensorDefinition:
    """The sensor that completes the run history.

    Args:
        sources: All that are known, by name.
    """

    @dg.sensor(
        name="watch_runs",
        minimum_interval_seconds=WATCH_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Enters in etl.run which runs crashed, and in etl.check_result what checks written by hand say.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        url = open_warehouse().url
        origin = context.code_location_origin
        location = origin.location_name if origin is not None else None
        crashed = reap(context.instance, url, sources, location)
        cursor = Cursor.read(context.cursor, datetime.now(UTC))
        ended = ended_since(context.instance, cursor)
        with connected(url) as connection:
            for record in ended:
                if is_ours(record.dagster_run, location):
                    reconcile(connection, context.instance, record, sources)
        context.update_cursor(str(cursor.after(ended)))
        return dg.SkipReason(f"{len(crashed)} runs crashed, {len(ended)} ended since the last look.")

    return watch


def ended_since(instance: dg.DagsterInstance, cursor: Cursor) -> list[dg.RunRecord]:
    """Runs that ended and were not looked at, oldest first, as many as one tick may take."""
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
