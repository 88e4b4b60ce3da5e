"""What makes runs begin by themselves: a schedule for each declared trigger, and the release of parked records.

Both are switched on from the start: a trigger that is declared is meant. Where nothing shall run by itself, no Dagster
daemon is started. It reads the annotations of what it calls, which is why they are not postponed here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from etl_assets import replay
from etl_assets.graph.jobs import REPLAY, SOURCE_TAG, replay_config
from etl_assets.graph.keys import core_key
from etl_assets.graph.partitions import add_files
from etl_assets.graph.resource import open_warehouse
from etl_assets.ingest import Warehouse
from etl_assets.postgres import quarantine
from etl_assets.postgres.connection import connected
from etl_assets.postgres.summaries import newest_batch
from etl_assets.source import Source

RUNS_PER_TICK: Final = 100
"""So many partitions at most are asked for at once; the next tick asks for the rest."""
RELEASE_SECONDS: Final = 60


def source_schedule(source: Source, job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition | None:
    """The schedule of a source's trigger; None when it has none.

    A tick asks for every partition that is complete and was never loaded, oldest first; when there is none, for the
    newest again, since publishers correct what they published last.
    """
    if source.trigger is None:
        return None

    @dg.schedule(
        name=f"{source.name}_schedule",
        job=job,
        cron_schedule=source.trigger.expression,
        execution_timezone=source.trigger.zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Asks for the partitions of {source.name} that are complete and not loaded.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        at = context.scheduled_execution_time
        if source.partitions is None:
            yield dg.RunRequest(run_key=at.isoformat())
            return
        wanted = _wanted(source, context.instance, at)
        if not wanted:
            yield dg.SkipReason(f"{source.name} has no partition that is complete.")
        for key in wanted:
            yield dg.RunRequest(run_key=f"{key}@{at.isoformat()}", partition_key=key)

    return tick


def release_sensor(sources: Mapping[str, Source]) -> dg.SensorDefinition:
    """The sensor that replays parked records when what they refer to has arrived.

    A source is looked at again only when records were parked, or tables that they wait for were written, since it was
    last found to have nothing to release. A replay that fails is asked for again after an hour.

    Args:
        sources: All that are known, by name.
    """
    parking = {name: source for name, source in sources.items() if parked_on(source)}

    @dg.sensor(
        name="release_parked",
        job_name=REPLAY,
        minimum_interval_seconds=RELEASE_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Replays parked records whose parents have arrived.",
    )
    def release(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        seen: dict[str, str] = json.loads(context.cursor or "{}")
        requests: list[dg.RunRequest] = []
        warehouse = open_warehouse()
        at = datetime.now(UTC)
        for name, source in parking.items():
            state = _state(source, sources, warehouse, at)
            if seen.get(name) == state:
                continue
            ids = replay.releasable(source, warehouse)
            if not ids:
                seen[name] = state
                continue
            requests.append(
                dg.RunRequest(
                    run_key=f"{name} {sha256(repr(ids).encode()).hexdigest()} {at:%Y-%m-%dT%H}",
                    run_config=replay_config(name, released=True),
                    tags={SOURCE_TAG: name},
                )
            )
        if not requests:
            context.update_cursor(json.dumps(seen))
            return dg.SkipReason("No parked record's parents have arrived.")
        return dg.SensorResult(run_requests=requests, cursor=json.dumps(seen))

    return release


def parked_on(source: Source) -> frozenset[str]:
    """The tables whose rows records of a source may wait for."""
    parents = (column.parent for column in source.schema.columns)
    return frozenset(parent.table for parent in parents if parent is not None and parent.missing == "park")


def _state(source: Source, sources: Mapping[str, Source], warehouse: Warehouse, at: datetime) -> str:
    """A text that stays the same as long as nothing can have been released."""
    names = {known.table: name for name, known in sources.items()}
    tables = parked_on(source)
    strangers = at.isoformat() if tables - names.keys() else ""
    with connected(warehouse.url) as connection:
        parked = quarantine.waiting(connection, source.name)["parked"]
        newest = newest_batch(connection, [names[table] for table in tables if table in names])
    return f"{parked} {newest} {strangers}" if parked else "none"


def _wanted(source: Source, instance: dg.DagsterInstance, at: datetime) -> Sequence[str]:
    """The partitions that a tick asks for."""
    if source.takes_files:
        complete: Sequence[str] = add_files(source, instance)
    else:
        complete = source.partitions.keys(at) if source.partitions else ()
    loaded = instance.get_materialized_partitions(core_key(source.name))
    missing = [key for key in complete if key not in loaded]
    return missing[:RUNS_PER_TICK] or complete[-1:]
