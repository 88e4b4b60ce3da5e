"""Tables of real feeds are equal to those that are built again, and stay sound when these take their place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import Snapshot, doctor, rebuild
from etl_assets_tests.real_feeds import test_country_codes
from etl_assets_tests.real_feeds.taking import take, warehouse, with_real_feeds
from etl_assets_tests.real_feeds.test_fedach import FED_ACH

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
