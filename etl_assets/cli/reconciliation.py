"""Compares the ledger with Dagster: both must agree on which partitions are loaded.

A run commits the ledger with the rows, and reports to Dagster afterwards. If it is killed between the two, Dagster does
not know of the rows. The next run of that partition reports them.
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
    "A partition is materialized in Dagster exactly when the ledger has a complete delivery of it",
    "Run it again with `etl-assets run NAME --partition KEY`: no row is written twice, and Dagster is updated",
)


def disagreements(url: str, sources: Iterable[str]) -> list[Violation]:
    """Find the partitions on which Dagster's materializations and the ledger disagree.

    A run that has just completed a delivery, and has not yet reported to Dagster, is not a violation.

    Args:
        url: URL of the warehouse.
        sources: Names of the declared sources. Other names are checked if the ledger has deliveries of them.
    """
    with connected(url) as connection:
        delivered = delivered_partitions(connection)
    names = sorted({*sources, *(name for name, _, _ in delivered)})
    violations: list[Violation] = []
    with dg.DagsterInstance.get() as instance:
        for name in names:
            complete = {partition for source, partition, _ in delivered if source == name}
            ending = {partition for source, partition, is_ending in delivered if source == name and is_ending}
            materialized = _materialized(instance, _key(name))
            violations += [
                DAGSTER_AGREES.violation(
                    _words(name, key), "is complete in the ledger, but not materialized in Dagster"
                )
                for key in sorted(complete - materialized - ending)
            ]
            violations += [
                DAGSTER_AGREES.violation(_words(name, key), "is materialized in Dagster, but no delivery is complete")
                for key in sorted(materialized - complete)
            ]
    return violations


def _materialized(instance: dg.DagsterInstance, key: dg.AssetKey) -> set[str]:
    """Return the materialized partitions of an asset; the empty text stands for an asset without partitions."""
    partitions = set(instance.get_materialized_partitions(key))
    if partitions:
        return partitions
    return {""} if instance.get_latest_materialization_event(key) is not None else set()


def _key(name: str) -> dg.AssetKey:
    """Return the asset whose deliveries the ledger keeps under a name; the inverse of `graph.keys.delivered_as`."""
    path = name.split(".")
    if len(path) == 1:
        return core_key(name)
    return dg.AssetKey(path[1:] if path[0] == "public" and len(path) == 2 else path)  # noqa: PLR2004 -- schema and table


def _words(name: str, partition: str) -> str:
    return f"{name} ({partition})" if partition else name
