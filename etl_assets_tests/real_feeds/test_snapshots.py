"""Three real feeds as snapshots: what is gone is deleted, and an empty, doubled or halved file deletes nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import Snapshot
from etl_assets.errors import TooManyDeletedError
from etl_assets.postgres.connection import connected
from etl_assets_tests.real_feeds import test_country_codes, test_currency_codes
from etl_assets_tests.real_feeds.taking import FEEDS, published, take, warehouse, with_real_feeds
from etl_assets_tests.real_feeds.test_fedach import FED_ACH, FEDWIRE, known_of, values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets.landing import Warehouse
    from etl_assets.source import Source

pytestmark = with_real_feeds


@pytest.fixture
def kept(postgres_url: str, tmp_path: Path) -> Iterator[Warehouse]:
    with warehouse(postgres_url, tmp_path / "landing") as made:
        yield made


def as_snapshot(source: Source) -> Source:
    return replace(source, write=Snapshot())


@pytest.mark.parametrize("source", [FED_ACH, FEDWIRE], ids=lambda source: source.name)
def test_a_directory_of_banks_has_exactly_the_records_of_its_newest_delivery(source: Source, kept: Warehouse) -> None:
    taken = take(as_snapshot(source), kept)
    _, second = taken.counts
    known, counts = known_of(taken)[second], taken.counts[second]
    found = (counts.inserted, counts.updated, counts.unchanged, counts.deleted)
    assert found == (known["ins"], known["upd"], known["same"], known["del"])
    assert {row[0] for row in taken.table} == {row[0] for row in values(source, second)}


def test_the_larger_directory_loses_1154_keys_gains_104_and_changes_3397(kept: Warehouse) -> None:
    counts = list(take(as_snapshot(FED_ACH), kept).counts.values())[-1]
    assert (counts.deleted, counts.inserted, counts.updated) == (1_154, 104, 3_397)


def test_half_a_directory_meets_the_brake_and_deletes_nothing(kept: Warehouse, tmp_path: Path) -> None:
    whole = FEEDS / "fedach_fixed_width" / "FedACHdir_2017-03-12.txt"
    folder = tmp_path / "published"
    folder.mkdir()
    shutil.copy(whole, folder / "FedACHdir_1.txt")
    lines = whole.read_bytes().splitlines(keepends=True)
    (folder / "FedACHdir_2.txt").write_bytes(b"".join(lines[: len(lines) // 2]))
    extractor = replace(FED_ACH.extractor, location=f"{folder}/FedACHdir_*.txt")  # type: ignore[call-arg]
    source = as_snapshot(replace(FED_ACH, extractor=extractor))
    with pytest.raises(TooManyDeletedError, match=f"of {len(lines)} rows"):
        take(source, kept)
    assert rows(source, kept) == len(lines)


def test_each_version_of_the_country_codes_leaves_exactly_its_own_countries(kept: Warehouse) -> None:
    taken = take(as_snapshot(test_country_codes.countries()), kept)
    for file, table in taken.tables.items():
        records = published(FEEDS / "datahub_country_codes" / file)
        valid = {row[0] for row in map(test_country_codes.row, records) if row is not None}
        assert {row[0] for row in table} == valid, file


def test_the_version_that_holds_the_file_twice_deletes_nothing(kept: Warehouse) -> None:
    taken = take(as_snapshot(test_country_codes.countries()), kept)
    assert taken.counts[test_country_codes.numbered(24)].deleted == 0


def test_the_empty_version_of_the_currency_codes_is_refused_and_deletes_nothing(
    kept: Warehouse, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    numbers = (8, 9)
    for number in numbers:
        shutil.copy(FEEDS / "datahub_currency_codes" / test_currency_codes.numbered(number), folder)
    whole = test_currency_codes.currencies()
    extractor = replace(whole.extractor, location=f"{folder}/*.csv")  # type: ignore[call-arg]
    source = as_snapshot(replace(whole, extractor=extractor))
    with pytest.raises(TooManyDeletedError, match="has no records, and the table has 445 rows"):
        take(source, kept)
    assert rows(source, kept) == 445


def rows(source: Source, kept: Warehouse) -> int:
    with connected(kept.url) as connection:
        row = connection.execute(f"SELECT count(*) FROM {source.table}".encode()).fetchone()
    return row[0] if row else 0
