"""The sensor that evaluates the alert rules that depend on time, and sends the notifications of the outbox.

It launches no runs. A tick ends in time whatever the channels do. The annotations are not postponed here, because
Dagster reads those of the sensor.
"""

from collections.abc import Mapping
from typing import Final

import dagster as dg

from etl_assets import alerts
from etl_assets.alerts.message import Places
from etl_assets.graph.keys import asset_keys, core_key
from etl_assets.graph.resource import open_warehouse
from etl_assets.graph.runs.one_by_one import Failures
from etl_assets.postgres.alerts import background
from etl_assets.postgres.alerts.alerts import clock
from etl_assets.postgres.alerts.background import DeclaredSource
from etl_assets.postgres.connection import connected
from etl_assets.settings import Settings
from etl_assets.source import Source

ALERTS: Final = "alerts"
ALERT_SECONDS: Final = 30


def alert_sensor(sources: Mapping[str, Source]) -> dg.SensorDefinition:
    """Return the sensor that sends alerts.

    The result of each tick shows how many notifications were sent, how many wait, and which channels fail since when.

    Args:
        sources: All known sources, by name.
    """
    rules = {name: source.alert_rules for name, source in sources.items()}

    @dg.sensor(
        name=ALERTS,
        minimum_interval_seconds=ALERT_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Checks for missed deadlines and an ageing quarantine; sends alerts to their channels.",
    )
    def send_alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        settings = Settings.from_environment()
        with connected(open_warehouse().url) as connection:
            now = clock(connection)
            failures = Failures()
            for name, source_rules in rules.items():
                with failures.of(name):
                    alerts.update_for_time(connection, name, source_rules, now)
            failures.report(connection, ALERTS)
            background.keep(connection, _declared(sources, context.repository_def))
            places = Places(settings.ui_url, settings.status_url)
            dispatch = alerts.send(connection, settings.channels, places, clock(connection))
        return dg.SkipReason("\n".join(dispatch.lines) + str(failures))

    return send_alerts


def _declared(sources: Mapping[str, Source], repository: dg.RepositoryDefinition | None) -> dict[str, DeclaredSource]:
    """Return what messages need of each declaration: its owner, and the assets of the location that are downstream."""
    graph = repository.asset_graph if repository is not None else None
    found = {}
    for name, source in sources.items():
        own, below = set(asset_keys(name)), set[dg.AssetKey]()
        edge = {core_key(name)} if graph is not None and graph.has(core_key(name)) else set()
        while graph is not None and edge:
            edge = {child for key in edge for child in graph.get(key).child_keys} - below
            below |= edge
        found[name] = DeclaredSource(source.owner, tuple(sorted(key.to_user_string() for key in below - own)))
    return found
