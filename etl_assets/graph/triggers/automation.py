"""The schedule or the sensor for the trigger of a source.

All are switched on from the start, since a declared trigger is meant to work. If nothing shall run automatically, do
not start the Dagster daemon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.graph.triggers.change_sensor import change_sensor
from etl_assets.graph.triggers.schedules import cron_schedule
from etl_assets.model.trigger import Cron, OnChange

if TYPE_CHECKING:
    import dagster as dg

    from etl_assets.source import Source


def trigger_of(source: Source) -> dg.ScheduleDefinition | dg.SensorDefinition | None:
    """Return the schedule of a source that runs at fixed times, or the sensor of one that runs on a change."""
    if isinstance(source.trigger, Cron):
        return cron_schedule(source, source.trigger)
    if isinstance(source.trigger, OnChange):
        return change_sensor(source, source.trigger)
    return None
