"""The schedule of a source that runs at fixed times, and the partitions that a tick requests.

The annotations are not postponed here, because Dagster reads those of the schedule.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import dagster as dg
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from etl_assets.errors import EtlAssetsError
from etl_assets.graph.keys import ALL_ASSETS, RUNS_PER_TICK, SOURCE_TAG, asset_keys, core_key
from etl_assets.graph.partitions import add_files, partitions_definition
from etl_assets.graph.resource import open_warehouse
from etl_assets.graph.runs.unchanged import report_if_unchanged
from etl_assets.model.trigger import Cron
from etl_assets.source import Source


def cron_schedule(source: Source, trigger: Cron) -> dg.ScheduleDefinition:
    """Return the schedule of a source whose trigger is the clock.

    A tick requests every partition that is complete and was never loaded, oldest first, and then those whose last run
    failed. If there is none, it requests the newest again, since publishers correct what they published last. So the
    next tick makes up for missed ticks. A tick does not request a partition that has a run under way. If a poll finds
    that there is nothing to do for a partition, the tick enters and shows that, and requests no run.

    Args:
        source: The declaration.
        trigger: Its trigger.
    """

    @dg.schedule(
        name=f"{source.name}_schedule",
        job_name=ALL_ASSETS,
        cron_schedule=trigger.expression,
        execution_timezone=trigger.zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Requests the partitions of {source.name} that are complete and not loaded.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        at = context.scheduled_execution_time
        complete = [""] if source.partitions is None else _complete(source, context.instance, at)
        wanted = complete if source.partitions is None else _wanted(source, context.instance, complete)
        changed = [key for key in wanted if not _is_unchanged(source, key, context.instance)]
        if not complete:
            yield dg.SkipReason(f"{source.name} has no partition that is complete.")
        elif not wanted:
            yield dg.SkipReason(f"Every partition of {source.name} that is wanted has a run under way.")
        elif not changed:
            yield dg.SkipReason(f"Nothing new is published of {source.name}.")
        for key in changed:
            yield _request(source, at, key)

    return tick


def _request(source: Source, at: datetime, key: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{key}@{at.isoformat()}" if key else at.isoformat(),
        partition_key=key or None,
        asset_selection=list(asset_keys(source.name)),
        tags={SOURCE_TAG: source.name},
    )


def _complete(source: Source, instance: dg.DagsterInstance, at: datetime) -> Sequence[str]:
    """Return the partitions that can be fetched, oldest first."""
    if source.has_file_partitions:
        return add_files(source, instance, open_warehouse().url).keys
    return source.partitions.keys(at) if source.partitions else ()


def _wanted(source: Source, instance: dg.DagsterInstance, complete: Sequence[str]) -> Sequence[str]:
    """Return the partitions that a tick requests."""
    loaded = instance.get_materialized_partitions(core_key(source.name))
    statuses = _statuses(source, instance, complete)
    free = [key for key in complete if AssetPartitionStatus.IN_PROGRESS not in statuses[key]]
    failed = [key for key in free if AssetPartitionStatus.FAILED in statuses[key]]
    never = [key for key in free if key not in loaded and key not in set(failed)]
    return [*never, *failed][:RUNS_PER_TICK] or [key for key in free if key == complete[-1]]


def _is_unchanged(source: Source, key: str, instance: dg.DagsterInstance) -> bool:
    """Return whether there is nothing to do for a partition, which is then entered and shown.

    If that cannot be found out, it counts as changed: the run reports why.
    """
    try:
        return report_if_unchanged(source, key, open_warehouse().url, instance) is not None
    except EtlAssetsError:
        return False


def _statuses(
    source: Source, instance: dg.DagsterInstance, keys: Sequence[str]
) -> Mapping[str, set[AssetPartitionStatus | None]]:
    """Return the statuses of a source's assets by partition; after one asset fails, the later ones fail too."""
    partitions = partitions_definition(source.partitions, source.name)
    statuses: dict[str, set[AssetPartitionStatus | None]] = {key: set() for key in keys}
    if partitions is None:
        return statuses
    for asset in asset_keys(source.name):
        for key, status in (instance.get_status_by_partition(asset, keys, partitions) or {}).items():
            statuses[key].add(status)
    return statuses
