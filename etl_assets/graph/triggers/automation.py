"""What makes runs begin by themselves: a schedule or a sensor for a trigger.

All are switched on from the start: a trigger that is declared is meant. Where nothing shall run by itself, no Dagster
daemon is started.
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
    """The schedules of the sources that run at fixed times.

    Args:
        sources: All that are known, by name.
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
    """The sensors that make runs begin: those of the sources that run on a change, of parked records, of conditions.

    Args:
        sources: All that are known, by name.
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
