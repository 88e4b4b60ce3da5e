"""Tables of real feeds are equal to those that are built again, and stay sound when these take their place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import History, Snapshot, doctor, rebuild
from etl_assets.postgres.connection import connected
from etl_assets_tests.real_feeds import test_country_codes
from etl_assets_tests.real_feeds.taking import take, warehouse, with_real_feeds
from etl_assets_tests.real_feeds.test_fedach import FED_ACH
from etl_assets_tests.real_feeds.test_histories import WHOLE, as_of, day, load_all

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.source import Source

pytestmark = with_real_feeds


@pytest.mark.parametrize(
    "source",
    [FED_ACH, replace(FED_ACH, write=Snapshot()), test_country_codes.countries(50_000)],
    ids=["fed_ach", "fed_ach_snapshot", "countries"],
)
def test_a_rebuilt_table_is_equal_and_takes_the_place_of_the_old_one(
    source: Source, postgres_url: str, tmp_path: Path
) -> None:
    with warehouse(postgres_url, tmp_path / "landing") as kept:
        taken = take(source, kept)
        found = rebuild.verify(source, kept, "rebuild")
        assert (found.equal, found.differing, found.notes) == (len(taken.table), 0, ())
        rebuild.swap(source, kept, "rebuild")
        assert doctor.examine(kept, [source]) == []
        assert doctor.reread(kept, [source]).violations == []


@pytest.mark.parametrize("snapshot", [None, WHOLE], ids=["upsert", "snapshot"])
def test_a_rebuilt_history_is_equal_and_becomes_a_table_and_a_history_again(
    snapshot: Snapshot | None, postgres_url: str, tmp_path: Path
) -> None:
    source = replace(FED_ACH, write=History(snapshot=snapshot, dated=day))
    files = sorted(source.extractor.list(), key=lambda file: file[::-1])
    with warehouse(postgres_url, tmp_path / "landing") as kept:
        load_all(source, kept, files)
        before = {file: as_of(source, kept, day(file)) for file in files}
        with connected(kept.url) as connection:
            (rows,) = connection.execute(f"SELECT count(*) FROM {source.stored_table}".encode()).fetchone() or (0,)
        found = rebuild.verify(source, kept, "rebuild")
        assert (found.equal, found.differing, found.notes) == (rows, 0, ())
        for declared in (source, replace(FED_ACH, write=snapshot or FED_ACH.write), source):
            rebuild.swap(declared, kept, "rebuild")
            assert doctor.examine(kept, [declared]) == []
            assert doctor.reread(kept, [declared]).violations == []
        assert {file: as_of(source, kept, day(file)) for file in files} == before
