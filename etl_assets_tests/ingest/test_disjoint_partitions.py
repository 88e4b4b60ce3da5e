"""Partitions cut by a column of the key: each row belongs to its partition; partitions are written side by side."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Daily, FileExtractor, Files, Monthly, PostgresLoader, Static, UniqueTogether, ingest
from etl_assets.errors import DeclarationError, LoadError
from etl_assets.model.partitions import Weekly
from etl_assets.schema import Column, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.model.delivery import Delivery
    from etl_assets.model.partitions import Partitioning
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets.source import Source
    from etl_assets_tests.ingest.world import World

DAY = Column("day", "date", required=True)
SHOP = Column("shop", "text", required=True)
SALES = Schema((DAY, SHOP, Column("amount", "integer")), key=("day", "shop"))
HEADER = "day,shop,amount"


def sales(world: World, partitions: Partitioning, schema: Schema = SALES, **more: Any) -> Source:
    """Return a source whose files are named like its partitions."""
    declared = replace(world, name="sales", schema=schema).source
    extractor = FileExtractor(
        location=str(world.folder / "sales" / ("*.csv" if isinstance(partitions, Files) else "{key}.csv")),
        format=world.format,
        settle_seconds=0,
    )
    return replace(declared, extractor=extractor, partitions=partitions, **more)


def take(world: World, source: Source, key: str, *lines: str, header: str = HEADER, force: bool = False) -> Any:
    file = key if key.endswith(".csv") else f"{key}.csv"
    replace(world, name="sales").publish(*lines, file=file, header=header)
    landed = ingest.land(source, source.partition(key), world.warehouse)
    return ingest.load(source, landed.delivery, world.warehouse, "run", force=force)


def waiting(world: World) -> list[tuple[str, int, list[str]]]:
    records = replace(world, name="sales").waiting()
    return [(record.partition, record.record_no, record.rules) for record in records]


def test_a_record_of_another_day_waits_and_can_be_corrected(world: World) -> None:
    source = sales(world, Daily(date(2024, 1, 1), column="day"))
    report = take(world, source, "2024-02-29", "2024-02-29,a,1", "2024-03-01,a,2", "2024-02-28,b,3")
    assert report.rules == {"day__partition": 2}
    assert waiting(world) == [("2024-02-29", 2, ["day__partition"]), ("2024-02-29", 3, ["day__partition"])]
    assert "day lies in the partition that the record came in" in {rule.words for rule in source.rules}
    first, second = replace(world, name="sales").waiting()
    for record, day in ((first, "2024-02-29"), (second, "2024-02-27")):
        replace(world, name="sales", schema=SALES).correct(record, day=day, shop="c")
    assert ingest.replay(source, world.warehouse, "replay").replayed == 1
    assert world.query("SELECT day::text, shop, amount FROM core.sales ORDER BY shop") == [
        ("2024-02-29", "a", 1),
        ("2024-02-29", "c", 2),
    ]
    assert replace(world, name="sales").violations() == []


@pytest.mark.parametrize(
    ("partitions", "key", "inside", "outside"),
    [
        (Daily(date(2024, 1, 1), column="day"), "2024-02-29", ["2024-02-29"], ["2024-02-28", "2024-03-01"]),
        (Weekly(date(2024, 1, 7), column="day"), "2024-01-14", ["2024-01-14", "2024-01-20"], ["2024-01-21"]),
        (Monthly(date(2024, 1, 1), column="day"), "2024-02-01", ["2024-02-01", "2024-02-29"], ["2024-03-01"]),
    ],
)
def test_a_day_belongs_to_the_partition_that_covers_it(
    world: World, partitions: Partitioning, key: str, inside: list[str], outside: list[str]
) -> None:
    lines = [f"{day},{number},1" for number, day in enumerate([*inside, *outside])]
    take(world, sales(world, partitions), key, *lines)
    assert [number for _, number, _ in waiting(world)] == list(range(len(inside) + 1, len(lines) + 1))


def test_the_day_of_an_instant_is_the_day_in_the_zone_of_the_column(world: World) -> None:
    at = Column("at", "timestamp", required=True, zone="Europe/Vienna")
    source = sales(world, Daily(date(2024, 1, 1), column="at"), Schema((at, SHOP), key=("at", "shop")))
    lines = ("2024-07-01 00:00:00,a", "2024-07-01 23:59:59,b", "2024-07-02 00:00:00,c", "2024-06-30 23:59:59,d")
    take(world, source, "2024-07-01", *lines, header="at,shop")
    assert [number for _, number, _ in waiting(world)] == [3, 4]


def region(name: str) -> str:
    return name.partition("-")[0]


def test_each_file_of_a_source_has_one_value(world: World) -> None:
    source = sales(world, Files(column="shop", value=region))
    take(world, source, "north-1.csv", "2024-01-01,north,1", "2024-01-01,south,2")
    assert waiting(world) == [("north-1.csv", 2, ["shop__partition"])]


def test_a_second_file_of_the_same_value_is_refused(world: World) -> None:
    source = sales(world, Files(column="shop", value=region))
    take(world, source, "north-2.csv", "2024-01-01,north,2")
    with pytest.raises(LoadError, match=r"Partitions 'north-1.csv' and 'north-2.csv' of sales have the same shop"):
        take(world, source, "north-1.csv", "2024-01-01,north,1")
    assert world.query("SELECT amount FROM core.sales") == [(2,)]


def test_a_name_is_the_value_of_its_partition(world: World) -> None:
    source = sales(world, Static(("north", "south"), column="shop"))
    take(world, source, "south", "2024-01-01,north,1", "2024-01-01,south,2")
    assert waiting(world) == [("south", 1, ["shop__partition"])]


@pytest.mark.parametrize(
    ("partitions", "schema", "problem"),
    [
        (Daily(date(2024, 1, 1), column="week"), SALES, "are cut by 'week', no column"),
        (Daily(date(2024, 1, 1), column="shop"), SALES, "are cut by 'shop', which is text. Cut them by a column of"),
        (Static(("a",), column="day"), SALES, "are cut by 'day', which is date. Cut them by a column of type text"),
        (Daily(date(2024, 1, 1), column="day"), replace(SALES, key=("shop",)), "which is not in the key"),
        (Files(column="shop", value=eval("lambda name: name")), SALES, "whose source cannot be read"),  # noqa: S307
    ],
)
def test_a_column_that_cannot_make_partitions_disjoint_is_refused(
    world: World, partitions: Partitioning, schema: Schema, problem: str
) -> None:
    with pytest.raises(DeclarationError) as error:
        sales(world, partitions, schema)
    assert problem in str(error.value)


@dataclass(frozen=True, eq=False)
class Pausing(PostgresLoader):
    """Waits in the transaction of a batch until the test lets it continue."""

    reached: threading.Event
    go_on: threading.Event

    def before_commit(self, connection: Connection, delivery: Delivery, entry: Entry) -> None:  # noqa: ARG002 -- waits alone
        self.reached.set()
        assert self.go_on.wait(30)


@pytest.fixture
def pausing() -> Iterator[Pausing]:
    loader = Pausing(threading.Event(), threading.Event())
    yield loader
    loader.go_on.set()


def is_written_concurrently(world: World, source: Source, pausing: Pausing) -> bool:
    """Return whether a partition is written while the transaction of another is open."""
    paused = threading.Thread(
        target=take, args=(world, replace(source, loader=pausing), "2024-01-01", "2024-01-01,a,1"), daemon=True
    )
    beside = threading.Thread(target=take, args=(world, source, "2024-01-02", "2024-01-02,a,1"), daemon=True)
    paused.start()
    assert pausing.reached.wait(30)
    beside.start()
    beside.join(1.5)
    done = not beside.is_alive()
    pausing.go_on.set()
    paused.join(30)
    beside.join(30)
    assert world.query("SELECT count(*) FROM core.sales") == [(2,)]
    return done


def test_disjoint_partitions_are_written_side_by_side(world: World, pausing: Pausing) -> None:
    source = sales(world, Daily(date(2024, 1, 1), column="day"))
    take(world, source, "2024-01-03", "2024-01-01,z,1")
    assert is_written_concurrently(world, source, pausing)


def test_partitions_that_may_share_keys_are_written_one_after_the_other(world: World, pausing: Pausing) -> None:
    source = sales(world, Daily(date(2024, 1, 1)))
    take(world, source, "2024-01-03")
    assert not is_written_concurrently(world, source, pausing)


def test_partitions_that_may_share_unique_values_are_written_one_after_the_other(
    world: World, pausing: Pausing
) -> None:
    schema = Schema((DAY, SHOP, Column("amount", "integer", unique=True)), key=("day", "shop"))
    source = sales(world, Daily(date(2024, 1, 1), column="day"), schema)
    take(world, source, "2024-01-03")
    paused = replace(source, loader=pausing)
    thread = threading.Thread(target=take, args=(world, paused, "2024-01-01", "2024-01-01,a,1"), daemon=True)
    thread.start()
    assert pausing.reached.wait(30)
    beside = threading.Thread(target=take, args=(world, source, "2024-01-02", "2024-01-02,a,1"), daemon=True)
    beside.start()
    beside.join(1.5)
    assert beside.is_alive()
    pausing.go_on.set()
    beside.join(30)
    assert [rules for _, _, rules in waiting(world)] == [["amount__unique"]]


def test_partitions_are_disjoint_if_a_unique_group_contains_their_column(world: World, pausing: Pausing) -> None:
    schema = replace(SALES, rules=(UniqueTogether("day", "amount"),))
    source = sales(world, Daily(date(2024, 1, 1), column="day"), schema)
    take(world, source, "2024-01-03")
    assert is_written_concurrently(world, source, pausing)


def test_rows_that_were_loaded_before_are_checked_once(world: World) -> None:
    before = sales(world, Daily(date(2024, 1, 1)))
    take(world, before, "2024-01-01", "2024-01-01,a,1", "2024-01-05,b,1")
    source = sales(world, Daily(date(2024, 1, 1), column="day"))
    with pytest.raises(
        LoadError, match=r"has rows that came in partition '2024-01-01' of sales, but belong to another"
    ):
        take(world, source, "2024-01-02", "2024-01-02,a,1")
    assert world.query("SELECT count(*) FROM core.sales") == [(2,)]
    world.query("DELETE FROM core.sales WHERE shop = 'b' RETURNING 1")
    take(world, source, "2024-01-02", "2024-01-02,a,1")
    (known,) = world.query("SELECT source, declaration FROM etl.disjoint_partitions")
    assert known[0] == "sales"
    assert known[1].startswith("Daily day")


def test_the_partitions_of_a_new_table_are_known_to_be_disjoint_from_the_start(world: World) -> None:
    source = sales(world, Static(("north", "south"), column="shop"))
    take(world, source, "south", "2024-01-01,south,2")
    assert len(world.query("SELECT FROM etl.disjoint_partitions")) == 1


def test_the_partition_column_is_part_of_the_fingerprint(world: World) -> None:
    partitionings = [
        Daily(date(2024, 1, 1)),
        Daily(date(2024, 1, 1), column="day"),
        Files(column="shop"),
        Files(column="shop", value=region),
    ]
    assert len({sales(world, partitions).fingerprint for partitions in partitionings}) == len(partitionings)
    assert sales(world, partitionings[-1]).fingerprint == sales(world, Files(column="shop", value=region)).fingerprint
