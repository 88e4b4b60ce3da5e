"""The files of sources of a host: four partitions, a slow feed, one for several workers, one with a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

PARTITIONS: Final = ("a", "b", "c", "d")
RECORDS: Final = 2_000
_TEXT: Final = """
import os, time
from dataclasses import dataclass
import pandas as pd
from etl_assets import Column, Csv, FileExtractor, Schema, Source, Static, Transformer

FEEDS = os.environ["FEEDS"]


@dataclass(frozen=True)
class Slow(Transformer):
    seconds: float

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        time.sleep(self.seconds)
        return frame


def source(name, seconds, keys, **more):
    return Source(
        name=name,
        description="What is measured.",
        owner="team:tests",
        extractor=FileExtractor(
            location=f"{{FEEDS}}/{{{{key}}}}.csv", format=Csv(batch_bytes=4096), settle_seconds=0.0
        ),
        schema=Schema(
            (Column("partition", "text", required=True), Column("n", "integer", required=True), Column("v", "text")),
            ("partition", "n"),
        ),
        transformer=Slow(seconds),
        partitions=Static(keys),
        runs_at_once=4,
        **more,
    )
"""
_SOURCES: Final = {
    "readings": f'SOURCE = source("readings", 1.0, {PARTITIONS!r})',
    "slow": 'SOURCE = source("slow", 4.0, ("a",))',
    "long": 'SOURCE = source("long", 1.0, ("a",), workers=2)',
    "heavy": 'SOURCE = source("heavy", 0.0, ("a",), queue="big")',
}


def declare(folder: Path) -> None:
    """Write the files of sources of a host, and what they fetch, below its folder."""
    (folder / "declared").mkdir(parents=True)
    (folder / "feeds").mkdir()
    for name, text in _SOURCES.items():
        (folder / "declared" / f"{name}.py").write_text(_TEXT.format() + text + "\n")
    for key in PARTITIONS:
        (folder / "feeds" / f"{key}.csv").write_text("\n".join(["partition,n,v", *map(",".join, records(key)), ""]))


def records(key: str) -> list[tuple[str, str, str]]:
    return [(key, str(n), f"value {n}") for n in range(RECORDS)]
