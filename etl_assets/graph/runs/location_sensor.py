"""The sensor that watches the other code locations: an alert is open while one does not answer or does not load.

It belongs to a code location that no feed can break. It also enters the crashed runs of a location that cannot do so.
The annotations are not postponed here, because Dagster reads those of the sensor.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._serdes import deserialize_value
from dagster_shared.error import SerializableErrorInfo

from etl_assets import alerts
from etl_assets.graph.resource import open_warehouse
from etl_assets.graph.runs.one_by_one import Failures
from etl_assets.graph.runs.reaper import reap
from etl_assets.postgres.connection import connected
from etl_assets.settings import workspace_file

LOCATIONS: Final = "code_locations"
LOCATION_SECONDS: Final = 30
"""A location that is away for one tick is starting; one that is away for two is lost."""


def location_sensor() -> dg.SensorDefinition:
    """Return the sensor that watches the code servers of the workspace.

    The cursor has the locations that were away at the tick before.
    """

    @dg.sensor(
        name=LOCATIONS,
        minimum_interval_seconds=LOCATION_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Alerts about code locations that do not answer or do not load, and enters their crashed runs.",
    )
    def watch_locations(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        away = locations_away(workspace_file())
        before = json.loads(context.cursor or "[]")
        lost = {name: error for name, error in away.items() if name in before}
        url = open_warehouse().url
        failures = Failures()
        for name in lost:
            reap(context.instance, url, {}, failures, name)
        with connected(url) as connection:
            alerts.update_for_locations(connection, lost)
            failures.report(connection, LOCATIONS)
        context.update_cursor(json.dumps(sorted(away)))
        return dg.SkipReason("\n".join(f"{name}: {error}" for name, error in away.items()) or "Every location answers.")

    return watch_locations


def locations_away(workspace: Path) -> Mapping[str, str]:
    """Return why each code location of a workspace is away: it does not answer, or its definitions do not load.

    Only locations with a code server are asked: the others are loaded by the process that reads the workspace.

    Args:
        workspace: Path of ``workspace.yaml``.
    """
    away = {}
    for origin in WorkspaceFileTarget([str(workspace)]).create_origins():
        if not isinstance(origin, GrpcServerCodeLocationOrigin):
            continue
        try:
            answer = deserialize_value(origin.create_client().list_repositories())
        except DagsterUserCodeUnreachableError:
            away[origin.location_name] = f"Its code server at {origin.host}:{origin.port} does not answer."
            continue
        if isinstance(answer, SerializableErrorInfo):
            away[origin.location_name] = f"Its definitions do not load: {_innermost(answer).cls_name}."
    return away


def _innermost(error: SerializableErrorInfo) -> SerializableErrorInfo:
    """Return the cause of an error that has no cause; the text of a cause may contain secrets, its class does not."""
    while error.cause is not None:
        error = error.cause
    return error
