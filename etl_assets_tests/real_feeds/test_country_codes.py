"""Country codes as datahub.io publishes them: 46 versions in twelve years, one of them sent twice in one file.

A country is a key, the newest version of it wins; what has no code is no country.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from etl_assets.doctor import examine
from etl_assets.extract.base import BATCH_BYTES
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.model.partitions import Files
from etl_assets.schema import Column, Schema
from etl_assets.source import Source
from etl_assets_tests.real_feeds.taking import (
    FEEDS,
    Oracle,
    foretold,
    ground_truth,
    take,
    warehouse,
    with_real_feeds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.real_feeds.taking import Row, Taken

pytestmark = with_real_feeds
_FEED = "datahub_country_codes"
_SENT_TWICE = 24
_MARK_IN_A_NAME = 25
_IGNORED = (
    *("ITU", "MARC", "WMO", "DS", "FIFA", "FIPS", "GAUL", "IOC", "EDGAR"),
    *("ISO4217-currency_country_name", "ISO4217-currency_minor_unit", "ISO4217-currency_numeric_code"),
    *("currency_country_name", "currency_minor_unit", "currency_numeric_code"),
    *(f"official_name_{language}" for language in ("ar", "cn", "es", "ru")),
    *(
        f"UNTERM {language} {form}"
        for language in ("Arabic", "Chinese", "English", "French", "Russian", "Spanish")
        for form in ("Formal", "Short")
    ),
    *("Global Code", "Global Name", "Intermediate Region Code", "Intermediate Region Name", "Region Code"),
    *("Sub-region Code", "Sub-region Name", "Land Locked Developing Countries (LLDC)"),
    *("Least Developed Countries (LDC)", "Small Island Developing States (SIDS)", "Developed / Developing Countries"),
)
_NAMES_OVER_TIME = {
    "alpha_3": ("ISO3166-1-Alpha-3",),
    "alpha_2": ("ISO3166-1-Alpha-2",),
    "number": ("ISO3166-1-numeric", "M49"),
    "name": ("CLDR display name", "name"),
    "official_name": ("official_name_en", "official_name"),
    "official_name_fr": ("official_name_fr", "name_fr"),
    "currency": ("ISO4217-currency_alphabetic_code", "currency_alphabetic_code"),
    "currency_name": ("ISO4217-currency_name", "currency_name"),
    "dial": ("Dial",),
    "is_independent": ("is_independent",),
    "capital": ("Capital",),
    "continent": ("Continent",),
    "region": ("Region Name",),
    "domain": ("TLD",),
    "languages": ("Languages",),
    "geoname_id": ("Geoname ID", "geonameid"),
}


def named(name: str) -> tuple[str, ...]:
    return _NAMES_OVER_TIME[name]


SCHEMA = Schema(
    columns=(
        Column("alpha_3", "text", required=True, published_as=named("alpha_3"), pattern="[A-Z]{3}"),
        Column("alpha_2", "text", published_as=named("alpha_2"), pattern="[A-Z]{2}"),
        Column("number", "integer", published_as=named("number"), minimum=1, maximum=999),
        Column("name", "text", published_as=named("name")),
        Column("official_name", "text", published_as=named("official_name")),
        Column("official_name_fr", "text", published_as=named("official_name_fr")),
        Column("currency", "text", published_as=named("currency")),
        Column("currency_name", "text", published_as=named("currency_name")),
        Column("dial", "text", published_as=named("dial")),
        Column("is_independent", "text", published_as=named("is_independent")),
        Column("capital", "text", published_as=named("capital")),
        Column(
            "continent", "text", published_as=named("continent"), allowed=("AF", "AN", "AS", "EU", "NA", "OC", "SA")
        ),
        Column("region", "text", published_as=named("region")),
        Column("domain", "text", published_as=named("domain")),
        Column("languages", "text", published_as=named("languages")),
        Column("geoname_id", "integer", published_as=named("geoname_id"), minimum=1),
    ),
    key=("alpha_3",),
    ignored=_IGNORED,
)


def row(record: dict[str, str]) -> Row | None:
    """What a record must become, computed without the package; None where it is no country."""
    cells = [
        next((record[name] for name in names if name in record), "") or None for names in _NAMES_OVER_TIME.values()
    ]
    if not re.fullmatch("[A-Z]{3}", cells[0] or ""):
        return None
    numbers = {list(_NAMES_OVER_TIME).index(name) for name in ("number", "geoname_id")}
    return tuple(int(cell) if cell and place in numbers else cell for place, cell in enumerate(cells))


def numbered(number: int) -> str:
    """The file of that number."""
    return next(file for file in ground_truth(_FEED) if file.startswith(f"{number:04}_"))


def countries(batch_bytes: int = BATCH_BYTES) -> Source:
    """The source, read in batches of that size."""
    return Source(
        name=_FEED,
        description="Codes and names of countries; the newest version of each.",
        owner="team:reference",
        extractor=FileExtractor(
            location=f"{FEEDS / _FEED}/*.csv", format=Csv(batch_bytes=batch_bytes), settle_seconds=0
        ),
        schema=SCHEMA,
        partitions=Files(),
        max_rejected=0.01,
    )


@pytest.fixture(scope="module", params=[BATCH_BYTES, 50_000], ids=["whole", "cut"])
def taken(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Taken]:
    with warehouse(postgres_url, tmp_path_factory.mktemp("landing")) as kept:
        yield take(countries(request.param), kept)


@pytest.fixture(scope="module")
def oracle(taken: Taken) -> Oracle:
    return foretold(taken, FEEDS / _FEED, Oracle(row, key=(0,)))


def test_every_version_is_taken_with_all_its_records(taken: Taken) -> None:
    assert {file: counts.read for file, counts in taken.counts.items()} == {
        file: about["rows"] for file, about in ground_truth(_FEED).items()
    }


def test_what_becomes_of_each_versions_records_is_what_a_dict_says(taken: Taken, oracle: Oracle) -> None:
    assert taken.counts == oracle.counts


def test_after_each_version_the_table_has_the_newest_of_each_country(taken: Taken, oracle: Oracle) -> None:
    for file, rows in taken.tables.items():
        assert len(rows) == len(oracle.tables[file])
        assert set(rows) == oracle.tables[file], file


def test_records_without_a_code_are_rejected_and_no_others(taken: Taken, oracle: Oracle) -> None:
    assert {(file, number) for file, number, _ in taken.quarantined()} == oracle.rejected
    headers = {numbered(_SENT_TWICE): 1}
    assert {file: counts.rejected for file, counts in taken.counts.items()} == {
        file: about["null_key_rows"] + headers.get(file, 0) for file, about in ground_truth(_FEED).items()
    }


def test_the_header_in_the_middle_of_a_file_is_rejected_for_all_that_it_breaks(taken: Taken) -> None:
    broken = {number: rules for file, number, rules in taken.quarantined() if file == numbered(_SENT_TWICE)}
    assert sorted(broken) == [195, 251, 445]
    assert set(broken[251]) == {
        "alpha_3__pattern",
        "alpha_2__pattern",
        "number__type",
        "continent__allowed",
        "geoname_id__type",
    }
    assert broken[195] == broken[445] == ("alpha_3__required",)


@pytest.mark.parametrize("taken", [BATCH_BYTES], ids=["whole"], indirect=True)
def test_a_file_joined_to_itself_counts_every_country_once_and_once_as_a_duplicate(taken: Taken) -> None:
    counts = taken.counts[numbered(_SENT_TWICE)]
    assert (counts.read, counts.rejected, counts.duplicate) == (501, 3, 249)
    assert counts.inserted + counts.updated + counts.unchanged == 249


@pytest.mark.parametrize("taken", [BATCH_BYTES], ids=["whole"], indirect=True)
def test_countries_named_twice_are_duplicates(taken: Taken) -> None:
    known = ground_truth(_FEED)
    assert {file: counts.duplicate for file, counts in taken.counts.items()} == {
        file: about["rows"] - counts.rejected - (about["distinct_keys"] - (about["null_key_rows"] > 0) - header)
        for (file, about), counts in zip(known.items(), taken.counts.values(), strict=True)
        for header in [file == numbered(_SENT_TWICE)]
    }


def test_a_mark_within_the_header_is_drift_and_shifts_no_column(taken: Taken, oracle: Oracle) -> None:
    marked = numbered(_MARK_IN_A_NAME)
    assert "\ufeffGlobal Code" in taken.unmapped[marked]
    assert "Global Code" not in taken.landed[marked].delivery.manifest.names
    assert set(taken.tables[marked]) == oracle.tables[marked]


def test_drift_is_what_the_publisher_added_and_the_declaration_does_not_know(taken: Taken) -> None:
    drift = {
        "M49": range(20, 47),  # beside the name that the column is also published under, and counts first
        "\ufeffGlobal Code": range(_MARK_IN_A_NAME, _MARK_IN_A_NAME + 1),
        "wikidata_id": range(31, 47),
    }
    assert list(taken.unmapped.values()) == [
        {name for name, numbers in drift.items() if number in numbers} for number in range(1, 47)
    ]


def test_na_is_namibia_and_north_america(taken: Taken) -> None:
    alpha_2, continent = SCHEMA.names.index("alpha_2"), SCHEMA.names.index("continent")
    table = {country[0]: country for country in taken.table}
    assert table["NAM"][alpha_2] == "NA"
    assert sum(country[continent] == "NA" for country in table.values()) == 41


def test_the_doctor_finds_nothing_wrong_afterwards(taken: Taken) -> None:
    assert examine(taken.warehouse) == []


@pytest.mark.parametrize("taken", [BATCH_BYTES], ids=["whole"], indirect=True)
def test_taking_everything_again_writes_nothing(taken: Taken) -> None:
    before = taken.marks()
    again = taken.again()
    assert not any(landed.new for landed in again.landed.values())
    assert {report.status for report in again.reports.values()} == {"unchanged"}
    assert taken.marks() == before


def test_the_version_that_holds_the_file_twice_is_reported_by_volume_and_no_other_is(taken: Taken) -> None:
    assert taken.anomalous("volume") == [numbered(_SENT_TWICE)]
