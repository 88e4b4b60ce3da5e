"""Every version of a row, the view of the current ones, and the rows as they were at a moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import DeclarationError, IncompatibleTableError, LoadError, TooManyDeletedError
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import History, Snapshot, Upsert
from etl_assets.model.partitions import Files
from etl_assets.postgres.connection import connected
from etl_assets.schema import Column, PartitionBy
from etl_assets_tests.ingest.world import GOODS, ending_after

if TYPE_CHECKING:
    from typing import LiteralString

    from etl_assets.schema import Schema
    from etl_assets_tests.ingest.world import World


def day_of(name: str) -> date:
    return date.fromisoformat(name[:10])


def day_later(name: str) -> date:
    return day_of(name) + timedelta(days=1)


@pytest.fixture
def dated(world: World) -> World:
    """A source with a file for each day, whose name is the day."""
    return world.other(files=True, more={"write": History(dated=day_of)})


def take(world: World, day: int, *records: str) -> Any:
    return world.take(*records, file=f"2024-01-{day:02}.csv")


def versions(world: World) -> list[tuple[Any, ...]]:
    """Return key and amount of each version, and the days from and to which it is valid."""
    return world.query(
        "SELECT code, amount, extract(day FROM _valid_from AT TIME ZONE 'UTC')::int, "
        "extract(day FROM _valid_to AT TIME ZONE 'UTC')::int "
        f"FROM core.{world.name}_history ORDER BY code, _valid_from, _valid_to"
    )


def execute(world: World, statement: LiteralString) -> None:
    with connected(world.url) as connection:
        connection.execute(statement)


def ordered(schema: Schema) -> Schema:
    columns = [column.replace(required=True) if column.name == "amount" else column for column in schema.columns]
    return replace(schema, columns=tuple(columns), order_by="amount")


def by_day(schema: Schema) -> Schema:
    return replace(schema, columns=(*schema.columns, Column("day", "date", required=True)), key=("code", "day"))


def wider(schema: Schema) -> Schema:
    columns = [
        column.replace(type="decimal", scale=2, precision=30) if column.name == "amount" else column
        for column in schema.columns
    ]
    return replace(schema, columns=tuple(columns))


def as_of(world: World, moment: str) -> list[tuple[Any, ...]]:
    return world.query(f"SELECT code, amount FROM core.{world.name}_as_of('{moment}') ORDER BY 1")


def test_a_change_ends_a_version_and_begins_another(dated: World) -> None:
    take(dated, 1, "a,1,", "b,1,")
    counts = take(dated, 3, "a,2,", "b,1,", "c,1,").counts
    assert (counts.inserted, counts.updated, counts.unchanged) == (1, 1, 1)
    assert versions(dated) == [("a", 1, 1, 3), ("a", 2, 3, None), ("b", 1, 1, None), ("c", 1, 3, None)]
    assert dated.violations() == []


def test_the_view_has_the_current_versions_and_since_when_they_are_valid(dated: World) -> None:
    take(dated, 1, "a,1,")
    take(dated, 3, "a,2,")
    rows = dated.query("SELECT code, amount, _valid_from FROM core.goods")
    assert rows == [("a", 2, datetime(2024, 1, 3, tzinfo=UTC))]


@pytest.mark.parametrize(
    ("moment", "rows"),
    [
        ("2023-12-31Z", []),
        ("2024-01-01Z", [("a", 1)]),
        ("2024-01-02 23:59:59.999999Z", [("a", 1)]),
        ("2024-01-03Z", [("a", 2)]),
        ("2030-01-01Z", [("a", 2)]),
    ],
)
def test_the_function_returns_the_rows_of_a_moment(dated: World, moment: str, rows: list[Any]) -> None:
    take(dated, 1, "a,1,")
    take(dated, 3, "a,2,")
    assert as_of(dated, moment) == rows


def test_a_late_delivery_is_put_between_its_neighbours(dated: World) -> None:
    take(dated, 1, "a,1,")
    take(dated, 5, "a,1,")
    take(dated, 3, "a,3,")
    assert versions(dated) == [("a", 1, 1, 3), ("a", 3, 3, 5), ("a", 1, 5, None)]
    assert dated.violations() == []


def test_a_late_delivery_that_has_what_a_newer_one_brought_begins_its_version(dated: World) -> None:
    take(dated, 5, "a,1,")
    take(dated, 3, "a,1,")
    assert versions(dated) == [("a", 1, 3, None)]
    assert dated.violations() == []


def test_what_a_merged_version_confirms_is_known_to_a_later_load(dated: World) -> None:
    take(dated, 5, "a,1,")
    take(dated, 1, "a,1,")
    take(dated, 3, "a,3,")
    assert versions(dated) == [("a", 1, 1, 3), ("a", 3, 3, 5), ("a", 1, 5, None)]


def test_a_second_delivery_of_a_date_takes_the_place_of_the_first(dated: World) -> None:
    take(dated, 1, "a,1,")
    take(dated, 1, "a,2,")
    assert versions(dated) == [("a", 1, 1, 1), ("a", 2, 1, None)]
    assert as_of(dated, "2024-01-01Z") == [("a", 2)]


def test_only_the_columns_that_count_begin_a_version(dated: World) -> None:
    dated.more = {"write": History(("amount",), dated=day_of)}
    take(dated, 1, "a,1,first")
    take(dated, 3, "a,1,second")
    take(dated, 5, "a,2,third")
    assert dated.query("SELECT amount, note FROM core.goods_history ORDER BY _valid_from") == [
        (1, "first"),
        (2, "third"),
    ]
    assert dated.violations() == []


def test_a_corrected_record_has_been_valid_from_the_start(dated: World) -> None:
    take(dated, 1, "a,1,")
    take(dated, 3, "a,-1,")
    (waiting,) = dated.waiting()
    take(dated, 5, "b,5,")
    dated.correct(waiting, amount="3")
    dated.replay(waiting.id)
    assert versions(dated) == [("a", 1, 1, 3), ("a", 3, 3, None), ("b", 5, 5, None)]


def test_what_a_snapshot_no_longer_has_ends(dated: World) -> None:
    dated.more = {"write": History(snapshot=Snapshot(max_deleted=0.5), dated=day_of)}
    take(dated, 1, "a,1,", "b,1,")
    counts = take(dated, 3, "a,1,").counts
    assert counts.deleted == 1
    take(dated, 5, "a,1,", "b,1,")
    assert versions(dated) == [("a", 1, 1, None), ("b", 1, 1, 3), ("b", 1, 5, None)]
    assert dated.query("SELECT key FROM etl.deletion") == [({"code": "b"},)]
    assert dated.violations() == []


def test_a_late_snapshot_ends_only_what_newer_ones_do_not_have(dated: World) -> None:
    dated.more = {"write": History(snapshot=Snapshot(max_deleted=1.0), dated=day_of)}
    take(dated, 1, "a,1,", "b,1,", "c,1,")
    take(dated, 5, "a,1,", "c,1,")
    take(dated, 3, "b,1,", "c,1,")
    expected = [("a", 1, 1, 3), ("a", 1, 5, None), ("b", 1, 1, 5), ("c", 1, 1, None)]
    assert versions(dated) == expected
    assert dated.violations() == []


def test_a_snapshot_that_ends_too_many_is_refused(dated: World) -> None:
    dated.more = {"write": History(snapshot=Snapshot(), dated=day_of)}
    take(dated, 1, "a,1,", "b,1,")
    with pytest.raises(TooManyDeletedError, match="does not have the keys of 1 of 2 rows"):
        take(dated, 3, "a,1,")
    assert versions(dated) == [("a", 1, 1, None), ("b", 1, 1, None)]


def test_an_interrupted_load_goes_on(dated: World) -> None:
    dated.format = Csv(batch_bytes=64)
    take(dated, 1, *(f"{code},1,{'x' * 40}" for code in "abc"))
    dated.publish(*(f"{code},2,{'x' * 40}" for code in "abc"), file="2024-01-03.csv")
    delivery = dated.land("2024-01-03.csv").delivery
    with pytest.raises(KeyboardInterrupt):
        dated.load(delivery, ending_after(1))
    assert [version[:2] for version in versions(dated) if version[3] is None] == [("a", 2), ("b", 1), ("c", 1)]
    dated.load(delivery)
    assert [version[:2] for version in versions(dated) if version[3] is None] == [("a", 2), ("b", 2), ("c", 2)]
    assert dated.violations() == []


def test_without_a_date_a_version_is_valid_from_the_fetch_of_its_delivery(world: World) -> None:
    world.more = {"write": History()}
    first = world.take("a,1,").delivery
    second = world.take("a,2,").delivery
    assert world.query("SELECT amount, _valid_from, _valid_to FROM core.goods_history ORDER BY 1") == [
        (1, first.fetched_at, second.fetched_at),
        (2, second.fetched_at, None),
    ]


def test_other_dates_of_the_same_deliveries_move_their_versions(dated: World) -> None:
    take(dated, 1, "a,1,")
    take(dated, 3, "a,2,")
    dated.more = {"write": History(dated=day_later)}
    for day in (3, 1):
        dated.load(dated.land(f"2024-01-0{day}.csv").delivery)
    assert versions(dated) == [("a", 1, 2, 4), ("a", 2, 4, None)]


def test_dates_that_contradict_the_order_of_deliveries_are_refused(dated: World) -> None:
    dated.more = {"write": History(dated=backwards)}
    take(dated, 1, "a,1,")
    with pytest.raises(
        LoadError, match=r"is of 2024-01-08 .* which is older by the order of deliveries, of 2024-01-09"
    ):
        take(dated, 2, "a,2,")
    assert versions(dated) == [("a", 1, 9, None)]


def backwards(name: str) -> date:
    return date(2024, 1, 10 - day_of(name).day)


@pytest.mark.parametrize(
    "problem", ["raises ValueError", "returns datetime without a time zone", "returns str without"]
)
def test_a_date_that_cannot_be_told_is_refused(dated: World, problem: str) -> None:
    functions = {"raises ValueError": fails, "returns datetime without a time zone": naive, "returns str without": text}
    dated.more = {"write": History(dated=functions[problem])}
    with pytest.raises(LoadError, match=f"dated of the source's History {problem}"):
        take(dated, 1, "a,1,")
    assert dated.query("SELECT to_regclass('core.goods_history') IS NULL OR (SELECT count(*) FROM etl.batch) = 0")


def fails(name: str) -> date:
    return date.fromisoformat(name)


def naive(name: str) -> date:
    return datetime.combine(day_of(name), datetime.min.time())


def text(name: str) -> Any:
    return name


def test_a_new_column_comes_last_in_the_view_and_the_function_returns_it(dated: World) -> None:
    take(dated, 1, "a,1,")
    dated.schema = replace(GOODS, columns=(*GOODS.columns, Column("place", "text")))
    dated.take("a,1,,Bern", file="2024-01-03.csv", header="code,amount,note,place")
    assert dated.query("SELECT code, place FROM core.goods") == [("a", "Bern")]
    assert dated.query("SELECT place FROM core.goods_as_of('2024-01-03Z')") == [("Bern",)]


def test_a_wider_column_keeps_the_rights_on_the_view(dated: World) -> None:
    take(dated, 1, "a,1,")
    execute(dated, "GRANT SELECT ON core.goods TO PUBLIC")
    dated.schema = wider(GOODS)
    dated.land("2024-01-01.csv")
    take(dated, 3, "a,1.5,")
    granted = "SELECT has_table_privilege('pg_monitor', 'core.goods', 'SELECT')"
    assert dated.query(granted) == [(True,)]


def test_a_wider_column_is_refused_while_other_views_use_it(dated: World) -> None:
    take(dated, 1, "a,1,")
    execute(dated, "CREATE VIEW core.mine AS SELECT amount FROM core.goods")
    dated.schema = wider(GOODS)
    with pytest.raises(IncompatibleTableError, match=r"other views use it: core\.mine"):
        take(dated, 3, "a,1.5,")


@pytest.mark.parametrize(("before", "after"), [(Upsert(), History()), (History(), Upsert())])
def test_a_load_makes_no_history_of_a_table_and_no_table_of_a_history(world: World, before: Any, after: Any) -> None:
    world.more = {"write": before}
    world.take("a,1,")
    world.more = {"write": after}
    with pytest.raises(IncompatibleTableError, match=r"Nothing was changed.*`etl-assets rebuild goods --swap`"):
        world.take("a,2,")
    assert world.rows() == [("a", 1, None)]


@pytest.mark.parametrize("relation", ["TABLE core.goods (code text)", "VIEW core.goods AS SELECT 'a' AS code"])
@pytest.mark.parametrize("mode", [Upsert(), History()])
def test_what_another_hand_made_is_not_offered_to_be_rebuilt(world: World, relation: str, mode: Any) -> None:
    with connected(world.url) as connection:
        connection.execute("CREATE SCHEMA core")
        connection.execute(f"CREATE {relation}".encode())
    world.more = {"write": mode}
    with pytest.raises(IncompatibleTableError, match="or rename the source"):
        world.take("a,1,")


def test_the_function_reads_the_table_by_its_indexes(dated: World) -> None:
    take(dated, 1, "a,1,")
    plan = dated.query("EXPLAIN SELECT amount FROM core.goods_as_of('2024-01-02Z') WHERE code = 'a'")
    assert "goods_history" in plan[0][0] or "goods_history" in plan[1][0]
    assert "Function Scan" not in str(plan)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"schema": ordered(GOODS)}, "versions of History are valid from moments"),
        ({"schema": replace(GOODS, repeated_keys="reject")}, "repeated_keys"),
        ({"schema": replace(GOODS, key=())}, "needs a key"),
        ({"write": History(("colour",))}, "has no column 'colour'"),
        ({"partitions": Files()}, "Write dated="),
        ({"schema": by_day(GOODS), "partition_by": PartitionBy("day")}, "which no child tables can have"),
    ],
)
def test_a_declaration_without_a_history_is_refused(world: World, changes: dict[str, Any], problem: str) -> None:
    world.more = {"write": changes.get("write", History())}
    world.schema = changes.get("schema", world.schema)
    world.files = "partitions" in changes
    world.more |= {name: changes[name] for name in changes.keys() & {"partition_by"}}
    with pytest.raises(DeclarationError, match=problem):
        _ = world.source
