"""The daily reports of Johns Hopkins University on COVID-19: 23 days of 2020, with everything that changed meanwhile.

A place is a key, the newest report of it wins.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from etl_assets.doctor import examine
from etl_assets.extract.base import BATCH_BYTES
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.model.partitions import Files
from etl_assets.model.rule import UNTERMINATED
from etl_assets.schema import Column, Schema
from etl_assets.source import Source
from etl_assets_tests.real_feeds.taking import (
    FEEDS,
    Oracle,
    foretold,
    ground_truth,
    published,
    take,
    warehouse,
    with_real_feeds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets_tests.real_feeds.taking import Row, Taken

pytestmark = with_real_feeds
_FEED = "jhu_daily_reports"
_NOWHERE = "-"
_FORMATS = ("%-m/%-d/%Y %-H:%M", "%-m/%-d/%y %-H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")
_RENAMED = {
    "Country_Region": "Country/Region",
    "Province_State": "Province/State",
    "Last_Update": "Last Update",
    "Lat": "Latitude",
    "Long_": "Longitude",
}
_CSV = Csv(unterminated="report")
_UNKNOWN = {"Incidence_Rate", "Case-Fatality_Ratio"}


def by_day(name: str) -> str:
    """``03-22-2020.csv`` as ``2020-03-22``."""
    return f"{name[6:10]}-{name[:5]}"


SCHEMA = Schema(
    columns=(
        Column("country", "text", required=True, published_as=("Country_Region", "Country/Region"), strip=True),
        Column(
            "province",
            "text",
            required=True,
            published_as=("Province_State", "Province/State"),
            default=_NOWHERE,
            strip=True,
        ),
        Column("county", "text", required=True, published_as="Admin2", default=_NOWHERE),
        Column("fips", "text", published_as="FIPS", pattern="[0-9]{2,5}"),
        Column("updated_at", "timestamp", published_as=("Last_Update", "Last Update"), formats=_FORMATS, zone="UTC"),
        Column("latitude", "float", published_as=("Lat", "Latitude"), minimum=-90, maximum=90),
        Column("longitude", "float", published_as=("Long_", "Longitude"), minimum=-180, maximum=180),
        Column("confirmed", "integer", published_as="Confirmed"),
        Column("deaths", "integer", published_as="Deaths"),
        Column("recovered", "integer", published_as="Recovered"),
        Column("active", "integer", published_as="Active"),
    ),
    key=("country", "province", "county"),
    ignored=("Combined_Key",),
)


def row(record: dict[str, str]) -> Row:
    """What a record must become, computed without the package."""

    def cell(name: str) -> str:
        return record.get(name, record.get(_RENAMED.get(name, ""), ""))

    def number(name: str) -> int | None:
        return int(cell(name)) if cell(name) else None

    def degrees(name: str) -> float | None:
        return float(cell(name)) if cell(name) else None

    return (
        cell("Country_Region").strip(),
        cell("Province_State").strip() or _NOWHERE,
        cell("Admin2") or _NOWHERE,
        cell("FIPS") or None,
        moment(cell("Last_Update")),
        degrees("Lat"),
        degrees("Long_"),
        number("Confirmed"),
        number("Deaths"),
        number("Recovered"),
        number("Active"),
    )


def moment(text: str) -> datetime:
    """A time of day and its date, with the year first or last, of four digits or two."""
    day, clock = text.replace("T", " ").split(" ")
    if "/" in day:
        month, day_of_month, year = map(int, day.split("/"))
        year = year if year > 99 else 2000 + year
    else:
        year, month, day_of_month = map(int, day.split("-"))
    hour, minute, second = map(int, f"{clock}:0".split(":")[:3])
    return datetime(year, month, day_of_month, hour, minute, second, tzinfo=UTC)


def reports(format_: Csv = _CSV) -> Source:
    """The source, read so."""
    return Source(
        name=_FEED,
        description="Cases of COVID-19 by place; the newest report of each.",
        owner="team:health",
        extractor=FileExtractor(location=f"{FEEDS / _FEED}/*.csv", format=format_, settle_seconds=0),
        schema=SCHEMA,
        partitions=Files(rank=by_day),
    )


@pytest.fixture(scope="module", params=[BATCH_BYTES, 100_000], ids=["whole", "cut"])
def taken(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Taken]:
    with warehouse(postgres_url, tmp_path_factory.mktemp("landing")) as kept:
        yield take(reports(replace(_CSV, batch_bytes=request.param)), kept)


@pytest.fixture(scope="module")
def oracle(taken: Taken) -> Oracle:
    return foretold(taken, FEEDS / _FEED, Oracle(row, key=(0, 1, 2)))


def test_every_day_is_taken_with_all_its_records(taken: Taken) -> None:
    known = ground_truth(_FEED)
    assert {file: counts.read for file, counts in taken.counts.items()} == {
        file: about["rows"] for file, about in known.items()
    }


def test_what_becomes_of_each_days_records_is_what_a_dict_says(taken: Taken, oracle: Oracle) -> None:
    assert taken.counts == oracle.counts


def test_no_record_is_rejected_whatever_the_day_left_empty_or_corrected_below_zero(taken: Taken) -> None:
    assert taken.quarantined() == set()
    known = ground_truth(_FEED).values()
    assert sum(about["empty_counts"] for about in known) > 0
    assert sum(about["negative_counts"] for about in known) > 0


@pytest.mark.parametrize("taken", [BATCH_BYTES], ids=["whole"], indirect=True)
def test_the_place_that_a_day_names_twice_is_one_row(taken: Taken) -> None:
    named_twice = {file: about["dup_natural_key"] for file, about in ground_truth(_FEED).items()}
    assert named_twice["03-22-2020.csv"] == 1
    assert {file: counts.duplicate for file, counts in taken.counts.items()} == named_twice


def test_after_each_day_the_table_has_the_newest_report_of_each_place(taken: Taken, oracle: Oracle) -> None:
    for file, rows in taken.tables.items():
        assert len(rows) == len(oracle.tables[file])
        assert set(rows) == oracle.tables[file], file


def test_each_place_is_inserted_once(taken: Taken, oracle: Oracle) -> None:
    assert sum(counts.inserted for counts in taken.counts.values()) == len(oracle.table)


def test_drift_is_what_the_publisher_added_and_the_declaration_does_not_know(taken: Taken) -> None:
    assert taken.unmapped == {file: _UNKNOWN & set(about["columns"]) for file, about in ground_truth(_FEED).items()}
    assert any(taken.unmapped.values())


def test_a_padded_country_is_the_country(taken: Taken) -> None:
    padded = {
        record["Country/Region"]
        for record in published(FEEDS / _FEED / "02-28-2020.csv")
        if record["Country/Region"] != record["Country/Region"].strip()
    }
    assert len(padded) == 1
    countries = {country for country, *_ in taken.table}
    assert {country.strip() for country in padded} <= countries
    assert not padded & countries


def test_codes_stay_texts_as_published_leading_zeros_or_not(taken: Taken) -> None:
    last = {code for record in published(FEEDS / _FEED / "07-27-2020.csv") if (code := record["FIPS"])}
    codes = {row[3] for row in taken.table}
    assert last <= codes
    assert {len(code) for code in last} == {2, 4, 5}


def test_by_default_the_last_record_of_a_day_without_a_last_line_end_waits_and_no_other(
    postgres_url: str, tmp_path: Path
) -> None:
    with warehouse(postgres_url, tmp_path) as kept:
        quarantined = take(reports(Csv()), kept).quarantined()
    assert quarantined == {
        (path.name, len(published(path)), (UNTERMINATED,))
        for path in (FEEDS / _FEED).glob("*.csv")
        if not path.read_bytes().endswith(b"\n")
    }


def test_the_doctor_finds_nothing_wrong_afterwards(taken: Taken) -> None:
    assert examine(taken.warehouse) == []


@pytest.mark.parametrize("taken", [BATCH_BYTES], ids=["whole"], indirect=True)
def test_taking_everything_again_writes_nothing(taken: Taken) -> None:
    before = taken.marks()
    again = taken.again()
    assert not any(landed.new for landed in again.landed.values())
    assert {report.status for report in again.reports.values()} == {"unchanged"}
    assert taken.marks() == before


def test_volume_tells_the_day_that_counties_came(taken: Taken) -> None:
    assert taken.anomalous("volume") == ["03-22-2020.csv"]
