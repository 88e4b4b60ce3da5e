"""A generated feed of `benchmarks.costs`: its declaration as a file, and its deliveries, of any width and size.

The cells follow from the number of a record and the version of a delivery alone, so that two deliveries of the same
records and version are equal, and of another version differ in every record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FIRST_DAY: Final = date(2024, 1, 1)
_LAST_DAY: Final = date(2031, 1, 1)
_CELLS: Final = 1_000_000
"""How many cells are made at a time, so that the process that measures stays small."""
_KINDS: Final = {
    "text": 'pattern="{pattern}"',
    "integer": "maximum=1_000_000",
    "decimal": "minimum=0",
    "date": "minimum=date(2000, 1, 1)",
    "float": "minimum=0.0",
}
"""The types of the columns, which follow each other, and the rule that each can have."""
_PATTERN: Final = "[A-Z]{3}-[0-9]{4}"
_LOOSE_PATTERN: Final = "[A-Za-z]{2,3}-[0-9]{4}"
_CODES: Final = pl.Series([f"ABC-{number:04d}" for number in range(10_000)])
_BAD_CODES: Final = pl.Series([f"ab-{number:04d}" for number in range(10_000)])
_AMOUNTS: Final = pl.Series([f"{number // 100}.{number % 100:02d}" for number in range(10_000)])
_DATES: Final = pl.Series([(date(2001, 1, 1) + timedelta(days=number)).isoformat() for number in range(8_000)])
_PARTITIONS: Final = {
    "": "None",
    "days": f"Daily(date({FIRST_DAY:%Y, %-m, %-d}), end=date({_LAST_DAY:%Y, %-m, %-d}))",
    "files": "Files()",
}
_DECLARATION: Final = '''"""Generated records."""

from datetime import date

from etl_assets import Column, Csv, Daily, FileExtractor, Files, Schema, Source

SOURCE = Source(
    name={name!r},
    description="Generated records.",
    owner="team:benchmarks",
    extractor=FileExtractor(location={location!r}, format=Csv(), settle_seconds=0),
    schema=Schema(
        columns=(
            Column("id", "integer", required=True, minimum=0),
{columns}
        ),
        key=("id",),
    ),
    partitions={partitions},
    max_rejected=0.6,
    runs_at_once={runs_at_once},
)
'''


@dataclass(frozen=True)
class MadeFeed:
    """A generated feed.

    Attributes:
        name: Of its source.
        folder: Where the folder of its files is.
        columns: Number of columns; the first is the key.
        rules: Number of columns after the key that declare a rule besides their type; at least 1.
        partitions: ``days``, one for each of the files of a folder (``files``), or none.
        runs_at_once: How many runs of its source may be executed at the same time.
    """

    name: str
    folder: Path
    columns: int = 12
    rules: int = 4
    partitions: Literal["", "days", "files"] = ""
    runs_at_once: int = 1

    def declare(self, declared: Path, *, loose: bool = False) -> None:
        """Write the declaration into a folder.

        Args:
            declared: The folder.
            loose: Whether records are accepted that are rejected otherwise.
        """
        declared.mkdir(parents=True, exist_ok=True)
        lines = []
        for number, (name, type_) in enumerate(self._types().items(), start=1):
            rule = _KINDS[type_].format(pattern=_LOOSE_PATTERN if loose else _PATTERN)
            scale = ", scale=2" if type_ == "decimal" else ""
            lines.append(
                f'            Column("{name}", "{type_}"{scale}{f", {rule}" if number <= self.rules else ""}),'
            )
        file = {"": "feed.csv", "days": "{key}.csv", "files": "*.csv"}[self.partitions]
        text = _DECLARATION.format(
            name=self.name,
            location=str(self.folder / self.name / file),
            columns="\n".join(lines),
            partitions=_PARTITIONS[self.partitions],
            runs_at_once=self.runs_at_once,
        )
        (declared / f"{self.name}.py").write_text(text, encoding="utf-8")

    def deliver(self, ids: range | Sequence[range], *, key: str = "feed", version: int = 0, bad_every: int = 0) -> None:
        """Write the file of a delivery.

        Args:
            ids: The keys of the records, in one range or several.
            key: Name of the file without its ending: the key of its partition where partitions are days.
            version: Another one makes another record of each key.
            bad_every: One record in so many breaks a rule; none if 0.
        """
        folder = self.folder / self.name
        folder.mkdir(parents=True, exist_ok=True)
        numbers = np.concatenate([np.asarray(part) for part in ([ids] if isinstance(ids, range) else ids)])
        chunk = max(1, _CELLS // self.columns)
        with (folder / f"{key}.csv").open("wb") as file:
            for start in range(0, len(numbers), chunk):
                frame = self._frame(numbers[start : start + chunk], version, bad_every)
                frame.write_csv(file, include_header=start == 0)

    def _types(self) -> dict[str, str]:
        """The types of the columns after the key, by name."""
        kinds = tuple(_KINDS)
        return {f"c{number:03d}": kinds[number % len(kinds)] for number in range(self.columns - 1)}

    def _frame(self, ids: np.ndarray, version: int, bad_every: int) -> pl.DataFrame:
        cells: dict[str, pl.Series] = {"id": pl.Series(ids)}
        for number, (name, type_) in enumerate(self._types().items()):
            values = (ids * 31 + number * 7 + version * 101) % 1_000_000
            series = {"text": _CODES, "decimal": _AMOUNTS, "date": _DATES}.get(type_)
            if series is not None:
                cells[name] = series.gather(values % len(series))
            else:
                cells[name] = pl.Series(values if type_ == "integer" else values / 8)
        if bad_every:
            first = next(iter(self._types()))
            bad = pl.Series(ids % bad_every == 0)
            cells[first] = cells[first].zip_with(~bad, _BAD_CODES.gather(ids % len(_BAD_CODES)))
        return pl.DataFrame(cells)


def day(number: int) -> str:
    """Return the key of a day, from 0."""
    return (FIRST_DAY + timedelta(days=number)).isoformat()
