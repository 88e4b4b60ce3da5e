"""Real feeds as histories: as of each delivery the rows are those that it left, in whatever order all were loaded."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from etl_assets import History, Snapshot, Upsert, doctor, ingest, watch
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets_tests.real_feeds import test_country_codes, test_currency_codes, test_jhu_daily_reports
from etl_assets_tests.real_feeds.taking import take, warehouse, with_real_feeds
from etl_assets_tests.real_feeds.test_fedach import FED_ACH, FEDWIRE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from etl_assets.landing import Warehouse
    from etl_assets.load.writers import Writer
    from etl_assets.source import Source
    from etl_assets_tests.real_feeds.taking import Row

pytestmark = with_real_feeds

WHOLE = Snapshot(max_deleted=1.0)
COUNTRIES = test_country_codes.countries()
CASES = [
    (FED_ACH, Upsert()),
    (FED_ACH, WHOLE),
    (FEDWIRE, WHOLE),
    (COUNTRIES, Upsert()),
    (COUNTRIES, WHOLE),
    (test_currency_codes.currencies(), Upsert()),
    (test_jhu_daily_reports.reports(), Upsert()),
]
"""Sources, and the mode that leaves the same rows after each delivery, loaded in order."""


def day(name: str) -> date:
    """Return the day in a name like ``01-22-2020.csv`` or ``x_2020-01-22.txt``; for ``0001_x.csv``, a first day."""
    if found := re.match(r"(\d{2})-(\d{2})-(\d{4})", name):
        return date(int(found[3]), int(found[1]), int(found[2]))
    if found := re.search(r"\d{4}-\d{2}-\d{2}", name):
        return date.fromisoformat(found[0])
    return date(2000, 1, 1) + timedelta(days=int(name[:4]))


def load_all(source: Source, kept: Warehouse, order: Sequence[str]) -> None:
    """Land every file in the order of ranks, and load them in another."""
    for partition in sorted(map(source.partition, source.extractor.list()), key=lambda partition: partition.rank):
        watch.observe_delivery(source, ingest.land(source, partition, kept).delivery, kept)
    for key in order:
        with connected(kept.url) as connection:
            delivery = deliveries.newest(connection, source.name, key)
        assert delivery is not None
        ingest.load(source, delivery, kept, "run", accept_deletes=True)


def as_of(source: Source, kept: Warehouse, at: date) -> list[Row]:
    columns, key = ", ".join(source.schema.names), ", ".join(source.schema.key)
    question = f"SELECT {columns} FROM {source.table}_as_of('{at:%Y-%m-%d}T00:00Z') ORDER BY {key}"
    with connected(kept.url) as connection:
        return connection.execute(question.encode()).fetchall()


@pytest.mark.parametrize("order", ["newest first", "mixed"])
@pytest.mark.parametrize(("declared", "mode"), CASES, ids=[f"{source.name} {mode}" for source, mode in CASES])
def test_as_of_each_delivery_the_rows_are_those_that_it_left(
    declared: Source, mode: Writer, order: str, postgres_url: str, tmp_path: Path
) -> None:
    source = replace(declared, max_rejected=1.0)
    with warehouse(postgres_url, tmp_path / "plain") as plain:
        tables = take(replace(source, write=mode), plain).tables
    files = list(reversed(tables)) if order == "newest first" else sorted(tables, key=lambda file: file[::-1])
    with warehouse(postgres_url, tmp_path / "history") as kept:
        history = replace(source, write=History(snapshot=WHOLE if mode == WHOLE else None, dated=day))
        load_all(history, kept, files)
        assert {file: as_of(history, kept, day(file)) for file in tables} == tables
        assert doctor.examine(kept, [history]) == []
