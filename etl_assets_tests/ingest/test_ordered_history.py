"""Versions of a row that a column of its records orders, whichever delivery brings them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import DeclarationError, IncompatibleTableError
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import History, Snapshot
from etl_assets.model.partitions import Files
from etl_assets.postgres.connection import connected
from etl_assets.schema import Column
from etl_assets_tests.conformance.writer_suite import load_stale
from etl_assets_tests.ingest.world import GOODS, ending_after

if TYPE_CHECKING:
    from etl_assets.schema import Schema
    from etl_assets_tests.ingest.world import World

HEADER = "code,amount,note,at"
AT = Column("at", "date", required=True)


def ordered(order: Column = AT, **changes: Any) -> Schema:
    return replace(GOODS, columns=(*GOODS.columns, order), order_by=order.name, **changes)


@pytest.fixture
def dated(world: World) -> World:
    """A source with any number of files, whose records have the day of their version."""
    return world.other(files=True, schema=ordered(), more={"write": History()})


def take(world: World, file: str, *records: str) -> Any:
    """Take records without a note: key, amount, day of January."""
    return world.take(*map(line, records), file=f"{file}.csv", header=HEADER)


def line(record: str) -> str:
    code, amount, day, *note = record.split(",")
    return f"{code},{amount},{''.join(note)},2024-01-{day:0>2}"


def versions(world: World) -> list[tuple[Any, ...]]:
    """Return key and amount of each row, and the days from and to which it is valid."""
    return world.query(
        "SELECT code, amount, extract(day FROM _valid_from AT TIME ZONE 'UTC')::int, "
        "extract(day FROM _valid_to AT TIME ZONE 'UTC')::int "
        f"FROM core.{world.name}_history ORDER BY code, _valid_from"
    )


def as_of(world: World, moment: str) -> list[tuple[Any, ...]]:
    return world.query(f"SELECT code, amount FROM core.{world.name}_as_of('{moment}') ORDER BY 1")


def test_each_value_of_the_order_column_begins_a_version_that_ends_with_the_next(dated: World) -> None:
    counts = take(dated, "p", "a,1,1", "a,2,3", "b,1,2").counts
    assert (counts.inserted, counts.duplicate) == (3, 0)
    counts = take(dated, "q", "a,3,5", "b,1,2").counts
    assert (counts.inserted, counts.updated, counts.unchanged) == (1, 0, 1)
    assert versions(dated) == [("a", 1, 1, 3), ("a", 2, 3, 5), ("a", 3, 5, None), ("b", 1, 2, None)]
    assert dated.violations() == []


def test_the_first_delivery_has_the_ends_of_its_versions(dated: World) -> None:
    take(dated, "p", "a,5,5", "b,2,2", "a,1,1", "a,3,3")
    assert versions(dated) == [("a", 1, 1, 3), ("a", 3, 3, 5), ("a", 5, 5, None), ("b", 2, 2, None)]
    assert dated.violations() == []


def test_a_delivery_replaces_a_version_and_brings_another(dated: World) -> None:
    take(dated, "p", "a,1,1", "a,5,5")
    counts = take(dated, "q", "a,2,1", "a,3,3").counts
    assert (counts.inserted, counts.updated) == (1, 1)
    assert versions(dated) == [("a", 2, 1, 3), ("a", 3, 3, 5), ("a", 5, 5, None)]
    assert dated.violations() == []


def test_a_late_record_is_put_between_two_versions(dated: World) -> None:
    take(dated, "q", "a,1,1", "a,5,5")
    take(dated, "p", "a,3,3")
    assert versions(dated) == [("a", 1, 1, 3), ("a", 3, 3, 5), ("a", 5, 5, None)]
    assert dated.violations() == []


def test_a_newer_delivery_brings_an_older_version_and_the_current_one_stays(dated: World) -> None:
    take(dated, "p", "a,5,5")
    take(dated, "q", "a,3,3")
    assert versions(dated) == [("a", 3, 3, 5), ("a", 5, 5, None)]
    assert dated.rows() == [("a", 5, None, date(2024, 1, 5))]
    assert dated.violations() == []


def test_a_newer_delivery_replaces_the_contents_of_a_version(dated: World) -> None:
    take(dated, "p", "a,1,1", "a,3,3")
    counts = take(dated, "q", "a,2,1").counts
    assert (counts.inserted, counts.updated) == (0, 1)
    assert versions(dated) == [("a", 2, 1, 3), ("a", 3, 3, None)]
    assert dated.violations() == []


def test_an_older_delivery_that_comes_late_changes_no_version_of_a_newer_one(dated: World) -> None:
    take(dated, "q", "a,2,1")
    assert take(dated, "p", "a,1,1").counts.unchanged == 1
    assert versions(dated) == [("a", 2, 1, None)]


@pytest.mark.parametrize(
    ("moment", "rows"),
    [
        ("2023-12-31 23:59:59Z", []),
        ("2024-01-01Z", [("a", 1)]),
        ("2024-01-02 23:59:59.999999Z", [("a", 1)]),
        ("2024-01-03Z", [("a", 3)]),
        ("2030-01-01Z", [("a", 5)]),
    ],
)
def test_the_function_returns_the_rows_of_a_moment(dated: World, moment: str, rows: list[Any]) -> None:
    take(dated, "p", "a,5,5", "a,1,1")
    take(dated, "q", "a,3,3")
    assert as_of(dated, moment) == rows


def test_the_view_has_the_current_versions_and_since_when_they_are_valid(dated: World) -> None:
    take(dated, "p", "a,1,1", "a,3,3")
    assert dated.query("SELECT code, amount, _valid_from FROM core.goods") == [
        ("a", 3, datetime(2024, 1, 3, tzinfo=UTC))
    ]


def test_an_instant_is_taken_as_it_is(world: World) -> None:
    world.schema = ordered(Column("at", "timestamp", required=True, zone="Europe/Vienna"))
    world.more = {"write": History()}
    world.take("a,1,,2024-01-01 12:00:00", "a,2,,2024-07-01 12:00:00", header=HEADER)
    world.take("a,3,,2024-12-01 12:00:00", header=HEADER)
    assert world.query("SELECT amount, _valid_from, _valid_to FROM core.goods_history ORDER BY 1") == [
        (1, datetime(2024, 1, 1, 11, tzinfo=UTC), datetime(2024, 7, 1, 10, tzinfo=UTC)),
        (2, datetime(2024, 7, 1, 10, tzinfo=UTC), datetime(2024, 12, 1, 11, tzinfo=UTC)),
        (3, datetime(2024, 12, 1, 11, tzinfo=UTC), None),
    ]


def test_records_of_one_key_and_one_order_are_repeated_and_the_last_one_stays(dated: World) -> None:
    report = take(dated, "p", "a,1,1", "a,2,1", "a,3,3")
    assert report.counts.duplicate == 1
    assert report.rules == {"key__unique": 1}
    assert versions(dated) == [("a", 2, 1, 3), ("a", 3, 3, None)]
    assert dated.violations() == []


def test_repeated_records_are_rejected_if_so_declared(dated: World) -> None:
    dated.schema = ordered(repeated_keys="reject")
    take(dated, "p", "a,1,1", "a,2,1", "a,3,3")
    assert [record.record_no for record in dated.waiting()] == [2]
    assert versions(dated) == [("a", 1, 1, 3), ("a", 3, 3, None)]


def test_all_repeated_records_are_rejected_if_so_declared(dated: World) -> None:
    dated.schema = ordered(repeated_keys="reject_all")
    take(dated, "p", "a,1,1", "a,2,1", "a,3,3")
    assert [record.record_no for record in dated.waiting()] == [1, 2]
    assert versions(dated) == [("a", 3, 3, None)]


def test_a_corrected_record_begins_its_version_where_it_belongs(dated: World) -> None:
    take(dated, "p", "a,1,1", "a,-3,3", "a,5,5")
    (waiting,) = dated.waiting()
    take(dated, "q", "a,7,7")
    dated.correct(waiting, amount="3")
    dated.replay(waiting.id)
    assert versions(dated) == [("a", 1, 1, 3), ("a", 3, 3, 5), ("a", 5, 5, 7), ("a", 7, 7, None)]
    assert dated.violations() == []


def test_a_version_whose_record_another_declaration_rejects_is_removed_and_the_one_before_goes_on(
    dated: World,
) -> None:
    take(dated, "p", "a,1,1", "a,3,3", "b,3,3")
    stricter = ordered()
    stricter = replace(
        stricter, columns=tuple(c.replace(maximum=2) if c.name == "amount" else c for c in stricter.columns)
    )
    dated.schema = stricter
    counts = dated.load(dated.land("p.csv").delivery).counts
    assert counts.deleted == 2
    assert versions(dated) == [("a", 1, 1, None)]
    assert dated.violations() == []


def test_another_order_of_a_reloaded_record_moves_its_version(dated: World) -> None:
    take(dated, "p", "a,1,1", "a,3,3", "a,5,5")
    dated.schema = ordered(AT.replace(formats=("%Y-%d-%m",)))
    dated.load(dated.land("p.csv").delivery)
    assert dated.query("SELECT amount, _valid_to FROM core.goods_history ORDER BY at") == [
        (1, datetime(2024, 3, 1, tzinfo=UTC)),
        (3, datetime(2024, 5, 1, tzinfo=UTC)),
        (5, None),
    ]
    assert dated.violations() == []


def test_an_interrupted_load_goes_on(dated: World) -> None:
    dated.format = Csv(batch_bytes=64)
    take(dated, "p", *(f"{code},1,1,{'x' * 40}" for code in "abc"))
    dated.publish(*(line(f"{code},2,3,{'x' * 40}") for code in "abc"), file="q.csv", header=HEADER)
    delivery = dated.land("q.csv").delivery
    with pytest.raises(KeyboardInterrupt):
        dated.load(delivery, ending_after(1))
    assert [row[:2] for row in dated.rows()] == [("a", 2), ("b", 1), ("c", 1)]
    dated.load(delivery)
    assert [row[:2] for row in dated.rows()] == [("a", 2), ("b", 2), ("c", 2)]
    assert dated.violations() == []


def test_versions_of_a_key_in_several_batches_follow_one_another(dated: World) -> None:
    dated.format = Csv(batch_bytes=64)
    take(dated, "p", *(f"a,{day},{day},{'x' * 40}" for day in (3, 1, 9, 5)))
    assert versions(dated) == [("a", 1, 1, 3), ("a", 3, 3, 5), ("a", 5, 5, 9), ("a", 9, 9, None)]
    assert dated.violations() == []


def test_a_row_whose_columns_that_count_are_those_before_begins_no_version(dated: World) -> None:
    dated.more = {"write": History(("amount",))}
    take(dated, "p", "a,1,1,first", "a,1,3,second", "a,2,5,third")
    assert versions(dated) == [("a", 1, 1, 5), ("a", 1, 3, 3), ("a", 2, 5, None)]
    assert dated.query("SELECT note FROM core.goods_as_of('2024-01-04Z')") == [("first",)]
    assert dated.violations() == []


def test_a_late_row_makes_a_version_of_one_that_was_none(dated: World) -> None:
    dated.more = {"write": History(("amount",))}
    take(dated, "p", "a,1,1", "a,1,5")
    assert versions(dated) == [("a", 1, 1, None), ("a", 1, 5, 5)]
    take(dated, "q", "a,2,3")
    assert versions(dated) == [("a", 1, 1, 3), ("a", 2, 3, 5), ("a", 1, 5, None)]
    assert dated.violations() == []


@pytest.mark.parametrize("fewer", [True, False])
def test_other_columns_that_count_make_other_versions_of_the_same_rows(dated: World, *, fewer: bool) -> None:
    before, after = (History(), History(("amount",))) if fewer else (History(("amount",)), History())
    dated.more = {"write": before}
    take(dated, "p", "a,1,1", "a,1,3")
    take(dated, "q", "b,1,1", "b,1,3")
    dated.more = {"write": after}
    dated.load(dated.land("q.csv").delivery)
    assert dated.violations() == []
    dated.load(dated.land("p.csv").delivery)
    ends = (None, 3) if fewer else (3, None)
    assert versions(dated) == [(code, 1, day, end) for code in "ab" for day, end in zip((1, 3), ends, strict=True)]
    assert dated.violations() == []


def test_another_value_that_counts_makes_a_version_of_a_row_that_was_none(dated: World) -> None:
    dated.more = {"write": History(("amount",))}
    take(dated, "p", "a,1,1", "a,1,3")
    take(dated, "q", "a,2,3")
    assert versions(dated) == [("a", 1, 1, 3), ("a", 2, 3, None)]
    assert dated.violations() == []


def test_a_value_that_does_not_count_changes_where_it_was_published(dated: World) -> None:
    dated.more = {"write": History(("amount",))}
    take(dated, "p", "a,1,1,first", "a,1,3,second")
    take(dated, "q", "a,1,3,other")
    assert dated.query("SELECT note, _valid_to IS NULL FROM core.goods_history ORDER BY at") == [
        ("first", True),
        ("other", False),
    ]
    assert dated.violations() == []


def test_the_doctor_finds_a_version_that_does_not_end_where_the_next_one_begins(dated: World) -> None:
    take(dated, "p", "a,1,1", "a,3,3")
    with connected(dated.url) as connection:
        connection.execute("UPDATE core.goods_history SET _valid_to = '2024-01-02Z' WHERE amount = 1")
    assert dated.violations() == [
        "versions_follow_one_another: table core.goods_history has 1 versions that do not end where the next one begins"
    ]


def test_the_doctor_finds_a_former_version_with_other_contents_than_its_record(dated: World) -> None:
    take(dated, "p", "a,1,1", "a,3,3")
    with connected(dated.url) as connection:
        connection.execute("UPDATE core.goods_history SET note = 'by hand' WHERE amount = 1")
    (violation,) = dated.violations()
    assert "has 1 rows with other contents than records of delivery 1 of goods (p.csv)" in violation


@pytest.mark.parametrize(
    ("before", "after"),
    [(GOODS, ordered()), (ordered(), GOODS), (ordered(), ordered(Column("day", "date", required=True)))],
)
def test_what_orders_versions_changes_by_a_rebuild_alone(world: World, before: Schema, after: Schema) -> None:
    world.schema, world.more = before, {"write": History()}
    world.take("a,1,,2024-01-01,2024-01-01", header=f"{HEADER},day")
    world.schema = after
    with pytest.raises(IncompatibleTableError, match="etl-assets rebuild goods --swap"):
        world.take("a,2,,2024-01-03,2024-01-03", header=f"{HEADER},day")


@pytest.mark.parametrize(
    ("schema", "write", "problem"),
    [
        (ordered(Column("at", "integer", required=True)), History(), "which is integer, and versions"),
        (ordered(Column("at", "timestamp", required=True)), History(), "a timestamp without a time zone"),
        (ordered(Column("at", "date")), History(), "required=True"),
        (replace(ordered(), key=("code", "at")), History(), "which is in the key"),
        (ordered(), History(snapshot=Snapshot()), "is History with snapshot"),
        (ordered(), History(dated=date.fromisoformat), "is History with dated"),
        (ordered(), History(("colour",)), "has no column 'colour'"),
        (ordered(Column("_valid_from", "date", required=True)), History(), "name"),
    ],
)
def test_a_declaration_without_an_order_of_versions_is_refused(
    world: World, schema: Schema, write: History, problem: str
) -> None:
    world.schema, world.more = schema, {"write": write}
    with pytest.raises(DeclarationError, match=problem):
        _ = world.source


def test_partitions_that_are_files_need_no_dates(world: World) -> None:
    world.schema, world.more, world.files = ordered(), {"write": History()}, True
    assert world.source.partitions == Files()


def test_ends_that_another_declaration_gave_go_with_it(dated: World) -> None:
    """A reload that changes no row may give versions other ends, and is not the last word if its declaration goes."""
    strict = dated.other(schema=ordered(), more={"write": History(columns=("amount",))})
    lax = dated.other(schema=ordered(AT.replace(formats=("%Y-%m-%d", "%d.%m.%Y"))), more={"write": History()})
    take(strict, "p", "a,1,1,x", "a,1,2,y")
    second = strict.take("a,1,x,01.01.2024", file="q.csv", header=HEADER).delivery
    lax.load(second)
    assert versions(lax) == [("a", 1, 1, 2), ("a", 1, 2, None)]
    load_stale(strict)
    assert versions(strict) == [("a", 1, 1, None), ("a", 1, 2, 2)]
    assert strict.violations() == []


def test_an_index_of_current_versions_that_somebody_dropped_is_found_and_made_again(dated: World) -> None:
    take(dated, "p", "a,1,1")
    (name,) = dated.query(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'core.goods_history'::regclass "
        "AND indpred IS NOT NULL"
    )
    with connected(dated.url) as connection:
        connection.execute(f"DROP INDEX {name[0]}".encode())
    (violation,) = dated.violations()
    assert "lacks the unique index of the current versions" in violation
    take(dated, "q", "a,3,5", "a,2,3")
    assert versions(dated) == [("a", 1, 1, 3), ("a", 2, 3, 5), ("a", 3, 5, None)]
    assert dated.violations() == []
