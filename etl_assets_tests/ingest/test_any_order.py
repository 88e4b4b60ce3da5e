"""The table is as the feed defines, in whatever order deliveries come: twice, late, interrupted or corrected."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.csv import Csv
from etl_assets_tests.ingest.world import GOODS, ending_after

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

KEYS = st.sampled_from("abc")
AMOUNTS = st.one_of(st.integers(0, 2).map(str), st.just("bad"))
RECORDS = st.lists(st.tuples(KEYS, AMOUNTS), max_size=6)
FILES = st.sampled_from(["1.csv", "2.csv", "3.csv"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), FILES, RECORDS),
        st.tuples(st.just("interrupt"), FILES, RECORDS),
        st.tuples(st.just("correct"), st.integers(0, 20), st.integers(0, 2).map(str)),
    ),
    min_size=1,
    max_size=8,
)
NAMES = count()


@dataclass
class Oracle:
    """The expected table: for each key, the newest record by file, then delivery, then record number, as last read."""

    deliveries: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    corrections: dict[tuple[int, int], str] = field(default_factory=dict)

    def deliver(self, file: str, records: list[tuple[str, str]]) -> None:
        last = next((sent for name, sent in reversed(self.deliveries) if name == file), None)
        if last != records:
            self.deliveries.append((file, records))

    def table(self) -> list[tuple[str, int, None]]:
        winners: dict[str, tuple[tuple[str, int, int], int]] = {}
        for number, (file, records) in enumerate(self.deliveries):
            for place, (key, amount) in enumerate(records, start=1):
                value = self.corrections.get((number, place), amount)
                rank = (file, number, place)
                if value != "bad" and (key not in winners or winners[key][0] < rank):
                    winners[key] = (rank, int(value))
        return [(key, value, None) for key, (_, value) in sorted(winners.items())]


def take(world: World, oracle: Oracle, file: str, records: list[tuple[str, str]], *, interrupt: bool) -> None:
    # Amounts are padded so that three records make a batch; the schema strips the spaces again.
    lines = [f"{key},{amount:>600}," for key, amount in records]
    world.publish(*lines, file=file)
    delivery = world.land(file).delivery
    oracle.deliver(file, records)
    if interrupt:
        with contextlib.suppress(KeyboardInterrupt):
            world.load(delivery, ending_after(1))
    world.load(delivery)


def correct(world: World, oracle: Oracle, which: int, amount: str) -> None:
    waiting = world.waiting()
    if waiting:
        record = waiting[which % len(waiting)]
        world.correct(record, amount=amount)
        world.replay(record.id)
        ids = [id_ for (id_,) in world.query(f"SELECT id FROM etl.delivery WHERE source = '{world.name}' ORDER BY id")]
        oracle.corrections[ids.index(record.delivery_id), record.record_no] = amount


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_table_is_as_the_feed_defines_whatever_the_order(world: World, steps: list[tuple[str, Any, Any]]) -> None:
    stripped = replace(GOODS, columns=(GOODS["code"], GOODS["amount"].replace(strip=True), GOODS["note"]))
    here = world.other(name=f"goods{next(NAMES)}", files=True, schema=stripped, format=Csv(batch_bytes=2048))
    oracle = Oracle()
    for kind, first, second in steps:
        if kind == "correct":
            correct(here, oracle, first, second)
        else:
            take(here, oracle, first, second, interrupt=kind == "interrupt")
    if oracle.deliveries:
        assert here.rows() == oracle.table()
    assert here.violations() == []
