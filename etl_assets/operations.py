"""The definitions of a code location without sources, which Dagster loads beside those that have some.

It watches the other code locations and sends the alerts. It imports no file of a source, so no such file can break it.
"""

from __future__ import annotations

import dagster as dg

from etl_assets.graph.runs.alert_sensor import alert_sensor
from etl_assets.graph.runs.location_sensor import location_sensor

defs = dg.Definitions(sensors=[alert_sensor({}), location_sensor()])
