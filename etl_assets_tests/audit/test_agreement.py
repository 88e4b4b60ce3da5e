"""The ingest and the auditor, which are independent of each other, agree on every record."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from etl_assets import Column, References, Schema
from etl_assets.audit import library
from etl_assets.audit.auditor import open_auditor
from etl_assets.audit.examination import audit_table
from etl_assets.audit.results import SAMPLE
from etl_assets.audit.suite import compile_suite
from etl_assets_tests.ingest.world import World
from etl_assets_tests.validate.oracle import judge

if TYPE_CHECKING:
    from pathlib import Path

NUMBER: Final = count(1)
PARENTS: Final = ("a", "ab", "x")
CHECKED_BY_VALUE: Final = {"required", "minimum", "maximum", "length", "pattern", "allowed"}
FEW_EXAMPLES = settings(max_examples=20, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Feed:
    """A schema whose key is the number of the record, and the cells of its other columns."""

    schema: Schema
    records: list[list[str | None]]

    def published(self) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.schema.names)
        for number, cells in enumerate(self.records, start=1):
            writer.writerow([number, *("" if cell is None else cell for cell in cells)])
        return text.getvalue().encode()


def _optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


def _bounds(values: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.tuples(_optional(st.sampled_from(values)), _optional(st.sampled_from(values)))
    return pairs.map(
        lambda pair: {
            "minimum": min(pair) if None not in pair else pair[0],
            "maximum": max(pair) if None not in pair else pair[1],
        }
    )


MOST = 2**53
DAY = datetime(2024, 2, 29, 12, 30)  # noqa: DTZ001 -- a reading
PLAIN: Final[dict[str, tuple[dict[str, Any], st.SearchStrategy[dict[str, Any]], list[str]]]] = {
    "text": (
        {},
        st.fixed_dictionaries(
            {},
            optional={
                "length": st.integers(1, 3),
                "pattern": st.sampled_from(["[a-c]+", r"\w+", "(?i)k.?", "a|b.c", "[^x]*", r"\d{2}"]),
                "allowed": st.lists(st.sampled_from(["a", "ab", "k"]), min_size=1, unique=True).map(tuple),
                "unique": st.booleans(),
            },
        ),
        [
            "a",
            "ab",
            "abc",
            "k",
            "K",
            "\u212a",
            "b\nc",
            "x",
            "12",
            "\u0665\u0666",
            "é",
            "éèê",
            "  ",
            "O'Hara",
            "100%",
            ":a",
        ],
    ),
    "integer": (
        {},
        st.one_of(
            _bounds([-1, 0, 1.5, Decimal("1.99999999999999999999"), MOST, MOST + 1]),
            st.just({"allowed": (0, 1, MOST + 1)}),
        ),
        ["0", "1", "2", "-1", "-2", str(MOST), str(MOST + 1), str(MOST + 2), "1.0", "x"],
    ),
    "decimal": (
        {"precision": 30, "scale": 12},
        _bounds([0, 0.1, Decimal("0.100000000001"), Decimal(123456789012345678), -1]),
        [
            "0",
            "0.1",
            "0.100000000001",
            "0.099999999999",
            "123456789012345678.000000000001",
            "-1",
            "1e3",
            "0.1234567890123",
        ],
    ),
    "float": ({}, _bounds([0, 0.1, 1e9, -0.5]), ["0", "0.1", "0.30000000000000004", "1e10", "-1", "NaN", "x"]),
    "date": (
        {},
        _bounds([date(2024, 2, 29), date(2024, 3, 1)]),
        ["2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02", "2024-02-30", "29.02.2024"],
    ),
    "timestamp": (
        {},
        _bounds([DAY, DAY + timedelta(hours=1)]),
        ["2024-02-29 12:29:59", "2024-02-29 12:30:00", "2024-02-29T13:30:01", "2024-02-29"],
    ),
    "time": ({}, _bounds([time(6), time(10, 30)]), ["05:59:59", "06:00:00", "10:30:00", "10:30:01", "24:00:00"]),
    "boolean": ({}, st.just({}), ["true", "false", "maybe"]),
}
INSTANT = (
    {"zone": "Europe/Paris"},
    _bounds([datetime(2024, 7, 1, tzinfo=UTC), datetime(2024, 7, 2, tzinfo=UTC)]),
    ["2024-07-01 01:59:59", "2024-07-01 02:00:00", "2024-07-02 02:00:00", "2024-07-02 02:00:01", "2024-03-31 02:30:00"],
)


@st.composite
def feeds(draw: st.DrawFn) -> Feed:
    columns, cells = [Column("n", "integer", required=True)], []
    for index in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from([*PLAIN, "instant", "child"]))
        if kind == "child":
            child = References("core.parents.code", missing=draw(st.sampled_from(["park", "reject"])))
            column, values = Column(f"c{index}", "text", references=child), ["a", "ab", "y", "z"]
        else:
            type_ = "timestamp" if kind == "instant" else kind
            fixed, rules, values = INSTANT if kind == "instant" else PLAIN[kind]
            column = Column(f"c{index}", type_, **fixed, **draw(rules))  # type: ignore[arg-type]
        columns.append(column.replace(required=draw(st.booleans())))
        cells.append(_optional(st.sampled_from(values)))
    records = draw(st.lists(st.tuples(*cells), min_size=1, max_size=SAMPLE))
    return Feed(Schema(tuple(columns), key=("n",)), [list(record) for record in records])


@pytest.fixture(scope="module")
def folder(warehouse_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder where feeds are published; their parents are already loaded."""
    library.load()
    folder = tmp_path_factory.mktemp("feeds")
    parents = World(warehouse_url, folder, Schema((Column("code", "text", required=True),), key=("code",)), "parents")
    assert parents.take(*PARENTS, header="code").counts.inserted == len(PARENTS)
    return folder


def ingested(url: str, folder: Path, feed: Feed) -> World:
    world = World(url, folder, feed.schema, f"feed_{next(NUMBER)}")
    lines = feed.published().splitlines(keepends=True)
    world.publish(b"".join(lines[1:]).removesuffix(b"\n"), header=lines[0].decode().strip())
    world.load(world.land().delivery)
    return world


@given(feed=feeds())
@FEW_EXAMPLES
def test_rows_that_the_ingest_accepted_meet_all_expectations(warehouse_url: str, folder: Path, feed: Feed) -> None:
    world = ingested(warehouse_url, folder, feed)
    found = audit_table(world.source, warehouse_url)
    assert found is not None
    assert [(expectation.name, result) for expectation, result in found.disagreements] == []


@given(feed=feeds())
@FEW_EXAMPLES
def test_the_auditor_finds_the_records_that_the_ingest_rejects(warehouse_url: str, folder: Path, feed: Feed) -> None:
    world = ingested(warehouse_url, folder, feed)
    rejected = {record.record_no: set(record.rules) for record in world.waiting()}
    table = f"public.raw_{world.name}"
    unreadable = _store_unvalidated(warehouse_url, table, feed)
    suite = compile_suite(feed.schema)
    with open_auditor(warehouse_url, feed.schema, table) as table_auditor:
        results = table_auditor.evaluate(suite.expectations)
    failed = {result.name: {row["n"] for row in result.keys} for result in results}
    assert {name: len(rows) for name, rows in failed.items()} == {each.name: each.failed_records for each in results}
    assert not any("cannot be evaluated" in result.description for result in results)
    for name, rows in failed.items():
        column, _, kind = name.partition("__")
        broke = {number for number, rules in rejected.items() if name in rules}
        if kind in CHECKED_BY_VALUE:
            unstored = unreadable[column] if kind == "required" else set()
            assert rows - unstored == broke, name
        elif kind == "references":
            other = {n for n, rules in rejected.items() if not rules <= _checked_in_tables(feed.schema)}
            assert rows - other == broke - other, name
        elif kind == "unique":
            assert broke <= rows, name


def _checked_in_tables(schema: Schema) -> set[str]:
    """Return the rules that are checked only for records that break no other rule."""
    return {*(claim.rule for claim in schema.claims), *(lookup.rule for lookup in schema.lookups)}


def _store_unvalidated(url: str, table: str, feed: Feed) -> dict[str, set[int]]:
    """Store what was published, typed and without rules; return, by column, the records that cannot be typed."""
    columns = feed.schema.columns
    unreadable: dict[str, set[int]] = {column.name: set() for column in columns}
    rows: list[list[Any]] = []
    for number, cells in enumerate(feed.records, start=1):
        values = []
        for column, cell in zip(columns[1:], cells, strict=True):
            value = judge(column, cell)[0]
            values.append(value)
            if cell is not None and value is None:
                unreadable[column.name].add(number)
        rows.append([number, *values])
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type.postgres)) for column in columns
    )
    name = sql.Identifier(*table.split("."))
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(name, definitions))
        places = sql.SQL(", ").join(sql.Placeholder() for _ in columns)
        cursor.executemany(sql.SQL("INSERT INTO {} VALUES ({})").format(name, places), rows)
    return unreadable
