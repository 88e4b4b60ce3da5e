"""Reading files that real publishers wrote. They lie in the folder that ETL_ASSETS_REAL_FEEDS names."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.landing.land import batches, land
from etl_assets.landing.store import LandingStore
from etl_assets.model.partitions import Partition
from etl_assets.schema import RECORD_NO

_FEEDS = Path(os.environ.get("ETL_ASSETS_REAL_FEEDS", ""))
pytestmark = pytest.mark.skipif(
    "ETL_ASSETS_REAL_FEEDS" not in os.environ, reason="ETL_ASSETS_REAL_FEEDS names no folder of real feeds"
)


def found(pattern: str) -> list[Path]:
    return sorted(_FEEDS.glob(pattern)) if "ETL_ASSETS_REAL_FEEDS" in os.environ else []


def named(path: Path) -> str:
    return path.name


def records(path: Path, format_: Csv) -> list[dict[str, str | None]]:
    read: list[dict[str, str | None]] = []
    for batch in format_.read(io.BytesIO(path.read_bytes()), path.name):
        assert batch.malformed.is_empty()
        read += batch.frame.drop(RECORD_NO).to_dicts()
    return read


_ODD = "location_coordinates"
"""Holds quotes within unquoted fields; its expectation is of another record."""


@pytest.mark.parametrize(
    "path", [path for path in found("torture/csv-spectrum/**/*.csv") if path.stem != _ODD], ids=named
)
def test_each_file_of_csv_spectrum_reads_as_it_should(path: Path) -> None:
    (expected,) = _FEEDS.glob(f"torture/csv-spectrum/**/{path.stem}.json")
    wanted = [
        {name: value or None for name, value in record.items()} for record in json.loads(expected.read_text("utf-8"))
    ]
    assert records(path, Csv()) == wanted


@pytest.mark.parametrize("path", found(f"torture/csv-spectrum/**/{_ODD}.csv"), ids=named)
def test_stray_quotes_are_read_when_nothing_is_quoted_and_rejected_otherwise(path: Path) -> None:
    (batch,) = Csv().read(io.BytesIO(path.read_bytes()), path.name)
    assert batch.malformed["rules"].to_list() == [["record__quoting"]]
    (record,) = records(path, Csv(quote=None))
    assert record["Cities"] == "Modesto"


@pytest.mark.parametrize("path", found("jhu_daily_reports/**/*.csv") + found("datahub_c*_codes/*.csv"), ids=named)
def test_published_tables_read_as_the_csv_module_reads_them(path: Path) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        wanted = [
            {name: value or None for name, value in record.items()} for record in csv.DictReader(file, strict=True)
        ]
    for format_ in (Csv(short_records=True), Csv(short_records=True, batch_bytes=4096)):
        assert records(path, format_) == wanted


@pytest.mark.parametrize("path", found("ecb_eurofxref_zip/**/*.zip"), ids=named)
def test_the_rates_of_the_ecb_land_with_their_nameless_last_column(path: Path, tmp_path: Path) -> None:
    extractor = FileExtractor(location=str(path), format=Csv(null=("N/A",)), member="*.csv", settle_seconds=0)
    store = LandingStore(str(tmp_path))
    manifest = land(extractor, Partition(), store)
    assert "" in manifest.names
    for batch in batches(extractor, store, manifest):
        assert batch.malformed.is_empty()
        assert batch.frame[""].null_count() == batch.frame.height
