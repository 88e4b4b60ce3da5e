"""The generated feed of the scenarios is what its arguments say."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Literal

import pytest

from benchmarks import made_feed
from benchmarks.made_feed import MadeFeed, day
from etl_assets import catalog
from etl_assets.ingest import batches
from etl_assets.landing import LandingStore, land

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.source import Source


@pytest.fixture(autouse=True)
def _chunks_smaller_than_a_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_feed, "_CELLS", 100)


def declared(feed: MadeFeed, folder: Path, *, loose: bool = False) -> Source:
    feed.declare(folder / "declared", loose=loose)
    return catalog.load((str(folder / "declared"),)).sources[feed.name]


def records(feed: MadeFeed, key: str = "feed") -> list[dict[str, str]]:
    with (feed.folder / feed.name / f"{key}.csv").open() as file:
        return list(csv.DictReader(file))


def rejected(source: Source, store: Path) -> int:
    """How many records of the delivery are rejected."""
    landed = LandingStore(str(store))
    manifest = land(source.extractor, source.partition(None), landed)
    return sum(batch.rejected.height for batch in batches(source, "", manifest, landed))


def test_the_declaration_has_as_many_columns_and_rules_as_was_said(tmp_path: Path) -> None:
    source = declared(MadeFeed("wide", tmp_path, columns=40, rules=13), tmp_path)
    assert len(source.schema.columns) == 40
    kinds = {"pattern", "maximum", "minimum"}
    assert sum(rule.kind in kinds for column in source.schema.columns[1:] for rule in column.rules) == 13


@pytest.mark.parametrize("partitions", ["", "days", "files"])
def test_partitions_are_declared(tmp_path: Path, partitions: Literal["", "days", "files"]) -> None:
    source = declared(MadeFeed("made", tmp_path, partitions=partitions), tmp_path)
    names = {"": "NoneType", "days": "Daily", "files": "Files"}
    assert type(source.partitions).__name__ == names[partitions]


def test_a_delivery_has_the_keys_in_order_whatever_the_chunks(tmp_path: Path) -> None:
    feed = MadeFeed("made", tmp_path)
    feed.deliver((range(5, 40, 5), range(100, 120)), key=day(3))
    assert [int(record["id"]) for record in records(feed, "2024-01-04")] == [*range(5, 40, 5), *range(100, 120)]


def test_another_version_changes_every_record_and_the_same_version_none(tmp_path: Path) -> None:
    feed = MadeFeed("made", tmp_path)
    for key, version in (("one", 0), ("same", 0), ("other", 1)):
        feed.deliver(range(50), key=key, version=version)
    assert records(feed, "one") == records(feed, "same")
    pairs = zip(records(feed, "one"), records(feed, "other"), strict=True)
    assert [one["id"] for one, other in pairs if one == other] == []


def test_good_records_keep_every_rule(tmp_path: Path) -> None:
    feed = MadeFeed("made", tmp_path, columns=20, rules=19)
    feed.deliver(range(50))
    assert rejected(declared(feed, tmp_path), tmp_path / "landing") == 0


def test_bad_records_are_rejected_until_the_declaration_is_loose(tmp_path: Path) -> None:
    feed = MadeFeed("made", tmp_path)
    feed.deliver(range(50), bad_every=2)
    assert rejected(declared(feed, tmp_path), tmp_path / "landing") == 25
    assert rejected(declared(feed, tmp_path / "again", loose=True), tmp_path / "landing-again") == 0
