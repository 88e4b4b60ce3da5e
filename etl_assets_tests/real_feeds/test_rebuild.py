"""Real feeds are built again: nothing differs from what was loaded, before and after the swap."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from etl_assets import Snapshot, Upsert, doctor, rebuild
from etl_assets.postgres.connection import connected
from etl_assets_tests.real_feeds import test_country_codes, test_currency_codes, test_jhu_daily_reports
from etl_assets_tests.real_feeds.taking import take, warehouse, with_real_feeds
from etl_assets_tests.real_feeds.test_fedach import FED_ACH

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.load.writers import Writer
    from etl_assets.source import Source

pytestmark = with_real_feeds

CASES = [
    (FED_ACH, Snapshot()),
    (test_country_codes.countries(), Snapshot(max_deleted=1.0)),
    (test_currency_codes.currencies(), Upsert()),
    (test_jhu_daily_reports.reports(), Upsert()),
]


@pytest.mark.parametrize(("declared", "mode"), CASES, ids=[f"{source.name} {mode}" for source, mode in CASES])
def test_a_rebuild_of_a_real_feed_differs_in_nothing(
    declared: Source, mode: Writer, postgres_url: str, tmp_path: Path
) -> None:
    source = replace(declared, max_rejected=1.0, write=mode)
    with warehouse(postgres_url, tmp_path) as kept:
        table = take(source, kept).table
        verified = rebuild.verify(source, kept, "rebuild")
        assert (verified.differing, verified.equal, verified.notes) == (0, len(table), ())
        rebuild.swap(source, kept, "rebuild")
        columns, key = ", ".join(source.schema.names), ", ".join(source.schema.key)
        with connected(kept.url) as connection:
            question = f"SELECT {columns} FROM {source.table} ORDER BY {key}"
            assert connection.execute(question.encode()).fetchall() == table
        assert doctor.examine(kept, [source]) == []
