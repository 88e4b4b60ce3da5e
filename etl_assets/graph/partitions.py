"""Dagster's counterparts of the partitions of a source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

import dagster as dg

from etl_assets import alerts
from etl_assets.errors import DeliveryError
from etl_assets.model.partition_keys import problem_of_key
from etl_assets.model.partitions import Daily, Files, Monthly, Periods, Static, Weekly
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from etl_assets.model.partition_keys import FileNames
    from etl_assets.model.partitions import Partitioning
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.deliveries import LastFetch
    from etl_assets.source import Source

RANGE_TAGS: Final = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
"""The tags of a run that has a range of partitions: its first and its last, in the order of Dagster."""
Partitions: TypeAlias = "Mapping[dg.AssetKey, dg.PartitionsDefinition[str] | None]"
"""Assets, each with its partitions."""
_PERIODS: dict[type[Periods], Callable[..., dg.PartitionsDefinition[str]]] = {
    Daily: dg.DailyPartitionsDefinition,
    Weekly: dg.WeeklyPartitionsDefinition,
    Monthly: dg.MonthlyPartitionsDefinition,
}


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


def in_load_order(connection: Connection, source: Source, keys: Sequence[str]) -> list[str]:
    """Return keys of partitions in the order in which they are run: those that are stale last and newest first.

    What a newer delivery no longer yields may be in an older one, which is therefore reloaded after it.

    Args:
        connection: To the warehouse.
        source: The declaration.
        keys: In any order; those that are not stale are returned oldest first.
    """
    stale = stale_partitions(connection, source)
    oldest_first = sorted(keys, key=lambda key: (source.partition(key or None).rank, key))
    fresh = [key for key in oldest_first if key not in stale]
    return [*fresh, *(key for key in reversed(oldest_first) if key in stale)]


def neighbours(keys: Sequence[str], known: Sequence[str], most: int) -> list[list[str]]:
    """Cut keys into groups that are each a range of partitions, in this order or the other way round.

    Args:
        keys: In the order in which they are to be run.
        known: The keys of all partitions, in the order of Dagster.
        most: The most keys of a group.
    """
    places = {key: place for place, key in enumerate(known)}
    groups: list[list[str]] = []
    step = 0
    for key in keys:
        group = groups[-1] if groups else []
        way = places[key] - places[group[-1]] if group else 0
        if abs(way) == 1 and len(group) < most and way in {step, step or way}:
            group.append(key)
            step = way
        else:
            groups.append([key])
            step = 0
    return groups


def stale_partitions(connection: Connection, source: Source) -> set[str]:
    """Return the partitions of a source with deliveries that must be reloaded."""
    return {delivery.partition for delivery in deliveries.stale(connection, source.name, source.fingerprint)}


def check_key(key: str) -> str:
    """Return the key unchanged if it can be the key of a partition.

    Raises:
        DeliveryError: If it cannot.
    """
    if problem := problem_of_key(key):
        raise DeliveryError(
            f"{key!r} cannot be the key of a partition: it {problem}. Nothing was written. Rename the file."
        )
    return key


def files_of(source: Source, url: str) -> FileNames:
    """Return the names of all files that the publisher has now; open or resolve the alert about those set aside.

    What is to be done after a load, and was not because its run died, is done before.

    Args:
        source: A source in which each file is a partition.
        url: URL of the warehouse.

    Raises:
        DeliveryError: If the files cannot be listed.
    """
    if not isinstance(source.partitions, Files):
        raise TypeError(f"source {source.name!r} has no partition for each file")
    names = source.partitions.keys_of(source.extractor.list())
    with connected(url) as connection, connection.transaction():
        alerts.update_for_file_names(connection, source.alert_rules, source.name, names.set_aside)
        fetched = deliveries.last_fetches(connection, source.name)
    return replace(names, keys=tuple(key for key in names.keys if not _is_moved(source, key, fetched.get(key))))


def _is_moved(source: Source, key: str, last: LastFetch | None) -> bool:
    """Finish what follows the load of a file; return whether the publisher no longer has it."""
    if last is None or not last.complete:
        return False
    return source.extractor.after_load(source.partition(key), last.validators)


def add_files(source: Source, instance: dg.DagsterInstance, url: str) -> FileNames:
    """Add a partition for every file that the publisher has now and whose name can be a key; see `files_of`.

    Args:
        source: A source in which each file is a partition.
        instance: The instance of Dagster that keeps the partitions.
        url: URL of the warehouse.
    """
    names = files_of(source, url)
    known = set(instance.get_dynamic_partitions(source.name))
    if new := [key for key in names.keys if key not in known]:
        instance.add_dynamic_partitions(source.name, new)
    return names
