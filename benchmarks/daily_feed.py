"""The benchmark's partitioned feed: one file of readings for each day, all good records.

Two sources read the same files. That of ``disjoint`` partitions has the day in its key and declares that it is cut by
it. That of ``any`` keys has a key without the day, so that a record of any day could have the key of any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import polars as pl

from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.model.partitions import Daily
from etl_assets.schema import Column, Schema
from etl_assets.source import Source

if TYPE_CHECKING:
    from pathlib import Path

FIRST_DAY: Final = date(2023, 1, 1)
SEED: Final = 20230101

Keys = Literal["disjoint", "any"]

_COLUMNS: Final = (
    Column("day", "date", required=True),
    Column("reading_id", "integer", required=True, minimum=0),
    Column("station", "text", required=True, pattern="[A-Z]{3}[0-9]{3}"),
    Column("temperature", "float", minimum=-90.0, maximum=60.0),
    Column("rain", "decimal", minimum=0, precision=6, scale=1),
    Column("remark", "text"),
)


@dataclass(frozen=True)
class Days:
    """A feed of some days.

    Attributes:
        folder: Where its files are.
        days: Number of days, from `FIRST_DAY` on.
        records: Number of records a day.
    """

    folder: Path
    days: int
    records: int

    @property
    def partitions(self) -> tuple[str, ...]:
        """The keys of its partitions, oldest first."""
        return tuple((FIRST_DAY + timedelta(days=number)).isoformat() for number in range(self.days))

    def write(self) -> None:
        """Write the files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for number, key in enumerate(self.partitions):
            self.publish(number, key)

    def publish(self, number: int, key: str, warmer: float = 0.0) -> None:
        """Write the file of one day.

        Args:
            number: Of the day, from 0; no two days have a ``reading_id`` in common.
            key: Of its partition.
            warmer: Degrees added to the temperature of one record in a hundred, as a publisher corrects a day.
        """
        random = np.random.default_rng([SEED, number])
        degrees = random.integers(-200, 350, self.records) / 10
        degrees[::100] += warmer
        frame = pl.DataFrame(
            {
                "day": [key] * self.records,
                "reading_id": np.arange(number * self.records, (number + 1) * self.records),
                "station": pl.Series([f"STN{code:03d}" for code in range(1000)]).gather(
                    random.integers(0, 1000, self.records)
                ),
                "temperature": degrees.round(1),
                "rain": (random.integers(0, 500, self.records) / 10).round(1),
                "remark": pl.Series(["dry", "calm", "gauge cleaned", "thunder in the afternoon"]).gather(
                    random.integers(0, 4, self.records)
                ),
            }
        )
        frame.write_csv(self.folder / f"{key}.csv")

    def source(self, keys: Keys) -> Source:
        """The feed as a source."""
        disjoint = keys == "disjoint"
        return Source(
            name=f"bench_days_{keys}",
            description="Generated readings, one file a day.",
            owner="team:benchmarks",
            extractor=FileExtractor(location=str(self.folder / "{key}.csv"), format=Csv(), settle_seconds=0),
            schema=Schema(_COLUMNS, key=("day", "reading_id") if disjoint else ("reading_id",)),
            partitions=Daily(FIRST_DAY, column="day" if disjoint else None),
        )
