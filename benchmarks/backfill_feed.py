"""The feed of the backfill: a compressed file of readings for each day, three of them bad, and the table they make.

The table is computed from the files by plain Python, which shares no code with the package. Each day publishes seven
eighths of the readings of the day before again, with other temperatures, so that days have keys in common.
"""

from __future__ import annotations

import csv
import gzip
import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

SOURCE: Final = "backfilled"
FIRST_DAY: Final = date(2023, 1, 1)
SEED: Final = 20230101
MAXIMUM: Final = 60.0
STRICTER: Final = 43.0
"""A maximum that about one reading in 30 is above."""

_DECLARATION: Final = """
from datetime import date

from etl_assets import Column, Csv, Daily, FileExtractor, Schema, Source

SOURCE = Source(
    name={name!r},
    description="Generated readings, one compressed file a day.",
    owner="team:benchmarks",
    extractor=FileExtractor(location={location!r}, format=Csv(), settle_seconds=0),
    schema=Schema(
        columns=(
            Column("reading_id", "integer", required=True),
            Column("day", "date", required=True),
            Column("station", "text", required=True),
            Column("temperature", "float", minimum=-60, maximum={maximum!r}),
        ),
        key=("reading_id",),
    ),
    partitions=Daily(date({first:%Y, %-m, %-d}), end=date({end:%Y, %-m, %-d}), per_run={per_run}),
    max_rejected=0.3,
    runs_at_once=4,
)
"""

_EMPTY_ARCHIVE: Final = b"PK\5\6" + bytes(18)
"""A zip archive without members."""

Row = tuple[int, date, str, float]


@dataclass(frozen=True)
class BackfillFeed:
    """A feed of some days.

    Attributes:
        folder: Where its files are.
        days: Number of days, from `FIRST_DAY` on; at least 4.
        cut: Whether the third bad file is cut short, which is tried again for two minutes. Otherwise it is an archive
            with nothing in it, which is refused at once.
        records: Number of records a day; a multiple of 8.
        per_run: How many days a run takes.
    """

    folder: Path
    days: int
    cut: bool
    records: int = 200
    per_run: int = 1

    @property
    def partitions(self) -> tuple[str, ...]:
        """The keys of its partitions, oldest first."""
        return tuple((FIRST_DAY + timedelta(days=number)).isoformat() for number in range(self.days))

    @property
    def bad(self) -> dict[str, str]:
        """The keys of the bad days, and for each the class of the error with which its run must fail."""
        quarters = (self.partitions[self.days * number // 4] for number in (1, 2, 3))
        unreadable = "DeliveryIncompleteError" if self.cut else "DeliveryError"
        return dict(zip(quarters, ("ShapeError", "TooManyRejectedError", unreadable), strict=True))

    def together(self, key: str) -> tuple[str, ...]:
        """Return the partitions that one run of the backfill takes, of which one has the key."""
        first = self.partitions.index(key) // self.per_run * self.per_run
        return self.partitions[first : first + self.per_run]

    def write(self) -> None:
        """Write the files: one lacks a required column, half of the records of one are bad, one is unreadable."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for number, key in enumerate(self.partitions):
            error = self.bad.get(key)
            lines = self._lines(number, key, bad_share=0.5 if error == "TooManyRejectedError" else 0.02)
            if error == "ShapeError":
                lines = [",".join(line.split(",")[:2] + line.split(",")[3:]) for line in lines]
            content = gzip.compress("".join(f"{line}\n" for line in lines).encode())
            if error == "DeliveryIncompleteError":
                content = content[: len(content) // 2]
            if error == "DeliveryError":
                content = _EMPTY_ARCHIVE
            (self.folder / f"{key}.csv.gz").write_bytes(content)

    def declaration(self, maximum: float) -> str:
        """The Python file that declares the source, with the highest temperature that it accepts."""
        return _DECLARATION.format(
            name=SOURCE,
            location=str(self.folder / "{key}.csv.gz"),
            maximum=maximum,
            first=FIRST_DAY,
            end=FIRST_DAY + timedelta(days=self.days),
            per_run=self.per_run,
        )

    def table(self, maximum: float) -> list[Row]:
        """The rows that the good files make, by key: of each reading the newest day's, if that is accepted."""
        rows: dict[int, Row] = {}
        for key in self.partitions:
            if key in self.bad:
                continue
            with gzip.open(self.folder / f"{key}.csv.gz", "rt", encoding="utf-8") as file:
                for record in csv.DictReader(file):
                    if record["temperature"] == "warm" or float(record["temperature"]) > maximum:
                        continue
                    reading, day = int(record["reading_id"]), date.fromisoformat(record["day"])
                    rows[reading] = (reading, day, record["station"], float(record["temperature"]))
        return sorted(rows.values())

    def _lines(self, number: int, key: str, bad_share: float) -> list[str]:
        """The lines of a day, from its header on."""
        chance = random.Random(f"{SEED} {key}")  # noqa: S311 -- no secret
        lines = ["reading_id,day,station,temperature"]
        for record in range(self.records):
            reading = number * (self.records // 8) + record
            degrees = "warm" if chance.random() < bad_share else f"{chance.randint(-200, 450) / 10}"
            lines.append(f"{reading},{key},STN{chance.randint(0, 999):03d},{degrees}")
        return lines
