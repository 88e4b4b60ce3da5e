"""The newest materializations of partitions, as check results refer to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

if TYPE_CHECKING:
    from collections.abc import Iterable


def newest_materializations(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Iterable[str], after: int | None = None
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """Return the newest materialization of each partition that has one.

    Args:
        instance: The instance of Dagster that has them.
        key: Of the asset.
        partitions: Keys of partitions; the empty text stands for an asset without partitions.
        after: Id of an event. Partitions that were materialized after it are looked up together, at most 1,000.
    """
    wanted, targets = list(partitions), dict[str, Any]()
    if after is not None:
        together = dg.AssetRecordsFilter(asset_key=key, asset_partitions=wanted, after_storage_id=after)
        for record in instance.fetch_materializations(together, limit=1_000).records:
            targets.setdefault(record.partition_key or "", _target(record))
    for partition in wanted:
        if partition not in targets:
            alone = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None)
            for record in instance.fetch_materializations(alone, limit=1).records:
                targets[partition] = _target(record)
    return targets


def _target(record: dg.EventLogRecord) -> AssetCheckEvaluationTargetMaterializationData:
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
    )
