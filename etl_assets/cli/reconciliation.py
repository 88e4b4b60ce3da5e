"""Whether the ledger and Dagster agree on what was loaded.

The ledger is committed with the rows, and Dagster is told afterwards: a run that is killed in between leaves rows of
which Dagster knows nothing. The next run of that partition tells it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets.graph.keys import core_key
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger.invariants import Invariant
from etl_assets.postgres.runs.results import delivered_partitions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets.postgres.ledger.invariants import Violation

DAGSTER_AGREES: Final = Invariant(
    "dagster_agrees",
    "Dagster calls a partition materialized exactly when the ledger has a complete delivery of it",
    "Run it again with `etl-assets run NAME --partition KEY`: nothing is written twice, and Dagster is told",
)


def disagreements(url: str, sources: Iterable[str]) -> list[Violation]:
    """Hold Dagster's materializations against the ledger.

    A run that has just completed a delivery, and may be about to tell Dagster, is not mistaken for a fault.

    Args:
        url: Of the warehouse.
        sources: Names of the declared sources; of others, only what the ledger has is asked for.
    """
    with connected(url) as connection:
        delivered = delivered_partitions(connection)
    names = sorted({*sources, *(name for name, _, _ in delivered)})
    found: list[Violation] = []
    with dg.DagsterInstance.get() as instance:
        for name in names:
            complete = {partition for source, partition, _ in delivered if source == name}
            ending = {partition for source, partition, about in delivered if source == name and about}
            told = _materialized(instance, _key(name))
            found += [
                DAGSTER_AGREES.broken(_words(name, key), "is complete in the ledger, and Dagster does not know it")
                for key in sorted(complete - told - ending)
            ]
            found += [
                DAGSTER_AGREES.broken(_words(name, key), "is materialized in Dagster, and no delivery is complete")
                for key in sorted(told - complete)
            ]
    return found


def _materialized(instance: dg.DagsterInstance, key: dg.AssetKey) -> set[str]:
    """The partitions that were materialized; the empty text for an asset without."""
    partitions = set(instance.get_materialized_partitions(key))
    if partitions:
        return partitions
    return {""} if instance.get_latest_materialization_event(key) is not None else set()


def _key(name: str) -> dg.AssetKey:
    """The asset whose deliveries the ledger keeps under a name; the counterpart of `graph.keys.delivered_as`."""
    path = name.split(".")
    if len(path) == 1:
        return core_key(name)
    return dg.AssetKey(path[1:] if path[0] == "public" and len(path) == 2 else path)  # noqa: PLR2004 -- schema and table


def _words(name: str, partition: str) -> str:
    return f"{name} ({partition})" if partition else name
