"""Any history of deliveries, in any order of loading, ends in the table that the records and their order define.

Files are landed in one order and loaded in another. Some are loaded twice, some restated, some interrupted and not
resumed until the end, some reloaded. Rejected records are corrected in between. Plain Python computes the expected
table from what was published.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl_assets import ingest
from etl_assets.extract.formats.csv import Csv
from etl_assets.load import PostgresLoader
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.schema import Column, Schema
from etl_assets_tests.ingest.check import check

if TYPE_CHECKING:
    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets_tests.ingest.world import World

SCHEMA = Schema(
    (
        Column("code", "text", required=True),
        Column("amount", "integer"),
        Column("version", "integer", required=True),
        Column("pad", "text"),
    ),
    key=("code",),
)
PAD = "x" * 25
"""It makes a record about thirty bytes long, so that one or two records are a batch of the smallest size."""
NAMES = count()

RECORD = st.builds(
    lambda key, amount, version: f"{key},{amount},{version}",
    st.sampled_from("aaab"),
    st.sampled_from(["1", "1", "2", "bad"]),
    st.sampled_from("1112"),
)
MALFORMED = st.sampled_from(["a", "b,1,1,1,1"])
RECORDS = st.lists(st.integers(0, 9).flatmap(lambda n: RECORD if n else MALFORMED), min_size=1, max_size=3)
FILE = st.sampled_from("pqr")
WHICH = st.integers(0, 5)
STEP = {
    "take": st.tuples(st.just("take"), FILE, RECORDS),
    "publish": st.tuples(st.just("publish"), FILE, RECORDS),
    "load": st.tuples(st.just("load"), WHICH, st.sampled_from([None, None, 0, 1])),
    "reload": st.tuples(st.just("reload"), WHICH, st.sampled_from([None, None, None, 0, 1])),
    "correct": st.tuples(st.just("correct"), WHICH, RECORD),
}


def steps(*kinds: str, most: int) -> st.SearchStrategy[list[tuple[str, Any, Any]]]:
    return st.lists(st.sampled_from(kinds).flatmap(STEP.__getitem__), min_size=3, max_size=most)


STEPS = st.one_of(
    steps("take", "take", "take", "publish", "load", "reload", "correct", "correct", most=12),
    st.tuples(steps("publish", most=5), steps("load", "load", "correct", "correct", "reload", most=8)).map(
        lambda phases: phases[0] + phases[1]
    ),
)


@dataclass
class History:
    """A source with a partition for each file, and its expected table."""

    world: World
    ordered: bool
    sent: dict[str, list[bytes]] = field(default_factory=dict)
    landed: list[tuple[int, str, list[str]]] = field(default_factory=list)
    corrections: dict[tuple[int, int], str] = field(default_factory=dict)

    def publish(self, file: str, records: list[str]) -> None:
        lines = [record if record.count(",") != 2 else f"{record},{PAD}" for record in records]
        self.world.publish(*lines, file=f"{file}.csv", header="code,amount,version,pad")
        bytes_ = (self.world.folder / self.world.name / f"{file}.csv").read_bytes()
        self.sent[sha256(bytes_).hexdigest()] = [line.encode() for line in lines]
        landed = self.world.land(f"{file}.csv")
        known = [id_ for id_, name, _ in self.landed if name == file]
        assert landed.new == (not known or landed.delivery.id != known[-1])
        if landed.new:
            self.landed.append((landed.delivery.id, file, records))

    def load(self, which: int, batches: int | None = None, *, reload: bool = False) -> None:
        """Load a delivery; interrupt it after some batches, if that many are left."""
        if not self.landed:
            return

        class Interrupted(BatchTransaction):
            left = 99 if batches is None else batches

            def write_entry(self, entry: Entry) -> None:
                if type(self).left == 0:
                    raise KeyboardInterrupt
                type(self).left -= 1
                super().write_entry(entry)

        id_ = self.landed[which % len(self.landed)][0]
        with connected(self.world.url) as connection:
            delivery = deliveries.by_id(connection, id_)
        assert delivery is not None
        source = replace(self.world.source, loader=PostgresLoader(transaction=Interrupted))
        with contextlib.suppress(KeyboardInterrupt):
            ingest.load(source, delivery, self.world.warehouse, "run", force=reload)

    def correct(self, which: int, text: str) -> None:
        waiting = self.world.waiting()
        if not waiting:
            return
        record = waiting[which % len(waiting)]
        code, amount, version = text.split(",")
        self.world.correct(record, code=code, amount=amount, version=version, pad=PAD)
        self.world.replay(record.id)
        self.corrections[record.delivery_id, record.record_no] = text

    def expected(self) -> list[tuple[Any, ...]]:
        """Return, per key, the newest valid record: by the order column if declared, file, delivery and number."""
        best: dict[str, tuple[Any, ...]] = {}
        for id_, file, records in self.landed:
            for number, published in enumerate(records, start=1):
                code, amount, version, *_ = [*self.corrections.get((id_, number), published).split(","), "bad", "bad"]
                if amount != "bad" and (self.corrections.get((id_, number), published).count(",") == 2):
                    rank = (int(version) if self.ordered else 0, file, id_, number, int(amount), int(version))
                    best[code] = max(best.get(code, rank), rank)
        return [(code, amount, version, PAD) for code, (*_, amount, version) in sorted(best.items())]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=STEPS, last=st.permutations(range(20)), batch_bytes=st.sampled_from([64, 100, 4096]), ordered=st.booleans()
)
@example(
    # A file in between must not overwrite a row that a correction only confirmed.
    steps=[
        ("publish", "p", ["a,1,1"]),
        ("publish", "r", ["a,bad,1"]),
        ("load", 0, None),
        ("load", 1, None),
        ("correct", 0, "a,1,1"),
        ("publish", "q", ["a,2,1"]),
        ("load", 2, None),
    ],
    last=list(range(20)),
    batch_bytes=64,
    ordered=False,
)
@example(
    # The reload of a file must not delete a row that a newer file confirmed.
    steps=[
        ("publish", "p", ["a,1,1"]),
        ("publish", "q", ["a,1,1", "b,1,1"]),
        ("load", 0, None),
        ("load", 1, None),
        ("reload", 0, None),
    ],
    last=list(range(20)),
    batch_bytes=64,
    ordered=True,
)
def test_any_history_ends_in_the_table_that_its_records_define(
    world: World, steps: list[tuple[str, Any, Any]], last: list[int], batch_bytes: int, *, ordered: bool
) -> None:
    schema = replace(SCHEMA, order_by="version" if ordered else None)
    name = f"history{next(NAMES)}"
    here = world.other(name=name, files=True, schema=schema, format=Csv(batch_bytes=batch_bytes))
    history = History(here, ordered)
    for step, first, second in steps:
        match step:
            case "publish" | "take":
                history.publish(first, second)
                if step == "take":
                    history.load(-1)
            case "correct":
                history.correct(first, second)
            case "reload":
                history.load(first, second, reload=True)
            case _:
                history.load(first, second)
    for which in last:
        if which < len(history.landed):
            history.load(which)
    if history.landed:
        assert here.rows() == history.expected()
        assert check(here, history.sent) == []
