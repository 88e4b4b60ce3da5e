"""The benchmark's feed is what the benchmark says it is."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from benchmarks import generate as generator
from benchmarks.bad_records import KINDS
from benchmarks.daily_feed import Days
from benchmarks.feed import CATEGORIES, SCHEMA, VARIANTS
from benchmarks.generate import generate
from etl_assets.extract.formats.csv.parse import RULES
from etl_assets.schema.rules.pattern import Pattern

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.feed import Variant

RECORDS = 5_000


@pytest.fixture(autouse=True)
def _chunks_smaller_than_the_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "CHUNK", 2_000)


def lines(path: Path) -> list[bytes]:
    """The records, without the header."""
    return path.read_bytes().splitlines(keepends=True)[1:]


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_arguments_make_the_same_bytes(tmp_path: Path, variant: Variant) -> None:
    one, other = (generate(tmp_path / name, variant, RECORDS) for name in ("one", "other"))
    assert one.feed.read_bytes() == other.feed.read_bytes()
    assert one.clean.read_bytes() == other.clean.read_bytes()


def test_another_seed_makes_other_records(tmp_path: Path) -> None:
    one, other = (generate(tmp_path, "first", RECORDS, seed) for seed in (1, 2))
    assert not set(lines(one.feed)) & set(lines(other.feed))


def test_files_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    made = generate(tmp_path, "first", 100)
    made.feed.write_bytes(b"kept")
    assert generate(tmp_path, "first", 100).feed.read_bytes() == b"kept"


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_record_in_a_hundred_is_bad_and_the_clean_file_is_the_rest_in_order(
    tmp_path: Path, variant: Variant
) -> None:
    made = generate(tmp_path, variant, RECORDS)
    feed, clean = lines(made.feed), lines(made.clean)
    assert (len(feed), len(clean)) == (RECORDS, RECORDS - RECORDS // 100)
    good = set(clean)
    assert [line for line in feed if line in good] == clean


def test_every_kind_of_bad_record_occurs(tmp_path: Path) -> None:
    made = generate(tmp_path, "first", RECORDS)
    bad = b"".join(set(lines(made.feed)) - set(lines(made.clean)))
    marks = [cell for kind in KINDS for cell in kind.cells.values() if len(cell) > 4]
    assert [mark for mark in marks if mark not in bad] == []


def test_every_bad_record_breaks_rules_that_the_schema_has() -> None:
    named = {rule for kind in KINDS for rule in kind.rules}
    assert named <= {rule.name for rule in (*SCHEMA.rule_infos, *RULES)}


@pytest.mark.parametrize("variant", VARIANTS)
def test_clean_rows_have_every_field_and_keep_the_rules(tmp_path: Path, variant: Variant) -> None:
    found = rows(generate(tmp_path, variant, RECORDS).clean)
    assert {len(row) for row in found} == {len(SCHEMA.names)}
    assert {row["category"] for row in found} == set(CATEGORIES)
    assert len({row["id"] for row in found}) == len(found)
    pattern = SCHEMA["code"].find(Pattern)
    assert pattern is not None
    shapes = {
        "id": "[1-9][0-9]*",
        "code": pattern.pattern,
        "name": ".{1,60}",
        "quantity": "[0-9]{1,4}|10000",
        "weight": r"([0-9]+\.[0-9]{1,3})?",
        "price": r"[0-9]{1,10}\.[0-9]{2}",
        "active": "true|false",
        "listed_on": "20[0-4][0-9]-[0-9]{2}-[0-9]{2}",
        "counted_at": "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}",
        "changed_at": "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
    }
    for name, shape in shapes.items():
        assert [row[name] for row in found if not re.fullmatch(shape, row[name])] == []


def test_the_reordered_variant_has_the_same_lines_at_other_places(tmp_path: Path) -> None:
    first, reordered = (generate(tmp_path, variant, RECORDS) for variant in ("first", "reordered"))
    for one, other in ((first.feed, reordered.feed), (first.clean, reordered.clean)):
        assert lines(one) != lines(other)
        assert Counter(lines(one)) == Counter(lines(other))


def test_the_changed_variant_has_the_same_keys_and_no_row_as_it_was(tmp_path: Path) -> None:
    first, changed = (rows(generate(tmp_path, variant, RECORDS).clean) for variant in ("first", "changed"))
    assert [row["id"] for row in first] == [row["id"] for row in changed]
    assert not [one for one, other in zip(first, changed, strict=True) if one["changed_at"] == other["changed_at"]]


def test_no_two_days_have_a_reading_in_common(tmp_path: Path) -> None:
    feed = Days(tmp_path, days=3, records=200)
    feed.write()
    days = [rows(tmp_path / f"{key}.csv") for key in feed.partitions]
    assert [{row["day"] for row in day} for day in days] == [{key} for key in feed.partitions]
    assert len({row["reading_id"] for day in days for row in day}) == 600


def test_a_corrected_day_differs_in_one_record_of_a_hundred(tmp_path: Path) -> None:
    feed = Days(tmp_path, days=1, records=500)
    feed.write()
    before = rows(tmp_path / f"{feed.partitions[0]}.csv")
    feed.publish(0, feed.partitions[0], warmer=1.0)
    after = rows(tmp_path / f"{feed.partitions[0]}.csv")
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 5
