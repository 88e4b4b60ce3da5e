"""A replay works in pages, each in a transaction of its own, and leaves what a replay in one page leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.pq import TransactionStatus

from etl_assets import ingest
from etl_assets.errors import LoadError
from etl_assets.extract.formats.csv import Csv
from etl_assets.load import PostgresLoader
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import quarantine, replays
from etl_assets.schema import Column, References, Schema
from etl_assets_tests.ingest.world import GOODS

if TYPE_CHECKING:
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets_tests.ingest.world import World

LINES = ("a,1,", "B,2,", "C,three,", "d,4,", "B,5,later", "E,6,", "F,7,", "g,8,")
"""Five of the records wait: four until the pattern of the code is relaxed, one for its correction. One key is twice."""
RELAXED = replace(GOODS, columns=(Column("code", "text", required=True), *GOODS.columns[1:]))


@dataclass(frozen=True)
class FailingLoader(PostgresLoader):
    """Fails in the transaction of the replay with a given number."""

    number: int = 0

    def before_commit(self, connection: Connection, delivery: Delivery, entry: Entry) -> None:
        del connection, delivery
        if entry.number == self.number:
            raise LoadError("The server was unplugged.")


def replay(world: World, page: int) -> ingest.ReplayReport:
    return ingest.replay(world.source, world.warehouse, "replay", page=page)


def entries(world: World) -> list[tuple[Any, ...]]:
    """Return number, first and last record, and count of the replays in the ledger."""
    return world.query(
        "SELECT number, first_record, last_record, read FROM etl.batch WHERE kind = 'replay' ORDER BY id"
    )


def outcomes(world: World) -> list[tuple[Any, ...]]:
    return world.query("SELECT record_no, status, rules, replays FROM etl.rejected ORDER BY record_no")


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_pages_of_any_size_leave_what_one_page_leaves(world: World, page: int) -> None:
    world.take(*LINES)
    report = replay(world.other(schema=RELAXED), page)
    assert (report.counts.read, report.counts.rejected, report.replayed, report.deliveries) == (5, 1, 4, 1)
    assert world.rows() == [
        ("B", 5, "later"), ("E", 6, None), ("F", 7, None), ("a", 1, None), ("d", 4, None), ("g", 8, None)
    ]  # fmt: skip
    assert outcomes(world) == [
        (2, "replayed", ["code__pattern"], 1),
        (3, "open", ["amount__type"], 1),
        (5, "replayed", ["code__pattern"], 1),
        (6, "replayed", ["code__pattern"], 1),
        (7, "replayed", ["code__pattern"], 1),
    ]
    assert world.violations() == []


def test_each_page_has_its_entry_in_the_ledger(world: World) -> None:
    world.take(*LINES)
    replay(world.other(schema=RELAXED), 2)
    assert entries(world) == [(1, 2, 3, 2), (2, 5, 6, 2), (3, 7, 7, 1)]


def test_pages_are_of_one_delivery_and_the_oldest_comes_first(world: World) -> None:
    world.take("B,1,", "C,1,", "D,1,")
    world.take("E,2,", "F,2,")
    report = replay(world.other(schema=RELAXED), 2)
    pages = world.query("SELECT delivery_id, first_record, read FROM etl.batch WHERE kind = 'replay' ORDER BY id")
    assert pages == [(1, 1, 2), (1, 3, 1), (2, 1, 2)]
    assert report.deliveries == 2
    assert world.rows() == [("B", 1, None), ("C", 1, None), ("D", 1, None), ("E", 2, None), ("F", 2, None)]


def test_only_chosen_records_are_replayed_whatever_the_page(world: World) -> None:
    world.take(*LINES)
    relaxed = world.other(schema=RELAXED)
    chosen = [record.id for record in world.waiting() if record.record_no in {2, 6, 7}]
    report = ingest.replay(relaxed.source, relaxed.warehouse, "replay", chosen, page=2)
    assert report.counts.read == 3
    assert entries(world) == [(1, 2, 6, 2), (2, 7, 7, 1)]


def test_a_page_has_no_further_record_once_it_has_16_mib(world: World) -> None:
    big = world.other(format=Csv())
    big.take(*(f"B{letter},1,{'x' * 9_000_000}" for letter in "abc"))
    with connected(world.url) as connection:
        pages = [len(page) for page in replays.pages(connection, 1)]
    assert pages == [2, 1]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_replay_that_is_interrupted_between_pages_keeps_them_and_is_finished_by_the_next(
    world: World, number: int
) -> None:
    world.take(*LINES)
    failing = world.other(schema=RELAXED, more={"loader": FailingLoader(number=number)})
    with pytest.raises(LoadError, match="unplugged") as raised:
        replay(failing, 2)
    kept = 2 * (number - 1)
    assert ("which stay; replay again" in str(raised.value)) == (number > 1)
    assert not kept or f"{kept} records" in str(raised.value)
    assert sum(read for *_, read in entries(world)) == kept
    assert world.violations() == []
    waiting = len(world.waiting())
    assert replay(world.other(schema=RELAXED), 2).counts.read == waiting
    assert [status for _, status, *_ in outcomes(world)] == ["replayed", "open", "replayed", "replayed", "replayed"]
    assert world.violations() == []


def test_a_page_without_records_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="Write 1 or more"):
        replay(world, 0)


def test_records_are_released_page_by_page(world: World) -> None:
    schema = Schema(
        (Column("id", "integer", required=True), Column("code", "text", references=References("core.goods.code"))),
        key=("id",),
    )
    world.take("apple,1,")
    orders = world.other(name="orders", schema=schema)
    orders.take("1,plum", "2,fig", "3,plum", "4,fig", "5,plum", header="id,code")
    world.take("apple,1,", "plum,1,")
    parked = {record.record_no: record.id for record in orders.waiting()}
    for page in (1, 2, 100):
        released = ingest.releasable_ids(orders.source, orders.warehouse, page=page)
        assert released == [parked[1], parked[3], parked[5]]


def test_records_that_were_replayed_are_read_again_with_the_last_page_first(world: World) -> None:
    world.take(*LINES)
    world.other(schema=RELAXED).replay()
    with connected(world.url) as connection:
        pages = list(replays.pages(connection, 1, ("replayed",), size=3, last_first=True))
        numbers = [[record.record_no for record in replays.read(connection, page)] for page in pages]
    assert numbers == [[5, 6, 7], [2]]


def test_the_quarantine_is_streamed_with_few_records_in_memory(world: World) -> None:
    world.take(*LINES)
    with connected(world.url) as connection:
        records = quarantine.stream(connection, source="goods")
        assert next(records).record_no == 2
        assert connection.info.transaction_status == TransactionStatus.ACTIVE
        assert [record.record_no for record in records] == [3, 5, 6, 7]
