"""A real publisher's folder, taken delivery by delivery; and what must become of it, computed by plain Python.

The oracle reads with the csv module, keeps the table in a dict and counts by hand. It shares nothing with the package
but the cut of a delivery into batches, since duplicates are counted within a batch.
"""

from __future__ import annotations

import csv
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import ingest, watch
from etl_assets.landing import LandingStore, Warehouse
from etl_assets.model.counts import Counts
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries, quarantine
from etl_assets.postgres.migrations import migrate
from etl_assets_tests.databases import fresh_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from etl_assets.ingest import Landed
    from etl_assets.load import LoadReport
    from etl_assets.model.check_result import CheckResult
    from etl_assets.source import Source
    from etl_assets.validate import Shape

    Row = tuple[Any, ...]
    Reader = Callable[[dict[str, str]], Row | None]

FEEDS = Path(os.environ.get("ETL_ASSETS_REAL_FEEDS", ""))
with_real_feeds = pytest.mark.skipif(
    "ETL_ASSETS_REAL_FEEDS" not in os.environ, reason="ETL_ASSETS_REAL_FEEDS names no folder of real feeds"
)


def ground_truth(feed: str) -> dict[str, dict[str, Any]]:
    """What is known of each file of a feed, by the file's name."""
    files = json.loads((FEEDS / feed / "GROUND_TRUTH.json").read_text("utf-8"))
    return {about["file"]: about for about in files}


@contextmanager
def warehouse(postgres_url: str, folder: Path) -> Iterator[Warehouse]:
    """A warehouse that lives as long as the block."""
    with fresh_database(postgres_url) as url:
        migrate(url)
        yield Warehouse(url, LandingStore(str(folder)))


@dataclass(frozen=True)
class Taken:
    """A feed after all its files were landed and loaded, in the order of their ranks."""

    source: Source
    warehouse: Warehouse
    landed: dict[str, Landed]
    shapes: dict[str, Shape]
    reports: dict[str, LoadReport]
    tables: dict[str, list[Row]]
    """The table's rows after each file, in the order of the schema."""
    monitored: dict[str, tuple[CheckResult, ...]]
    """What the monitors said of each file."""

    @property
    def counts(self) -> dict[str, Counts]:
        return {file: report.counts for file, report in self.reports.items()}

    @property
    def unmapped(self) -> dict[str, set[str]]:
        return {file: set(shape.unmapped) for file, shape in self.shapes.items()}

    @property
    def cuts(self) -> dict[str, list[int]]:
        """The number of records of each batch."""
        return {file: [span.records for span in landed.delivery.manifest.spans] for file, landed in self.landed.items()}

    @property
    def table(self) -> list[Row]:
        """The table's rows after the last file."""
        return list(self.tables.values())[-1]

    def anomalous(self, monitor: str) -> list[str]:
        """The files of which a monitor said that they are anomalous."""
        return [
            file
            for file, found in self.monitored.items()
            if any(not one.passed for one in found if one.name == monitor)
        ]

    def marks(self) -> list[Row]:
        """The table with its bookkeeping and the places of its rows on disk: any write at all changes it."""
        return _rows(self.source, self.warehouse, "*, ctid::text, xmin::text")

    def quarantined(self) -> set[tuple[str, int, tuple[str, ...]]]:
        """File, record number and broken rules of every rejected record."""
        with connected(self.warehouse.url) as connection:
            found = quarantine.find(connection, source=self.source.name)
        return {(record.partition, record.record_no, tuple(record.rules)) for record in found}

    def again(self) -> Taken:
        """The same files once more."""
        return take(self.source, self.warehouse)


def take(source: Source, warehouse: Warehouse) -> Taken:
    """Land and load every file of the feed, oldest first."""
    partitions = [source.partition(key) for key in source.extractor.list()]
    landed: dict[str, Landed] = {}
    shapes: dict[str, Shape] = {}
    reports: dict[str, LoadReport] = {}
    tables: dict[str, list[Row]] = {}
    monitored: dict[str, tuple[CheckResult, ...]] = {}
    for partition in sorted(partitions, key=lambda partition: partition.rank):
        landed[partition.key] = ingest.land(source, partition, warehouse)
        delivery = landed[partition.key].delivery
        watch.observe_delivery(source, delivery, warehouse)
        shapes[partition.key] = ingest.admit(source, delivery, warehouse)
        with connected(warehouse.url) as connection:
            delivery = deliveries.by_id(connection, delivery.id) or delivery
        reports[partition.key] = ingest.load(source, delivery, warehouse, "run")
        tables[partition.key] = _rows(source, warehouse, ", ".join(source.schema.names))
        with connected(warehouse.url) as connection:
            watch.conclude(connection, source, reports[partition.key].delivery)
            monitored[partition.key] = watch.examine(connection, source, reports[partition.key].delivery)
    return Taken(source, warehouse, landed, shapes, reports, tables, monitored)


def _rows(source: Source, warehouse: Warehouse, wanted: str) -> list[Row]:
    """The source's table, in the order of its key."""
    question = f"SELECT {wanted} FROM {source.table} ORDER BY {', '.join(source.schema.key)}"
    with connected(warehouse.url) as connection:
        return connection.execute(question.encode()).fetchall()


def published(path: Path) -> list[dict[str, str]]:
    """The records of a file as the csv module reads them."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@dataclass
class Oracle:
    """A table kept in a dict: the last version of each key stands.

    Attributes:
        read: Makes a row of a record, in the order of the schema; None for a record to be rejected.
        key: Where the key's values stand in a row.
    """

    read: Reader
    key: tuple[int, ...]
    table: dict[Row, Row] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    rejected: set[tuple[str, int]] = field(default_factory=set)
    tables: dict[str, set[Row]] = field(default_factory=dict)

    def take(self, path: Path, cut: Sequence[int]) -> None:
        """Keep what a file has, and count what becomes of it, batch by batch."""
        records = list(enumerate(published(path), start=1))
        counts = Counts()
        for records_of_batch in cut:
            batch, records = records[:records_of_batch], records[records_of_batch:]
            counts += self._batch(path.name, batch)
        assert not records
        self.counts[path.name] = counts
        self.tables[path.name] = set(self.table.values())

    def _batch(self, file: str, batch: Iterable[tuple[int, dict[str, str]]]) -> Counts:
        rows = {number: self.read(record) for number, record in batch}
        good = [row for row in rows.values() if row is not None]
        self.rejected |= {(file, number) for number, row in rows.items() if row is None}
        newest = {tuple(row[place] for place in self.key): row for row in good}
        new = [key for key in newest if key not in self.table]
        changed = [key for key, row in newest.items() if key in self.table and self.table[key] != row]
        self.table.update(newest)
        return Counts(
            read=len(rows),
            rejected=len(rows) - len(good),
            accepted=len(good),
            produced=len(good),
            inserted=len(new),
            updated=len(changed),
            unchanged=len(newest) - len(new) - len(changed),
            duplicate=len(good) - len(newest),
        )


def foretold(taken: Taken, folder: Path, oracle: Oracle) -> Oracle:
    """The oracle, shown every file in the order in which the feed was taken."""
    for file, cut in taken.cuts.items():
        oracle.take(folder / file, cut)
    return oracle
