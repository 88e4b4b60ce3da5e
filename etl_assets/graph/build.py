"""Builds the Dagster definitions of all sources: assets, checks, jobs, schedules, sensors, resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from etl_assets.graph.assets.audit import audit_job, audit_schedule
from etl_assets.graph.assets.expectations import expectation_checks
from etl_assets.graph.assets.io_manager import PostgresIOManager
from etl_assets.graph.assets.source_assets import source_assets
from etl_assets.graph.jobs import replay_job, source_job
from etl_assets.graph.keys import WAREHOUSE, asset_keys
from etl_assets.graph.partitions import partitions_definition
from etl_assets.graph.resource import WarehouseResource
from etl_assets.graph.runs.alert_sensor import alert_sensor
from etl_assets.graph.runs.watch_sensor import watch_sensor
from etl_assets.graph.triggers.automation import schedules, sensors
from etl_assets.graph.triggers.conditions import partitions_of, upstream
from etl_assets.graph.triggers.lineage import parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from etl_assets.source import Source


def definitions(sources: Mapping[str, Source], modules: Iterable[ModuleType] = ()) -> dg.Definitions:
    """Build the definitions of a code location.

    Args:
        sources: All known sources, by name.
        modules: Modules with assets and asset checks that were written by hand.
    """
    jobs = {name: source_job(source) for name, source in sources.items()}
    audit = audit_job(sources)
    all_modules = list(modules)
    assets_by_hand = dg.load_assets_from_modules(all_modules)
    return dg.Definitions(
        assets=[*_assets(sources, all_modules, partitions_of(assets_by_hand)), *assets_by_hand],
        asset_checks=[
            *(check for source in sources.values() for check in expectation_checks(source)),
            *dg.load_asset_checks_from_modules(all_modules),
        ],
        jobs=[*jobs.values(), replay_job(sources), audit],
        schedules=[*schedules(sources, jobs), audit_schedule(audit)],
        sensors=[*sensors(sources, jobs), watch_sensor(sources), alert_sensor(sources)],
        resources={WAREHOUSE: WarehouseResource(), "io_manager": PostgresIOManager()},
        executor=dg.in_process_executor,
    )


def _assets(
    sources: Mapping[str, Source],
    modules: Iterable[ModuleType],
    assets_by_hand: Mapping[dg.AssetKey, dg.PartitionsDefinition[str] | None],
) -> list[dg.AssetsDefinition]:
    """Return the assets of all sources; each comes after its parents and after the assets that its trigger names."""
    parents_by_name = parents(sources)
    files = {module.SOURCE.name: module.__file__ for module in modules if hasattr(module, "SOURCE")}
    known = {
        **{
            key: partitions_definition(source.partitions, source.name)
            for source in sources.values()
            for key in asset_keys(source)
        },
        **assets_by_hand,
    }
    return [
        asset
        for name, source in sources.items()
        for asset in source_assets(source, parents_by_name[name], upstream(source, known), files.get(name))
    ]
