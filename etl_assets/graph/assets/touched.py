"""Materializes partitions that something other than their own run changed: a replay, a review, a reload.

Dagster then shows the change, and the assets downstream follow it. They wait for the blocking checks of a
materialization, so those are evaluated again for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from etl_assets.graph.assets import checks, expectations, metadata
from etl_assets.graph.assets.check_results import asset_check_evaluation
from etl_assets.graph.keys import core_key, quarantine_key
from etl_assets.graph.targets import newest_materializations
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries, quarantine
from etl_assets.postgres.runs.results import complete_partitions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from etl_assets.model.counts import Counts
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source

CODE_VERSION = "dagster/code_version"
DATA_VERSION = "dagster/data_version"


def log_touched(
    context: dg.OpExecutionContext | dg.AssetExecutionContext,
    source: Source,
    url: str,
    counts: Mapping[str, Counts],
    what: str,
) -> None:
    """Log, in a run, that partitions of ``core/x`` and ``quarantine/x`` were changed.

    Args:
        context: Of the step that changed them.
        source: The declaration.
        url: Of the warehouse.
        counts: What the step did in each partition, by its key.
        what: What changed them, as the title of the counts.
    """
    key = core_key(source.name)
    with connected(url) as connection:
        for partition, changed in counts.items():
            shown = {what: metadata.counts_table({what: changed})}
            context.log_event(_materialization(source, key, partition, context.run.run_id, shown))
            context.log_event(waiting_materialization(source, connection, partition, context.run.run_id))
        targets = newest_materializations(context.instance, key, counts)
        for partition in counts:
            newest = deliveries.newest(connection, source.name, partition)
            if newest is None or newest.status != "complete" or partition not in targets:
                continue
            results = checks.blocking_results(source, connection, newest)
            results += expectations.blocking_results(source, url, partition, context.run.run_id)
            for result in results:
                evaluation: Any = asset_check_evaluation(result, key, partition or None, targets[partition])
                context.log_event(evaluation)  # the type of an op's context does not mention evaluations


def changed_materializations(
    source: Source, connection: Connection, run_id: str, partitions: Collection[str] | None = None
) -> Iterator[dg.AssetMaterialization]:
    """Yield the events that partitions of a source are others, since its table was replaced or records were redacted.

    Args:
        source: The declaration.
        connection: To the warehouse.
        run_id: Of the run that changed them.
        partitions: Their keys; every loaded partition when None.
    """
    changed = complete_partitions(connection, source.name, source.fingerprint) if partitions is None else partitions
    for partition in sorted(changed):
        yield _materialization(source, core_key(source.name), partition, run_id, {})
        yield waiting_materialization(source, connection, partition, run_id)


def waiting_materialization(
    source: Source, connection: Connection, partition: str, version: str
) -> dg.AssetMaterialization:
    """Return the event that the records of a partition that wait in the quarantine are others now.

    Args:
        source: The declaration.
        connection: To the warehouse.
        partition: Key of the partition.
        version: A text that no earlier materialization of the partition has.
    """
    numbers = quarantine.count_waiting(connection, source.name, partition)
    shown = metadata.waiting(numbers, quarantine.counts(connection, source.name))
    return _materialization(source, quarantine_key(source.name), partition, version, shown)


def _materialization(
    source: Source, key: dg.AssetKey, partition: str, version: str, shown: metadata.Metadata
) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        key,
        partition=partition or None,
        metadata=shown,
        tags={CODE_VERSION: source.fingerprint, DATA_VERSION: version},
    )
