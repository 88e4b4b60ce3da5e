"""The sensor that looks for what only time tells, and sends what is in the outbox.

It launches no runs, and ends in time whatever the channels do. Dagster reads its annotations, which is why they are not
postponed here.
"""

from collections.abc import Mapping
from typing import Final

import dagster as dg

from etl_assets import alerts
from etl_assets.graph.resource import open_warehouse
from etl_assets.postgres.alerts.alerts import clock
from etl_assets.postgres.connection import connected
from etl_assets.settings import Settings
from etl_assets.source import Source

ALERT_SECONDS: Final = 30


def alert_sensor(sources: Mapping[str, Source]) -> dg.SensorDefinition:
    """The sensor that tells people.

    Each tick says how many messages were sent, how many wait, and which channel fails since when.

    Args:
        sources: All that are known, by name.
    """
    rules = {name: source.alert_rules for name, source in sources.items()}

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=ALERT_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks for missed deadlines and an ageing quarantine; sends alerts to their channels.",
    )
    def tell(context: dg.SensorEvaluationContext) -> dg.SkipReason:  # noqa: ARG001 -- Dagster's signature
        settings = Settings.from_environment()
        with connected(open_warehouse().url) as connection:
            now = clock(connection)
            alerts.of_time(connection, rules, now)
            dispatch = alerts.send(connection, settings.channels, settings.ui_url, now)
        return dg.SkipReason("\n".join(dispatch.lines))

    return tell
