"""Dagster's counterparts of the partitions of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

from etl_assets.errors import DeliveryError
from etl_assets.model.partitions import Daily, Files, Monthly, Periods, Static, Weekly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from etl_assets.model.partitions import Partition, Partitioning
    from etl_assets.source import Source

Partitions: TypeAlias = "Mapping[dg.AssetKey, dg.PartitionsDefinition[str] | None]"
"""Assets, each with its partitions."""
_PERIODS: dict[type[Periods], Callable[..., dg.PartitionsDefinition[str]]] = {
    Daily: dg.DailyPartitionsDefinition,
    Weekly: dg.WeeklyPartitionsDefinition,
    Monthly: dg.MonthlyPartitionsDefinition,
}
_UNUSABLE = ("...", "\n", "\r", "\0")


def partitions_definition(partitions: Partitioning | None, name: str) -> dg.PartitionsDefinition[str] | None:
    """Return Dagster's definition of the partitions of a source; None for a source without partitions.

    Args:
        partitions: As declared.
        name: Name of the source. Dagster's storage keeps the partitions of files under this name.

    Raises:
        TypeError: If Dagster has no counterpart of this class.
    """
    if partitions is None:
        return None
    if isinstance(partitions, Periods) and type(partitions) in _PERIODS:
        end = partitions.end.isoformat() if partitions.end else None
        return _PERIODS[type(partitions)](start_date=partitions.start.isoformat(), end_date=end)
    if isinstance(partitions, Static):
        return dg.StaticPartitionsDefinition(list(partitions.names))
    if isinstance(partitions, Files):
        return dg.DynamicPartitionsDefinition(name=name)
    raise TypeError(f"{type(partitions).__name__} of source {name!r} has no counterpart in Dagster")


def partition_of(source: Source, context: dg.AssetExecutionContext) -> Partition:
    """Return the partition of a run."""
    if not context.has_partition_key:
        return source.partition(None)
    return source.partition(check_key(context.partition_key))


def check_key(key: str) -> str:
    """Return the key unchanged if it can be the key of a partition.

    Raises:
        DeliveryError: If Dagster would read the key as something else.
    """
    if not key or key != key.strip() or any(part in key for part in _UNUSABLE):
        raise DeliveryError(
            f"{key!r} cannot be the key of a partition. Nothing was written. Rename the file: no '...', no line ends, "
            "no blanks at either end."
        )
    return key


def files_of(source: Source) -> Sequence[str]:
    """Return the keys of all files that the publisher has now, oldest first.

    Raises:
        DeliveryError: If a file's name cannot be a key, or the files cannot be listed.
    """
    return sorted({check_key(name) for name in source.extractor.list()}, key=lambda k: (source.partition(k).rank, k))


def add_files(source: Source, instance: dg.DagsterInstance) -> Sequence[str]:
    """Add a partition for every file that the publisher has now.

    Args:
        source: A source in which each file is a partition.
        instance: The instance of Dagster that keeps the partitions.

    Returns:
        The keys of all files that the publisher has now, oldest first.

    Raises:
        DeliveryError: If a file's name cannot be a key. No partition was added.
    """
    keys = files_of(source)
    known = set(instance.get_dynamic_partitions(source.name))
    if new := [key for key in keys if key not in known]:
        instance.add_dynamic_partitions(source.name, new)
    return keys
