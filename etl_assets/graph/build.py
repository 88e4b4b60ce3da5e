"""From all sources to everything Dagster knows of them: assets, jobs, schedules, the sensor, resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from etl_assets.graph.assets import source_assets
from etl_assets.graph.automation import release_sensor, source_schedule
from etl_assets.graph.io_manager import PostgresIOManager
from etl_assets.graph.jobs import replay_job, source_job
from etl_assets.graph.keys import WAREHOUSE
from etl_assets.graph.lineage import parents
from etl_assets.graph.resource import WarehouseResource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from etl_assets.source import Source


def definitions(sources: Mapping[str, Source], modules: Iterable[ModuleType] = ()) -> dg.Definitions:
    """Build the definitions of a code location.

    Args:
        sources: By name.
        modules: Of assets and asset checks that were written by hand.
    """
    above = parents(sources)
    jobs = {name: source_job(source) for name, source in sources.items()}
    written = list(modules)
    files = {module.SOURCE.name: module.__file__ for module in written if hasattr(module, "SOURCE")}
    return dg.Definitions(
        assets=[
            *(
                asset
                for name, source in sources.items()
                for asset in source_assets(source, above[name], files.get(name))
            ),
            *dg.load_assets_from_modules(written),
        ],
        asset_checks=dg.load_asset_checks_from_modules(written),
        jobs=[*jobs.values(), replay_job(sources)],
        schedules=[
            schedule
            for name, source in sources.items()
            if (schedule := source_schedule(source, jobs[name])) is not None
        ],
        sensors=[release_sensor(sources)],
        resources={WAREHOUSE: WarehouseResource(), "io_manager": PostgresIOManager()},
        executor=dg.in_process_executor,
    )
