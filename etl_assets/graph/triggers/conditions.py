"""The automation conditions of sources and of assets written by hand, which follow their upstream assets.

Each condition requests no partition while a blocking check of any partition upstream of it has not passed. A good
partition never releases a bad one before it. This module also resolves the assets that the trigger of a source names.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from dagster import AutomationCondition

from etl_assets.errors import DeclarationError
from etl_assets.graph.keys import asset_keys
from etl_assets.graph.partitions import partitions_definition
from etl_assets.model.trigger import After

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets.graph.partitions import Partitions
    from etl_assets.source import Source

SENSOR_SECONDS: Final = 30
_NEW: Final[AutomationCondition[Any]] = AutomationCondition.newly_missing().since_last_handled()
_WITH_UPSTREAM: Final[AutomationCondition[Any]] = AutomationCondition.any_deps_match(
    AutomationCondition.will_be_requested()
)


@dataclass(frozen=True)
class Upstream:
    """The assets that a source comes after.

    Attributes:
        deps: The assets, each with the mapping of its partitions to the source's.
        whole: The assets whose partitions do not map to the source's: each partition of the source needs all of them.
    """

    deps: tuple[dg.AssetDep, ...]
    whole: frozenset[dg.AssetKey] = frozenset()

    @property
    def condition(self) -> AutomationCondition[Any]:
        """The condition that requests the source.

        It requests a partition once an asset upstream of it was materialized, or once it is new and everything upstream
        of it exists. An asset that is upstream of every partition requests only the newest partition of time. The other
        partitions were fetched at their time, and would only be fetched again.
        """
        wanted = _NEW | _WITH_UPSTREAM
        for dep in self.deps:
            news = _unhandled(AutomationCondition.asset_matches(dep.asset_key, AutomationCondition.newly_updated()))
            wanted |= news & AutomationCondition.in_latest_time_window() if dep.asset_key in self.whole else news
        return _if_upstream_passed(wanted, "after its upstream assets, where their blocking checks passed")


def follow() -> AutomationCondition[Any]:
    """Return the condition of an asset written by hand that follows its upstream assets.

    It requests each partition when an asset upstream of it was materialized and every blocking check upstream of it
    passed. Unlike Dagster's ``eager`` it requests partitions of time of any age and loses no materialization between
    two evaluations. It does not request what was materialized before its first evaluation.
    """
    news = _unhandled(AutomationCondition.any_deps_match(AutomationCondition.newly_updated()))
    return _if_upstream_passed(_NEW | _WITH_UPSTREAM | news, "follow what passed its blocking checks")


def in_the_same_run(before: dg.AssetKey) -> AutomationCondition[Any]:
    """Return the condition of an asset that joins every run that another asset requests.

    Args:
        before: The other asset, directly upstream.
    """
    requested = AutomationCondition.any_deps_match(AutomationCondition.will_be_requested())
    return requested.allow(dg.AssetSelection.assets(before)).with_label(f"together with {before.to_user_string()}")


def automation_sensor() -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that evaluates the conditions of all assets; it is switched on from the start."""
    return dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=SENSOR_SECONDS,
        emit_backfills=False,
        description="Requests assets whose upstream was materialized and passed its blocking checks.",
    )


def upstream(source: Source, known: Partitions) -> Upstream | None:
    """Return the assets that a source comes after by its trigger; None if the trigger is not `After`.

    Args:
        source: The declaration.
        known: Every asset, with its partitions.

    Raises:
        DeclarationError: If a named asset does not exist.
    """
    if not isinstance(source.trigger, After):
        return None
    keys = [dg.AssetKey.from_user_string(name) for name in source.trigger.assets]
    for key in keys:
        if key not in known:
            others = ", ".join(sorted(other.to_user_string() for other in known.keys() - set(asset_keys(source.name))))
            problem = f"names {key.to_user_string()}, which does not exist"
            raise DeclarationError(f"source {source.name!r}", "trigger", problem, f"Name one of {others}")
    partitions = partitions_definition(source.partitions, source.name)
    deps = {key: _mapping(known[key], partitions) for key in keys}
    whole = {key for key in keys if partitions is not None and isinstance(deps[key], dg.AllPartitionMapping)}
    return Upstream(
        tuple(dg.AssetDep(key, partition_mapping=mapping) for key, mapping in deps.items()), frozenset(whole)
    )


def partitions_of(assets: Iterable[object]) -> dict[dg.AssetKey, dg.PartitionsDefinition[str] | None]:
    """Return every asset among the given definitions, with its partitions."""
    partitions: dict[dg.AssetKey, dg.PartitionsDefinition[str] | None] = {}
    for asset in assets:
        if isinstance(asset, dg.AssetsDefinition):
            partitions.update({spec.key: spec.partitions_def for spec in asset.specs})
        elif isinstance(asset, dg.AssetSpec | dg.SourceAsset):
            partitions[asset.key] = asset.partitions_def
    return partitions


def _unhandled(materialized: AutomationCondition[Any]) -> AutomationCondition[Any]:
    """Return whether an upstream asset was materialized after the asset's last request and last materialization.

    Dagster compares the times of events only in a condition without ``|`` and ``&``. Therefore ``since_last_handled``,
    which has them, loses a materialization that falls between the same two evaluations as a request.
    """
    requested, updated = AutomationCondition.newly_requested(), AutomationCondition.newly_updated()
    return materialized.since(requested) & materialized.since(updated)


def _if_upstream_passed(wanted: AutomationCondition[Any], label: str) -> AutomationCondition[Any]:
    """Return the wanted condition, limited to partitions whose upstream exists and passed its blocking checks.

    Neither the upstream nor the asset itself may have a run under way.
    """
    at_rest = ~AutomationCondition.any_deps_in_progress() & ~AutomationCondition.in_progress()
    passed = AutomationCondition.all_deps_blocking_checks_passed()
    return (wanted & ~AutomationCondition.any_deps_missing() & at_rest & passed).with_label(label)


def _mapping(
    above: dg.PartitionsDefinition[str] | None, below: dg.PartitionsDefinition[str] | None
) -> dg.PartitionMapping | None:
    """Return how partitions upstream map to a source's: the same key, those of an overlapping time, or all of them."""
    if above == below:
        return None
    if isinstance(above, dg.TimeWindowPartitionsDefinition) and isinstance(below, dg.TimeWindowPartitionsDefinition):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)  # about an argument that is needed if upstream starts later
            return dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
    return dg.AllPartitionMapping()
