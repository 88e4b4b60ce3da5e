"""Departure delays beside the weather at the airport, by hour. An asset written by hand over two sources."""

import dagster as dg
import pandas as pd

from etl_assets.graph.assets.column_lineage import LINEAGE, from_columns
from etl_assets.graph.partitions import partitions_definition
from etl_assets.graph.triggers.conditions import follow
from etl_assets.sources.flights import SOURCE as FLIGHTS


@dg.asset(
    key_prefix="marts",
    group_name=FLIGHTS.group,
    owners=["team:aviation"],
    kinds={"postgres", "pandas"},
    description="Departure delays beside the weather at the airport of departure, by hour (UTC).",
    partitions_def=partitions_definition(FLIGHTS.partitions, FLIGHTS.name),
    automation_condition=follow(),
    ins={
        "flights": dg.AssetIn(key=["core", "flights"], metadata={"columns": ["origin", "time_hour", "dep_delay"]}),
        "weather": dg.AssetIn(
            key=["core", "weather"],
            metadata={"columns": ["origin", "time_hour", "wind_speed", "visibility", "precipitation"]},
        ),
    },
    metadata={
        "key": ["origin", "time_hour"],
        "write": "replace",
        LINEAGE: from_columns(
            {
                "origin": "core.flights.origin",
                "time_hour": "core.flights.time_hour",
                "departure_delay": "core.flights.dep_delay",
                "wind_speed": "core.weather.wind_speed",
                "visibility": "core.weather.visibility",
                "precipitation": "core.weather.precipitation",
            }
        ),
    },
)
def delays_against_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Average the delays of each hour and add the weather of that hour; keep hours without weather."""
    hours = flights.groupby(["origin", "time_hour"]).agg(
        flights=("dep_delay", "size"), departure_delay=("dep_delay", "mean")
    )
    return hours.join(weather.set_index(["origin", "time_hour"])).reset_index()
