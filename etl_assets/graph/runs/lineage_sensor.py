"""The sensor that sends events of OpenLineage, if a setting of its library says where to.

The annotations are not postponed here, because Dagster reads those of the sensor.
"""

import json
from collections.abc import Collection, Mapping
from typing import Final

import dagster as dg

from etl_assets.errors import SettingsError
from etl_assets.graph.resource import open_warehouse
from etl_assets.lineage import sending
from etl_assets.postgres.connection import connected
from etl_assets.postgres.runs import ended
from etl_assets.source import Source

LINEAGE: Final = "openlineage"
LINEAGE_SECONDS: Final = 30


def lineage_sensor(sources: Mapping[str, Source], tables: Collection[str]) -> dg.SensorDefinition:
    """Return the sensor that sends the events of runs that have ended. The first tick sends nothing of the past.

    Args:
        sources: All known sources, by name.
        tables: Names of the sources and assets of this code location; the runs of others are left to their locations.
    """

    @dg.sensor(
        name=LINEAGE,
        minimum_interval_seconds=LINEAGE_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends events of OpenLineage about runs that have ended.",
    )
    def send_lineage(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            from openlineage.client import OpenLineageClient  # noqa: PLC0415 -- an extra
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"Events of OpenLineage need the library {error.name}. Nothing was sent. "
                "Install it: pip install 'etl-assets[openlineage]', or unset its settings."
            ) from error
        url = open_warehouse().url
        with connected(url) as connection:
            if not context.cursor:
                context.update_cursor(_cursor(sending.Sent(ended.complete_until(connection, 0))))
                return dg.SkipReason("Runs that end from now on are sent.")
            state = json.loads(context.cursor)
            before = sending.Sent(state["after"], tuple(state["also"]))
            sent = sending.send(connection, sources, tables, url, before, OpenLineageClient().emit)
        context.update_cursor(_cursor(sent))
        return dg.SkipReason(f"{sent.runs} runs were sent. {sent.problem}".strip())

    return send_lineage


def _cursor(sent: sending.Sent) -> str:
    return json.dumps({"after": sent.after, "also": sent.also})
