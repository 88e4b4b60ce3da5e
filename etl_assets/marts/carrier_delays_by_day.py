"""How late each carrier departed and arrived, by day. An asset written by hand: a DataFrame in, a DataFrame out.

The IO manager reads only the columns that the input names. A month is one partition of this asset, as of the flights.
"""

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
    description="How late each carrier departed and arrived, by local day of departure.",
    partitions_def=partitions_definition(FLIGHTS.partitions, FLIGHTS.name),
    automation_condition=follow(),
    ins={
        "flights": dg.AssetIn(
            key=["core", "flights"],
            metadata={"columns": ["year", "month", "day", "carrier", "dep_delay", "arr_delay"]},
        )
    },
    metadata={
        "key": ["day", "carrier"],
        "write": "replace",
        LINEAGE: from_columns(
            {
                "day": ["core.flights.year", "core.flights.month", "core.flights.day"],
                "carrier": "core.flights.carrier",
                "cancelled": "core.flights.dep_delay",
                "departure_delay": "core.flights.dep_delay",
                "arrival_delay": "core.flights.arr_delay",
            }
        ),
    },
)
def carrier_delays_by_day(flights: pd.DataFrame) -> pd.DataFrame:
    """Count flights and cancellations, and average the delays in minutes, by day and carrier."""
    day = pd.to_datetime(flights[["year", "month", "day"]].astype("int64")).dt.date.rename("day")
    by_carrier = flights.assign(cancelled=flights["dep_delay"].isna()).groupby([day, "carrier"])
    return by_carrier.agg(
        flights=("carrier", "size"),
        cancelled=("cancelled", "sum"),
        departure_delay=("dep_delay", "mean"),
        arrival_delay=("arr_delay", "mean"),
    ).reset_index()
