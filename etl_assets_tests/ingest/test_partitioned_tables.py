"""Tables that are cut into child tables by a date: where rows go, in every write mode, and what is refused."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from etl_assets import Append, Column, PartitionBy, Replace, Schema, Snapshot, UniqueTogether, Upsert, ingest
from etl_assets.errors import IncompatibleTableError, LoadError
from etl_assets.extract.formats.csv import Csv
from etl_assets.postgres.connection import connected
from etl_assets.postgres.tables import range_partitions
from etl_assets.postgres.tables.upsert import TableWriter

if TYPE_CHECKING:
    from etl_assets.load.writers import Writer
    from etl_assets_tests.ingest.world import World

HEADER = "day,code,amount"
DAYS = Schema(
    (
        Column("day", "date", required=True),
        Column("code", "text", required=True),
        Column("amount", "integer"),
    ),
    key=("day", "code"),
)
BY_MONTH = PartitionBy("day", every="month")


def cut(world: World, by: PartitionBy = BY_MONTH, write: Writer | None = None, **changes: Any) -> World:
    """Return the same source with child tables."""
    schema = changes.pop("schema", DAYS)
    if write is not None and not write.needs_key and "keep_key" not in changes:
        schema = replace(schema, key=())
    changes.pop("keep_key", None)
    return world.other(schema=schema, more={"partition_by": by, "write": write or Upsert()}, **changes)


def children(world: World) -> dict[str, int]:
    """Return the child tables of the source, each with its number of rows."""
    table = f"core.{world.name}"
    found = world.query(
        f"SELECT c.relname, (SELECT count(*) FROM {table} t WHERE t.tableoid = c.oid) FROM pg_inherits i "
        f"JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '{table}'::regclass ORDER BY 1"
    )
    return {name.removeprefix(f"core.{world.name}."): rows for name, rows in found}


@pytest.mark.parametrize("write", [Upsert(), Snapshot(max_deleted=1.0), Append(), Replace()], ids=repr)
def test_rows_go_into_the_child_table_of_their_month(world: World, write: Writer) -> None:
    here = cut(world, write=write)
    here.take("2024-01-31,a,1", "2024-02-01,a,1", "2024-02-29,b,2", header=HEADER)
    assert children(here) == {"2024-01": 1, "2024-02": 2}
    here.take("2024-01-31,a,2", "2024-02-01,a,1", "2024-02-29,b,2", "2024-03-01,c,1", header=HEADER)
    own = 2 if isinstance(write, Append) else 1
    assert children(here) == {"2024-01": own, "2024-02": 2 * own, "2024-03": 1}
    assert here.violations() == []


def test_records_of_all_child_tables_are_found_again_and_updated(world: World) -> None:
    here = cut(world)
    first = [f"2024-{month:02d}-15,{code},1" for month in range(1, 13) for code in "abc"]
    assert here.take(*first, header=HEADER).written.inserted == 36
    changed = [line.removesuffix("1") + "2" if ",b," in line else line for line in first]
    report = here.take(*changed, "2025-01-01,d,1", header=HEADER)
    assert (report.written.inserted, report.written.updated, report.written.unchanged) == (1, 12, 24)
    assert here.violations() == []


@pytest.mark.parametrize("returns_old", [True, False])
def test_inserted_and_updated_rows_are_counted_by_servers_old_and_new(
    world: World, monkeypatch: pytest.MonkeyPatch, *, returns_old: bool
) -> None:
    if not returns_old:
        monkeypatch.setattr(TableWriter, "_returns_old", False)
    here = cut(world)
    here.take("2024-01-01,a,1", "2024-02-01,a,1", header=HEADER)
    written = here.take("2024-01-01,a,2", "2024-02-01,a,1", "2024-02-01,b,1", "2024-03-01,a,1", header=HEADER).written
    assert (written.inserted, written.updated, written.unchanged) == (2, 1, 1)
    assert here.violations() == []


def test_a_column_that_is_added_is_in_every_child_table_and_in_those_made_later(world: World) -> None:
    here = cut(world)
    here.take("2024-01-01,a,1", header=HEADER)
    with connected(here.url) as connection:
        connection.execute("ALTER TABLE core.goods ADD COLUMN gone text")
        connection.execute("ALTER TABLE core.goods DROP COLUMN gone")
    wider = cut(world, schema=replace(DAYS, columns=(*DAYS.columns, Column("note", "text"))))
    wider.take("2024-01-01,a,1,x", "2024-02-01,a,1,y", header=f"{HEADER},note")
    wider.take("2024-01-01,a,1,x", "2024-02-01,a,2,z", "2024-02-02,a,2,z", header=f"{HEADER},note")
    assert wider.query("SELECT day::text, amount, note FROM core.goods ORDER BY day") == [
        ("2024-01-01", 1, "x"),
        ("2024-02-01", 2, "z"),
        ("2024-02-02", 2, "z"),
    ]
    assert wider.violations() == []


@pytest.mark.parametrize(
    ("every", "names"),
    [
        ("day", ["0001-01-01", "1969-12-31", "2024-12-30", "9999-12-31"]),
        ("week", ["0001-W01", "1970-W01", "2025-W01", "9999-W52"]),
        ("month", ["0001-01", "1969-12", "2024-12", "9999-12"]),
        ("year", ["0001", "1969", "2024", "9999"]),
    ],
)
def test_child_tables_begin_and_end_with_the_calendar(world: World, every: Any, names: list[str]) -> None:
    here = cut(world, PartitionBy("day", every=every))
    for _ in range(2):
        here.take("0001-01-01,a,1", "1969-12-31,a,1", "2024-12-30,a,1", "9999-12-31,a,1", header=HEADER)
        assert children(here) == dict.fromkeys(names, 1)
        here.take("9999-12-31,a,2", header=HEADER)
    assert here.violations() == []


@pytest.mark.parametrize("zone", ["Europe/Vienna", None])
def test_an_instant_belongs_to_its_day_in_utc_and_a_reading_of_a_clock_to_its_own(
    world: World, zone: str | None
) -> None:
    formats = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f")
    column = Column("day", "timestamp", required=True, zone=zone, formats=formats)
    here = cut(world, PartitionBy("day", every="day"), schema=replace(DAYS, columns=(column, *DAYS.columns[1:])))
    lines = (
        "2024-03-31 00:59:59.999999,a,1",
        "2024-03-31 01:00:00,a,1",
        "2024-03-31 03:30:00,a,1",
        "2024-04-01 00:30:00,a,1",
        "2024-04-01 02:00:00,a,1",
    )
    here.take(*lines, header=HEADER)
    in_utc = {"2024-03-30": 1, "2024-03-31": 3, "2024-04-01": 1}
    assert children(here) == (in_utc if zone else {"2024-03-31": 3, "2024-04-01": 2})
    here.take(*lines, "9999-12-31 23:59:59.999999,a,1", header=HEADER)
    assert here.violations() == []


def test_a_session_with_another_time_zone_finds_the_same_child_tables(world: World) -> None:
    column = Column("day", "timestamp", required=True, zone="UTC")
    here = cut(world, PartitionBy("day", every="day"), schema=replace(DAYS, columns=(column, *DAYS.columns[1:])))
    here.take("2024-03-31 00:00:00,a,1", "2024-03-30 23:59:59.999999,a,1", header=HEADER)
    with connected(here.url) as connection:
        connection.execute("SET TimeZone TO 'Asia/Kathmandu'")
        query = "SELECT count(*) FROM core.goods WHERE day >= '2024-03-31 00:00+00'"
        assert connection.execute(query).fetchone() == (1,)


def test_partitions_that_are_loaded_at_once_make_each_child_table_once(world: World) -> None:
    here = cut(world, files=True)
    months = [f"2024-{month:02d}-01" for month in range(1, 13)]
    landed = []
    for number in range(4):
        here.publish(*(f"{day},{number},1" for day in months), file=f"{number}.csv", header=HEADER)
        landed.append(here.land(f"{number}.csv").delivery)
    errors: list[BaseException] = []

    def load(which: int) -> None:
        try:
            here.load(landed[which])
        except BaseException as error:  # noqa: BLE001 -- asserted below
            errors.append(error)

    threads = [threading.Thread(target=load, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert children(here) == {day[:7]: 4 for day in months}
    assert here.violations() == []


def test_a_child_table_is_made_while_somebody_reads_the_table_and_another_run_writes_it(world: World) -> None:
    here = cut(world)
    here.take("2024-01-01,a,1", header=HEADER)
    periods = BY_MONTH.periods_of(pl.Series([date(2024, 2, 1)]))
    with connected(here.url) as reader, connected(here.url) as writer, connected(here.url) as maker:
        maker.execute("SET lock_timeout = '1s'")
        with reader.transaction(), writer.transaction():
            reader.execute("SELECT FROM core.goods")
            writer.execute("INSERT INTO core.goods VALUES ('2024-01-02', 'x', 1, 1, 1, 1)")
            range_partitions.ensure(maker, "core.goods", BY_MONTH, periods)
            assert reader.execute("SELECT count(*) FROM core.goods").fetchone() == (1,)
    assert list(children(here)) == ["2024-01", "2024-02"]


def test_the_index_of_deliveries_covers_every_child_table(world: World) -> None:
    here = cut(world)
    report = here.take("2024-01-01,a,1", "2024-02-01,a,1", header=HEADER)
    source, warehouse = here.source, here.warehouse
    ingest.load(source, report.delivery, warehouse, "run", force=True)
    indexes = here.query(
        "SELECT count(*) FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indrelid JOIN pg_class c "
        "ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam WHERE h.inhparent = 'core.goods'::regclass "
        "AND m.amname = 'brin'"
    )
    assert indexes == [(2,)]
    assert here.violations() == []


def test_a_table_that_is_not_partitioned_is_refused_with_the_command_that_moves_it(world: World) -> None:
    whole = world.other(schema=DAYS)
    whole.take("2024-01-01,a,1", header=HEADER)
    here = cut(world)
    with pytest.raises(IncompatibleTableError, match=r"is not partitioned.*month of day.*rebuild goods --swap"):
        here.take("2024-01-02,a,1", header=HEADER)
    assert whole.rows() == [(date(2024, 1, 1), "a", 1)]
    assert [violation.split(":")[0] for violation in here.violations()] == [
        "constraints_are_there",
        "no_run_is_abandoned",  # as after every load that an error ends
    ]


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (PartitionBy("since"), "is partitioned by day, .* month of since"),
        (PartitionBy("day", every="day"), "has a child table from 2024-01-01 to 2024-02-01, .* day of day"),
        (PartitionBy("day", every="year"), "has a child table from 2024-01-01 to 2024-02-01, .* year of day"),
        (None, "is partitioned by day, and the declaration does not say so"),
    ],
)
def test_another_column_or_interval_is_refused(world: World, other: PartitionBy | None, problem: str) -> None:
    schema = Schema((*DAYS.columns, Column("since", "date", required=True)), key=("day", "code", "since"))
    cut(world, schema=schema).take("2024-01-01,a,1,2024-01-01", header=f"{HEADER},since")
    changed = world.other(schema=schema, more={"partition_by": other})
    with pytest.raises(IncompatibleTableError, match=problem):
        changed.take("2024-01-02,a,1,2024-01-01", header=f"{HEADER},since")
    assert any("constraints_are_there" in violation for violation in changed.violations())


def test_a_default_partition_that_was_added_by_hand_is_refused(world: World) -> None:
    here = cut(world)
    here.take("2024-01-01,a,1", header=HEADER)
    with connected(here.url) as connection:
        connection.execute("CREATE TABLE core.rest PARTITION OF core.goods DEFAULT")
    with pytest.raises(IncompatibleTableError, match=r"with bounds of its own"):
        here.take("2024-02-01,a,1", header=HEADER)
    assert here.query("SELECT count(*) FROM core.rest") == [(0,)]


def test_dates_that_would_make_too_many_child_tables_are_refused(world: World) -> None:
    here = cut(world, PartitionBy("day", every="day"))
    days = [date(1800, 1, 1) + timedelta(days=number) for number in range(range_partitions.MOST + 1)]
    with pytest.raises(LoadError, match=r"would have 1001 child tables.*1800-01-01.*longer periods"):
        here.other(format=Csv()).take(*(f"{day},a,1" for day in days), header=HEADER)
    assert children(here) == {}


def test_a_child_table_that_was_detached_by_hand_stops_the_load_and_loses_nothing(world: World) -> None:
    here = cut(world)
    here.take("2024-01-01,a,1", header=HEADER)
    with connected(here.url) as connection:
        connection.execute('ALTER TABLE core.goods DETACH PARTITION etl_partitions."core.goods.2024-01"')
    with pytest.raises(LoadError, match=r"is not attached to core.goods"):
        here.take("2024-01-01,a,2", header=HEADER)
    assert here.query('SELECT amount FROM etl_partitions."core.goods.2024-01"') == [(1,)]


def test_a_value_that_is_unique_with_the_column_is_claimed_within_its_child_table(world: World) -> None:
    rule = UniqueTogether("day", "amount")
    here = cut(world, schema=replace(DAYS, rules=(rule,)))
    here.take("2024-01-01,a,1", "2024-02-01,a,1", header=HEADER)
    report = here.take("2024-01-01,a,1", "2024-02-01,b,1", "2024-03-01,a,1", header=HEADER)
    assert list(report.rules.values()) == [1]
    assert report.counts.rejected == 1
    assert here.violations() == []


def test_a_long_name_of_a_table_has_child_tables_with_names_of_their_own(world: World) -> None:
    names = [f"{'a' * 49}{end}" for end in "xy"]
    for name in names:
        here = cut(world, PartitionBy("day", every="day"), name=name)
        here.take("2024-01-01,a,1", "2024-02-01,a,1", header=HEADER)
        assert here.query(f"SELECT count(*) FROM pg_inherits WHERE inhparent = 'core.{name}'::regclass") == [(2,)]


def test_corrected_records_make_the_child_table_that_they_need(world: World) -> None:
    here = cut(world)
    here.take("2024-01-01,a,1", "2024-13-01,b,1", header=HEADER)
    (record,) = here.waiting()
    here.correct(record, day="2024-02-01")
    here.replay(record.id)
    assert children(here) == {"2024-01": 1, "2024-02": 1}
    assert here.violations() == []


def test_a_row_without_a_value_of_the_column_is_rejected_also_without_a_key(world: World) -> None:
    here = cut(world, write=Append())
    report = here.take("2024-01-01,a,1", ",b,1", header=HEADER)
    assert (report.counts.inserted, report.counts.rejected) == (1, 1)
    assert here.violations() == []


def test_a_row_that_was_deleted_by_hand_is_found(world: World) -> None:
    here = cut(world)
    here.take("2024-01-01,a,1", "2024-02-01,b,1", header=HEADER)
    here.query("DELETE FROM core.goods WHERE code = 'b' RETURNING 1")
    found = " ".join(here.violations())
    assert "rows_are_as_many_as_entered" in found
    assert "lacks 1 rows that records" in found
