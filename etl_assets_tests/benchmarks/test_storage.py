"""The measurement of what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.lab import Lab
from benchmarks.server import Databases
from benchmarks.storage import Growth, measure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_the_growth_of_tables_and_landing_store_is_divided_by_what_was_done(postgres_url: str, tmp_path: Path) -> None:
    with Lab(Databases(postgres_url), tmp_path, print).open() as lab:
        narrow, wide, again, large, half = measure(lab, runs=2, records=1_000, warm=1)
    assert 50 < narrow.tables["events, their number"] < wide.tables["events, their number"]
    assert again.tables["events, their number"] < narrow.tables["events, their number"] / 10
    assert narrow.landing > 100 * 90
    assert again.landing == 0
    assert 100 < large.tables["core.many"] < 400
    assert half.tables["etl.rejected"] > 500


def test_the_largest_place_is_the_first_row() -> None:
    growth = Growth("a load", "run", {"etl.batch": 400.0, "etl.run": 1_000.0, "etl.fence": 3.0}, landing=50.0)
    assert [row[2:] for row in growth.rows()] == [("etl.run", "1,000"), ("etl.batch", "400"), ("landing store", "50")]
