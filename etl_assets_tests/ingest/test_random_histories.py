"""Any history of deliveries, declarations, corrections and reloads ends in the table of a load from empty.

Files are landed in one order and loaded in another. Some are loaded twice, some restated, some interrupted and not
resumed until the end, some reloaded. Rejected records are corrected, and the declaration changes in between. Plain
Python computes what loading everything from empty under the last declaration gives.
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
from etl_assets.graph.assets.stream import Stream
from etl_assets.load import PostgresLoader
from etl_assets.load.transaction import BatchTransaction
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.runs import results
from etl_assets.schema import Column, Schema
from etl_assets.transform import Transformer
from etl_assets_tests.ingest.check import check

if TYPE_CHECKING:
    import pandas as pd

    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets_tests.ingest.world import World


@dataclass(frozen=True)
class Merged(Transformer):
    """Makes one key of two, and leaves records out."""

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["version"] < 3].replace({"code": {"b": "a"}})


@dataclass(frozen=True)
class Declared:
    """What changes in the declaration.

    Attributes:
        maximum: The greatest amount that is valid.
        ordered: Whether the version decides which record of a key is newer.
        merged: Whether the transformer is declared.
        two: What an amount of 2 is read as; the publisher may mean a missing value by it.
    """

    maximum: int | None = None
    ordered: bool = False
    merged: bool = False
    two: int | None = 2

    @property
    def schema(self) -> Schema:
        amount = Column("amount", "integer", maximum=self.maximum, null=() if self.two else ("2",))
        version = Column("version", "integer", required=True)
        columns = (Column("code", "text", required=True), amount, version, Column("pad", "text"))
        return Schema(columns, key=("code",), order_by="version" if self.ordered else None)

    def row(self, record: str) -> tuple[str, int | None, int] | None:
        """Return the row of a record, without its padding; None if it has none."""
        fields = record.split(",")
        if len(fields) != 3 or fields[1] == "bad":
            return None
        code, amount, version = fields[0], int(fields[1]), int(fields[2])
        value = self.two if amount == 2 else amount
        if (value is not None and self.maximum is not None and value > self.maximum) or (self.merged and version == 3):
            return None
        return ("a" if self.merged else code), value, version


PAD = "x" * 25
"""It makes a record about thirty bytes long, so that one or two records are a batch of the smallest size."""
NAMES = count()

RECORD = st.builds(
    lambda key, amount, version: f"{key},{amount},{version}",
    st.sampled_from("aaab"),
    st.sampled_from(["1", "1", "2", "7", "bad"]),
    st.sampled_from("11123"),
)
MALFORMED = st.sampled_from(["a", "b,1,1,1,1"])
RECORDS = st.lists(st.integers(0, 9).flatmap(lambda n: RECORD if n else MALFORMED), min_size=1, max_size=3)
FILE = st.sampled_from("pqr")
DECLARED = st.builds(
    Declared,
    st.sampled_from([None, 1, 2]),
    st.booleans(),
    st.sampled_from([False, False, True]),
    st.sampled_from([2, None]),
)
WHICH = st.integers(0, 5)
STEP = {
    "take": st.tuples(st.just("take"), FILE, RECORDS),
    "publish": st.tuples(st.just("publish"), FILE, RECORDS),
    "load": st.tuples(st.just("load"), WHICH, st.sampled_from([None, None, 0, 1])),
    "reload": st.tuples(st.just("reload"), WHICH, st.sampled_from([None, None, None, 0, 1])),
    "correct": st.tuples(st.just("correct"), WHICH, RECORD),
    "declare": st.tuples(st.just("declare"), DECLARED, st.none()),
}


def steps(*kinds: str, most: int) -> st.SearchStrategy[list[tuple[str, Any, Any]]]:
    return st.lists(st.sampled_from(kinds).flatmap(STEP.__getitem__), min_size=3, max_size=most)


STEPS = st.one_of(
    steps("take", "take", "take", "publish", "load", "reload", "correct", "correct", "declare", most=12),
    st.tuples(steps("take", most=4), steps("declare", "load", "load", "correct", "reload", most=8)).map(
        lambda phases: phases[0] + phases[1]
    ),
    st.tuples(steps("publish", most=5), steps("load", "load", "correct", "correct", "reload", most=8)).map(
        lambda phases: phases[0] + phases[1]
    ),
)


@dataclass
class History:
    """A source with a partition for each file, and its expected table."""

    world: World
    declared: Declared
    sent: dict[str, list[bytes]] = field(default_factory=dict)
    landed: list[tuple[int, str, list[str]]] = field(default_factory=list)
    corrections: dict[tuple[int, int], str] = field(default_factory=dict)

    def declare(self, declared: Declared) -> None:
        self.declared = declared
        self.world.schema = declared.schema
        self.world.more = {"transformer": Merged()} if declared.merged else {}

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

    def run_everything(self, order: list[int]) -> None:
        """Run every partition until no delivery is stale, as `etl-assets run` does: two passes must be enough."""
        files = sorted({file for _, file, _ in self.landed})
        source = self.world.source
        partitions = [f"{files[which]}.csv" for which in order if which < len(files)]
        for _ in range(2):
            for key in partitions:
                stream = Stream(
                    source, source.partition(key), "run", force=False, batches=(), on_refusal=lambda *_: None
                )
                stream.load(self.world.warehouse)
            with connected(self.world.url) as connection:
                complete = results.complete_partitions(connection, source.name, source.fingerprint)
            if complete == set(partitions):
                return
        raise AssertionError("two passes are not enough")

    def expected(self) -> list[tuple[Any, ...]]:
        """Return, per key, the newest valid record: by the order column if declared, file, delivery and number."""
        best: dict[str, tuple[Any, ...]] = {}
        for id_, file, records in self.landed:
            for number, published in enumerate(records, start=1):
                row = self.declared.row(self.corrections.get((id_, number), published))
                if row is not None:
                    code, amount, version = row
                    rank = (version if self.declared.ordered else 0, file, id_, number, amount, version)
                    best[code] = max(best.get(code, rank), rank, key=lambda rank: rank[:4])
        return [(code, amount, version, PAD) for code, (*_, amount, version) in sorted(best.items())]


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, last=st.permutations(range(3)), batch_bytes=st.sampled_from([64, 100, 4096]), declared=DECLARED)
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
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
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
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(ordered=True),
)
@example(
    # What a stricter declaration takes away gives way to an older delivery.
    steps=[("take", "p", ["a,1,1"]), ("take", "p", ["a,7,1"]), ("declare", Declared(maximum=1), None)],
    last=[0, 1, 2],
    batch_bytes=4096,
    declared=Declared(),
)
@example(
    # So it does in another partition, whichever is read first.
    steps=[("take", "p", ["a,1,1"]), ("take", "q", ["a,7,1"]), ("declare", Declared(maximum=1), None)],
    last=[0, 1, 2],
    batch_bytes=4096,
    declared=Declared(),
)
@example(
    # A declaration that comes back finds its rows again that another one has overwritten in between.
    steps=[
        ("take", "r", ["a,1,1"]),
        ("take", "p", ["a,1,2"]),
        ("declare", Declared(), None),
        ("load", 0, None),
        ("declare", Declared(ordered=True), None),
    ],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(ordered=True),
)
def test_any_history_ends_in_the_table_of_a_load_from_empty(
    world: World, steps: list[tuple[str, Any, Any]], last: list[int], batch_bytes: int, declared: Declared
) -> None:
    name = f"history{next(NAMES)}"
    here = world.other(name=name, files=True, format=Csv(batch_bytes=batch_bytes))
    history = History(here, declared)
    history.declare(declared)
    for step, first, second in steps:
        match step:
            case "declare":
                history.declare(first)
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
    if history.landed:
        history.run_everything(last)
        assert here.rows() == history.expected()
        assert check(here, history.sent) == []
        assert here.violations() == []
