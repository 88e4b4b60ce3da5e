"""Seven releases of the European Central Bank's euro rates: the whole history each time, read by the bundled source."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from etl_assets.doctor import examine
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.model.partitions import Files
from etl_assets.sources.fx_rates import SOURCE
from etl_assets_tests.real_feeds.taking import FEEDS, ground_truth, take, warehouse, with_real_feeds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from etl_assets.source import Source
    from etl_assets_tests.real_feeds.taking import Taken

pytestmark = with_real_feeds
_FEED = "ecb_eurofxref_zip"


def releases() -> Source:
    """The bundled source, over the releases as files."""
    extractor = FileExtractor(
        location=f"{FEEDS / _FEED}/*.zip",
        format=Csv(null=("N/A",), unterminated="report", batch_bytes=700_000),
        member="*.csv",
        settle_seconds=0,
    )
    return replace(SOURCE, extractor=extractor, partitions=Files(), trigger=None)


@pytest.fixture(scope="module")
def taken(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    with warehouse(postgres_url, tmp_path_factory.mktemp("landing")) as kept:
        yield take(releases(), kept)


def rates(file: str) -> dict[tuple[str, str], Decimal]:
    """Day and currency to rate, as the csv module reads them."""
    with zipfile.ZipFile(FEEDS / _FEED / file) as archive:
        text = archive.read("eurofxref-hist.csv").decode()
    return {
        (record["Date"], currency): Decimal(rate)
        for record in csv.DictReader(io.StringIO(text))
        for currency, rate in record.items()
        if currency not in ("", "Date") and rate != "N/A"
    }


def test_every_release_is_taken_with_all_its_days_and_all_its_rates(taken: Taken) -> None:
    told = {file: (about["rows"], 0, 0, about["cells_value"]) for file, about in ground_truth(_FEED).items()}
    assert {file: (c.read, c.rejected, c.filtered, c.produced) for file, c in taken.counts.items()} == told


def test_a_release_inserts_its_new_rates_and_leaves_all_others_as_they_are(taken: Taken) -> None:
    before: dict[tuple[str, str], Decimal] = {}
    for file, counts in taken.counts.items():
        now = rates(file)
        new = now.keys() - before.keys()
        changed = {key for key in now.keys() & before.keys() if now[key] != before[key]}
        unchanged = len(now) - len(new) - len(changed)
        assert (counts.inserted, counts.updated, counts.unchanged) == (len(new), len(changed), unchanged), file
        before |= now


def test_the_table_holds_every_rate_ever_published_exactly(taken: Taken) -> None:
    expected: dict[tuple[str, str], Decimal] = {}
    for file in taken.counts:
        expected |= rates(file)
    table: dict[tuple[date, str], Decimal] = {(day, currency): rate for day, currency, rate in taken.table}
    assert {(day.isoformat(), currency): rate for (day, currency), rate in table.items()} == expected


def test_the_nameless_last_column_is_no_drift(taken: Taken) -> None:
    assert not any(taken.unmapped.values())


def test_the_doctor_finds_nothing_wrong_afterwards(taken: Taken) -> None:
    assert examine(taken.warehouse) == []


def test_taking_everything_again_writes_nothing(taken: Taken) -> None:
    marks = taken.marks()
    assert {report.status for report in taken.again().reports.values()} == {"unchanged"}
    assert taken.marks() == marks


def test_no_release_has_a_strange_number_of_days(taken: Taken) -> None:
    assert taken.anomalous("volume") == []
