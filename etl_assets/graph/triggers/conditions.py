"""When assets follow others by themselves: the automation conditions of sources, and of assets written by hand.

All of them hold an asset back while a blocking check of anything upstream has not passed, partition by partition: a
bad partition is never released by a good one after it. Here too is said which assets a source's trigger names.
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
    from collections.abc import Iterable, Mapping

    from etl_assets.source import Source

SENSOR_SECONDS: Final = 30
_NEW: Final[AutomationCondition[Any]] = AutomationCondition.newly_missing().since_last_handled()
_WITH_UPSTREAM: Final[AutomationCondition[Any]] = AutomationCondition.any_deps_match(
    AutomationCondition.will_be_requested()
)


@dataclass(frozen=True)
class Upstream:
    """What a source comes after.

    Attributes:
        deps: The assets, each with how its partitions belong to the source's.
        whole: Those of them of which no partition belongs to one of the source's.
    """

    deps: tuple[dg.AssetDep, ...]
    whole: frozenset[dg.AssetKey] = frozenset()

    @property
    def condition(self) -> AutomationCondition[Any]:
        """When the source is asked for.

        A partition is, once something upstream of it was materialized, or once it is new and all upstream of it is
        there. What is upstream of every partition alike asks for the newest partition of time alone; the others were
        fetched when their time was, and would only be fetched again.
        """
        wanted = _NEW | _WITH_UPSTREAM
        for dep in self.deps:
            news = _news(AutomationCondition.asset_matches(dep.asset_key, AutomationCondition.newly_updated()))
            wanted |= news & AutomationCondition.in_latest_time_window() if dep.asset_key in self.whole else news
        return _released(wanted, "after its upstream assets, where their blocking checks passed")


def follow() -> AutomationCondition[Any]:
    """The condition of an asset written by hand that follows whatever it is computed from.

    Each partition is computed when something upstream of it was materialized and every blocking check upstream of it
    passed. Unlike Dagster's ``eager`` it takes partitions of time of any age, and what happens upstream between two
    looks, so that none is lost; what was there when the condition was first looked at is not computed anew.
    """
    news = _news(AutomationCondition.any_deps_match(AutomationCondition.newly_updated()))
    return _released(_NEW | _WITH_UPSTREAM | news, "follow what passed its blocking checks")


def in_the_same_run(before: dg.AssetKey) -> AutomationCondition[Any]:
    """The condition of an asset that is materialized in every run that another one asks for.

    Args:
        before: The other one, directly upstream.
    """
    asked = AutomationCondition.any_deps_match(AutomationCondition.will_be_requested())
    return asked.allow(dg.AssetSelection.assets(before)).with_label(f"together with {before.to_user_string()}")


def automation_sensor() -> dg.AutomationConditionSensorDefinition:
    """The sensor that looks at the conditions of all assets, switched on from the start."""
    return dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=SENSOR_SECONDS,
        emit_backfills=False,
        description="Asks for assets whose upstream was materialized and passed its blocking checks.",
    )


def upstream(source: Source, known: Mapping[dg.AssetKey, dg.PartitionsDefinition[str] | None]) -> Upstream | None:
    """What a source comes after by its trigger; None when that is something else.

    Args:
        source: The declaration.
        known: Every asset there is, with its partitions.

    Raises:
        DeclarationError: If an asset that is named does not exist or is the source's own, or if the source has a
            partition for each file, of which nothing upstream tells.
    """
    if not isinstance(source.trigger, After):
        return None
    where = f"source {source.name!r}"
    if source.takes_files:
        remedy = "Write OnChange(every=timedelta(minutes=5)): only a look tells which files are new"
        raise DeclarationError(where, "trigger", "is After, and each file is a partition", remedy)
    keys = [dg.AssetKey.from_user_string(name) for name in source.trigger.assets]
    own = set(asset_keys(source))
    for key in keys:
        if key in own or key not in known:
            others = ", ".join(sorted(other.to_user_string() for other in known.keys() - own))
            problem = "its own" if key in own else "none"
            raise DeclarationError(
                where, "trigger", f"names {key.to_user_string()}, an asset that is {problem}", f"Name one of {others}"
            )
    partitions = partitions_definition(source.partitions, source.name)
    deps = {key: _mapping(known[key], partitions) for key in keys}
    whole = {key for key in keys if partitions is not None and isinstance(deps[key], dg.AllPartitionMapping)}
    return Upstream(
        tuple(dg.AssetDep(key, partition_mapping=mapping) for key, mapping in deps.items()), frozenset(whole)
    )


def partitions_of(assets: Iterable[object]) -> dict[dg.AssetKey, dg.PartitionsDefinition[str] | None]:
    """Every asset among some definitions, with its partitions."""
    found: dict[dg.AssetKey, dg.PartitionsDefinition[str] | None] = {}
    for asset in assets:
        if isinstance(asset, dg.AssetsDefinition):
            found.update({spec.key: spec.partitions_def for spec in asset.specs})
        elif isinstance(asset, dg.AssetSpec | dg.SourceAsset):
            found[asset.key] = asset.partitions_def
    return found


def _news(materialized: AutomationCondition[Any]) -> AutomationCondition[Any]:
    """Whether something was materialized after the asset was last asked for, and after it was last materialized.

    Dagster compares the times of events only where they reach it undisturbed, which they do not through ``|`` and
    ``&``: ``since_last_handled`` drops whatever falls between the same two looks as a request.
    """
    asked, updated = AutomationCondition.newly_requested(), AutomationCondition.newly_updated()
    return materialized.since(asked) & materialized.since(updated)


def _released(wanted: AutomationCondition[Any], label: str) -> AutomationCondition[Any]:
    """What is wanted, where all upstream is there, at rest, and has passed its blocking checks."""
    at_rest = ~AutomationCondition.any_deps_in_progress() & ~AutomationCondition.in_progress()
    passed = AutomationCondition.all_deps_blocking_checks_passed()
    return (wanted & ~AutomationCondition.any_deps_missing() & at_rest & passed).with_label(label)


def _mapping(
    above: dg.PartitionsDefinition[str] | None, below: dg.PartitionsDefinition[str] | None
) -> dg.PartitionMapping | None:
    """How partitions upstream belong to a source's: the same, those of an overlapping time, or all of them."""
    if above == below:
        return None
    if isinstance(above, dg.TimeWindowPartitionsDefinition) and isinstance(below, dg.TimeWindowPartitionsDefinition):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)  # of the argument, without which a later start is an error
            return dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
    return dg.AllPartitionMapping()
