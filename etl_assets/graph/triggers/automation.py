"""The schedule or the sensor for the trigger of each source.

All are switched on from the start, since a declared trigger is meant to work. If nothing shall run automatically, do
not start the Dagster daemon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.graph.triggers.change_sensor import change_sensor
from etl_assets.graph.triggers.conditions import automation_sensor
from etl_assets.graph.triggers.release_sensor import release_sensor
from etl_assets.graph.triggers.schedules import cron_schedule
from etl_assets.model.trigger import Cron, OnChange

if TYPE_CHECKING:
    from collections.abc import Mapping

    import dagster as dg
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    from etl_assets.source import Source


def schedules(
    sources: Mapping[str, Source], jobs: Mapping[str, UnresolvedAssetJobDefinition]
) -> list[dg.ScheduleDefinition]:
    """Return the schedules of the sources that run at fixed times.

    Args:
        sources: All known sources, by name.
        jobs: Their jobs, by name.
    """
    return [
        cron_schedule(source, source.trigger, jobs[name])
        for name, source in sources.items()
        if isinstance(source.trigger, Cron)
    ]


def sensors(
    sources: Mapping[str, Source], jobs: Mapping[str, UnresolvedAssetJobDefinition]
) -> list[dg.SensorDefinition]:
    """Return the sensors that request runs: for sources that run on a change, for parked records, for conditions.

    Args:
        sources: All known sources, by name.
        jobs: Their jobs, by name.
    """
    return [
        *(
            change_sensor(source, source.trigger, jobs[name])
            for name, source in sources.items()
            if isinstance(source.trigger, OnChange)
        ),
        release_sensor(sources),
        automation_sensor(),
    ]
