"""Random histories of deliveries, declarations, corrections and reloads, and the table that each must end in.

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

from hypothesis import strategies as st

from etl_assets import ingest
from etl_assets.graph.assets.stream import Stream
from etl_assets.load import PostgresLoader
from etl_assets.load.transaction import BatchTransaction
from etl_assets.load.writers import Upsert
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.runs import results
from etl_assets.schema import Column, Schema
from etl_assets.transform import Transformer
from etl_assets_tests.ingest.world import ending_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from etl_assets.load.writers import Writer
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

    def is_left_out(self, record: str) -> bool:
        """Return whether the transformer leaves a valid record out."""
        return self.merged and replace(self, merged=False).row(record) is not None and self.row(record) is None

    def key_of_rejected(self, record: str) -> str | None:
        """Return the key of an invalid record; None if nobody can tell, as for any record of a transformer."""
        fields = record.split(",")
        return None if self.merged or len(fields) != 3 else fields[0]


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
    writer: Writer = field(default_factory=Upsert)
    keyless: bool = False
    sent: dict[str, list[bytes]] = field(default_factory=dict)
    landed: list[tuple[int, str, list[str]]] = field(default_factory=list)
    corrections: dict[tuple[int, int], str] = field(default_factory=dict)

    def declare(self, declared: Declared) -> None:
        self.declared = declared
        self.world.schema = replace(declared.schema, key=()) if self.keyless else declared.schema
        self.world.more = {"write": self.writer, **({"transformer": Merged()} if declared.merged else {})}

    def published(self, record: str) -> str:
        """Return a record as it is published."""
        return record

    def publish(self, file: str, records: list[str]) -> None:
        lines = [record if record.count(",") != 2 else f"{self.published(record)},{PAD}" for record in records]
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

        id_ = self.landed[which % len(self.landed)][0]
        with connected(self.world.url) as connection:
            delivery = deliveries.by_id(connection, id_)
        assert delivery is not None
        transaction = BatchTransaction if batches is None else ending_after(batches)
        source = replace(self.world.source, loader=PostgresLoader(transaction=transaction))
        with contextlib.suppress(KeyboardInterrupt):
            ingest.load(source, delivery, self.world.warehouse, "run", force=reload)

    def correct(self, which: int, text: str) -> None:
        waiting = self.world.waiting()
        if not waiting:
            return
        record = waiting[which % len(waiting)]
        code, amount, version = self.published(text).split(",")
        self.world.correct(record, code=code, amount=amount, version=version, pad=PAD)
        self.world.replay(record.id)
        self.corrections[record.delivery_id, record.record_no] = text

    def run_everything(self, order: list[int]) -> None:
        """Run every partition until no delivery is stale, as `etl-assets run` does: two passes must be enough."""
        source, partitions = self.world.source, self.partitions(order)
        for _ in range(2):
            for key in partitions:
                stream = Stream(
                    source, source.partition(key), "run", force=False, batches=(), on_refusal=lambda *_: None
                )
                stream.load(self.world.warehouse)
            with connected(self.world.url) as connection:
                complete = results.complete_partitions(connection, source.name, source.fingerprint)
            if complete == {key or "" for key in partitions}:
                return
        raise AssertionError("two passes are not enough")

    def partitions(self, order: list[int]) -> list[str | None]:
        """Return the partitions in some order."""
        files = sorted({file for _, file, _ in self.landed})
        return [f"{files[which]}.csv" for which in order if which < len(files)]

    def take_steps(self, steps: list[tuple[str, Any, Any]]) -> None:
        """Do what the steps say."""
        for step, first, second in steps:
            match step:
                case "declare":
                    self.declare(first)
                case "publish" | "take":
                    self.publish(first, second)
                    if step == "take":
                        self.load(-1)
                case "correct":
                    self.correct(first, second)
                case "reload":
                    self.load(first, second, reload=True)
                case _:
                    self.load(first, second)

    def effective(self) -> Iterator[tuple[tuple[str, int], list[tuple[int, str]]]]:
        """Yield the deliveries, oldest first: their order, and number and text of each record as corrected."""
        for id_, file, records in sorted(self.landed, key=lambda landed: (landed[1], landed[0])):
            texts = [(n, self.corrections.get((id_, n), text)) for n, text in enumerate(records, start=1)]
            yield (file, id_), texts
