"""The newest materializations of partitions, as check results refer to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

if TYPE_CHECKING:
    from collections.abc import Iterable


def newest_materializations(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Iterable[str]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """Return the newest materialization of each partition that has one.

    Args:
        instance: The instance of Dagster that has them.
        key: Of the asset.
        partitions: Keys of partitions; the empty text stands for an asset without partitions.
    """
    targets: dict[str, Any] = {}
    for partition in partitions:
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None)
        for record in instance.fetch_materializations(wanted, limit=1).records:
            targets[partition] = AssetCheckEvaluationTargetMaterializationData(
                storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
            )
    return targets
