"""Currency codes as datahub.io publishes them: 16 versions, the first three ragged, one of them empty.

An entity may have no currency and most currencies were never withdrawn: both are part of the key, and have a default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets.doctor import examine
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.model.counts import Counts
from etl_assets.model.partitions import Files
from etl_assets.schema import Column, Schema
from etl_assets.source import Source
from etl_assets_tests.real_feeds.taking import (
    FEEDS,
    Oracle,
    foretold,
    ground_truth,
    take,
    warehouse,
    with_real_feeds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.real_feeds.taking import Row, Taken

pytestmark = with_real_feeds
_FEED = "datahub_currency_codes"
_EMPTY = 9
_NONE = "none"
_NAMES_OVER_TIME = {
    "entity": ("Entity",),
    "code": ("Alphabetic Code", "AlphabeticCode"),
    "withdrawn": ("Withdrawal Date", "WithdrawalDate"),
    "currency": ("Currency",),
    "number": ("Numeric Code", "NumericCode"),
    "minor_unit": ("Minor unit", "MinorUnit"),
}
_NO_NUMBER = ("Nil", "N.A.", "\u2014")


def named(name: str) -> tuple[str, ...]:
    return _NAMES_OVER_TIME[name]


SCHEMA = Schema(
    columns=(
        Column("entity", "text", required=True, published_as=named("entity")),
        Column("code", "text", required=True, published_as=named("code"), default=_NONE),
        Column("withdrawn", "text", required=True, published_as=named("withdrawn"), default=_NONE),
        Column("currency", "text", published_as=named("currency")),
        Column("number", "integer", published_as=named("number"), null=_NO_NUMBER, strip=True, maximum=999),
        Column("minor_unit", "integer", published_as=named("minor_unit"), null=("N.A.", "-"), minimum=0, maximum=4),
    ),
    key=("entity", "code", "withdrawn"),
    ignored=("Remark",),
)


def row(record: dict[str, str]) -> Row:
    """What a record must become, computed without the package."""
    entity, code, withdrawn, currency, number, minor_unit = (
        next((record[name] for name in names if name in record), "") or "" for names in _NAMES_OVER_TIME.values()
    )
    stripped = number.strip()
    return (
        entity,
        code or _NONE,
        withdrawn or _NONE,
        currency or None,
        None if not stripped or stripped in _NO_NUMBER else int(stripped),
        None if (minor_unit or "-") in ("N.A.", "-") else int(minor_unit),
    )


def numbered(number: int) -> str:
    """The file of that number."""
    return next(file for file in ground_truth(_FEED) if file.startswith(f"{number:04}_"))


def currencies() -> Source:
    """The source."""
    return Source(
        name=_FEED,
        description="Which entity uses or used which currency; the newest version of each.",
        owner="team:reference",
        extractor=FileExtractor(
            location=f"{FEEDS / _FEED}/*.csv",
            format=Csv(short_records=True, batch_bytes=6_000),
            settle_seconds=0,
        ),
        schema=SCHEMA,
        partitions=Files(),
    )


@pytest.fixture(scope="module")
def taken(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    with warehouse(postgres_url, tmp_path_factory.mktemp("landing")) as kept:
        yield take(currencies(), kept)


@pytest.fixture(scope="module")
def oracle(taken: Taken) -> Oracle:
    return foretold(taken, FEEDS / _FEED, Oracle(row, key=(0, 1, 2)))


def test_every_version_is_taken_with_all_its_records_and_none_is_rejected(taken: Taken) -> None:
    told = {file: (about["rows"], 0, about["dup_key_rows"]) for file, about in ground_truth(_FEED).items()}
    assert {file: (c.read, c.rejected, c.duplicate) for file, c in taken.counts.items()} == told


def test_what_becomes_of_each_versions_records_is_what_a_dict_says(taken: Taken, oracle: Oracle) -> None:
    assert taken.counts == oracle.counts


def test_after_each_version_the_table_has_the_newest_of_each_key(taken: Taken, oracle: Oracle) -> None:
    assert {file: set(table) for file, table in taken.tables.items()} == oracle.tables


def test_a_version_without_records_deletes_nothing_and_the_next_is_no_first_one(taken: Taken) -> None:
    before, empty, after = (numbered(number) for number in (_EMPTY - 1, _EMPTY, _EMPTY + 1))
    assert taken.counts[empty] == Counts()
    assert taken.reports[empty].delivery.status == "complete"
    assert taken.tables[empty] == taken.tables[before]
    assert taken.counts[after].inserted < ground_truth(_FEED)[after]["ins"]


def test_ragged_records_lack_what_they_leave_out_and_nothing_is_shifted(taken: Taken) -> None:
    first = numbered(1)
    assert ("AFGHANISTAN", "AFN", _NONE, "Afghani", 971, 2) in taken.tables[first]
    assert len(taken.tables[first]) == ground_truth(_FEED)[first]["distinct_keys"]


def test_no_version_publishes_a_column_that_is_not_known(taken: Taken) -> None:
    assert not any(taken.unmapped.values())


def test_the_doctor_finds_nothing_wrong_afterwards(taken: Taken) -> None:
    assert examine(taken.warehouse) == []


def test_taking_everything_again_writes_nothing(taken: Taken) -> None:
    marks = taken.marks()
    assert {report.status for report in taken.again().reports.values()} == {"unchanged"}
    assert taken.marks() == marks


def test_the_version_without_records_is_told_by_volume_and_no_other_is(taken: Taken) -> None:
    assert taken.anomalous("volume") == [numbered(_EMPTY)]
