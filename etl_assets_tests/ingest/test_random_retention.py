"""Any history of a table with child tables, and of what it keeps, ends in the table of a load from empty."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl_assets import Append, Column, PartitionBy, Replace, Snapshot, Upsert, ingest
from etl_assets.extract.formats.csv import Csv
from etl_assets.transform import Transformer
from etl_assets_tests.ingest import test_random_histories, test_random_snapshots
from etl_assets_tests.ingest.check import check
from etl_assets_tests.ingest.random_histories import DECLARED, NAMES, STEPS, Declared, History
from etl_assets_tests.ingest.test_random_record_rows import yielded
from etl_assets_tests.ingest.test_random_snapshots import only_snapshots

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from etl_assets import Schema
    from etl_assets.load.writers import Writer
    from etl_assets_tests.ingest.world import World

    Steps = list[tuple[str, Any, Any]]

TODAY: Final = datetime.now(UTC).date()
OLD, NEW = TODAY - timedelta(days=40), TODAY - timedelta(days=5)
DAYS: Final = {"a": OLD.isoformat(), "b": NEW.isoformat()}
KEPT: Final = {None: None, "100 days": 100, "6 weeks": 42, "20 days": 20, "2 weeks": 14, "3 days": 3}
"""What is declared to be kept, and the number of days."""
KEEP: Final = st.tuples(st.just("keep"), st.sampled_from(list(KEPT)), st.none())


@dataclass(frozen=True)
class OneDay(Transformer):
    """Makes one day of two, and leaves records out."""

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        kept = frame[frame["version"] < 3]
        return kept.assign(code=kept["code"].where(kept["code"] != NEW, OLD))


@dataclass(frozen=True)
class Dated(Declared):
    """The same with a day as the key."""

    @property
    def schema(self) -> Schema:
        first, *others = super().schema.columns
        return replace(super().schema, columns=(Column(first.name, "date", required=True), *others))

    def row(self, record: str) -> tuple[str, int | None, int] | None:
        row = replace(self, merged=False).row(record) if self.merged else super().row(record)
        if row is None or not self.merged:
            return row
        return None if row[2] == 3 else (DAYS["a"], *row[1:])


@dataclass
class DatedHistory(History):
    """The history of a table with child tables, of which old ones are dropped."""

    every: Literal["day", "month"] = "day"
    keep: str | None = None
    kept_from: date | None = None

    def declare(self, declared: Declared) -> None:
        super().declare(declared)
        self.world.more["partition_by"] = PartitionBy("code", every=self.every, keep=self.keep)
        if declared.merged:
            self.world.more["transformer"] = OneDay()

    def take_steps(self, steps: Steps) -> None:
        for step in steps:
            if step[0] == "keep":
                self.keep = step[1]
                self.declare(self.declared)
                self.drop()
            else:
                super().take_steps([step])
            self.move()

    def drop(self) -> None:
        """Drop without a load."""
        ingest.drop_expired(self.world.source, self.world.warehouse)

    def move(self) -> None:
        """Note from when on rows are kept now: whatever makes the table, or changes it, drops what is declared."""
        days = KEPT[self.keep]
        if days is None or self.world.query(f"SELECT to_regclass('core.{self.world.name}')") == [(None,)]:
            return
        oldest = TODAY - timedelta(days=days)
        first = oldest if self.every == "day" else oldest.replace(day=1)
        self.kept_from = max(self.kept_from or first, first)

    def kept(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return the rows that are not too old, with a date for the text of their day."""
        dated = [(date.fromisoformat(day), *cells) for day, *cells in rows]
        return [row for row in dated if self.kept_from is None or row[0] >= self.kept_from]


def with_days(steps: Steps) -> Steps:
    """Return the steps with a day for each letter."""

    def of(record: str) -> str:
        first, *others = record.split(",")
        return ",".join([DAYS.get(first, first), *others])

    changed: Steps = []
    for step, first, second in steps:
        match step:
            case "take" | "publish":
                changed.append((step, first, [of(record) for record in second]))
            case "correct":
                changed.append((step, first, of(second)))
            case "declare":
                changed.append((step, Dated(**vars(first)), second))
            case _:
                changed.append((step, first, second))
    return changed


def keeping(steps: Steps, keeps: list[tuple[int, Any]]) -> Steps:
    """Return the steps with some more between them."""
    mixed = list(steps)
    for place, keep in keeps:
        mixed.insert(place % (len(mixed) + 1), keep)
    return mixed


KEEPS = st.lists(st.tuples(st.integers(0, 12), KEEP), max_size=3)
GIVEN = given(
    steps=st.builds(keeping, STEPS, KEEPS),
    last=st.permutations(range(3)),
    batch_bytes=st.sampled_from([64, 100, 4096]),
    declared=DECLARED,
    every=st.sampled_from(["day", "month"]),
)
DROPPED_AND_BACK = example(
    # What was dropped must not come back by a reload, by a late delivery or by a correction.
    steps=[
        ("take", "p", ["a,1,1", "b,1,1"]),
        ("publish", "q", ["a,7,1", "b,7,1", "a,bad,1"]),
        ("keep", "20 days", None),
        ("load", 1, None),
        ("reload", 0, None),
        ("correct", 0, "a,2,1"),
        ("keep", None, None),
        ("reload", 1, None),
    ],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
    every="day",
)
BETWEEN_BATCHES = example(
    # A load that is interrupted goes on after rows of its first batches were dropped.
    steps=[
        ("publish", "p", ["a,1,1", "a,2,1", "b,1,1", "b,2,1"]),
        ("load", 0, 2),
        ("keep", "3 days", None),
        ("load", 0, None),
        ("take", "p", ["a,7,1"]),
    ],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
    every="day",
)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@GIVEN
@DROPPED_AND_BACK
@BETWEEN_BATCHES
def test_any_history_of_upserts(world: World, **arguments: Any) -> None:
    ends_in(world, Upsert(), test_random_histories.expected, **arguments)


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@GIVEN
@DROPPED_AND_BACK
@BETWEEN_BATCHES
def test_any_history_of_snapshots(world: World, **arguments: Any) -> None:
    ends_in(world, Snapshot(max_deleted=1.0), test_random_snapshots.expected, **arguments)


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@GIVEN
@DROPPED_AND_BACK
@BETWEEN_BATCHES
def test_any_history_of_events(world: World, **arguments: Any) -> None:
    ends_in(world, Append(), every_record, keyless=True, **arguments)


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@GIVEN
@DROPPED_AND_BACK
@BETWEEN_BATCHES
def test_any_history_of_events_with_a_key(world: World, **arguments: Any) -> None:
    ends_in(world, Append(), first_records, **arguments)


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@GIVEN
@DROPPED_AND_BACK
@BETWEEN_BATCHES
def test_any_history_of_replaced_partitions(world: World, **arguments: Any) -> None:
    ends_in(world, Replace(), newest_deliveries, keyless=True, **arguments)


def every_record(history: History) -> list[tuple[Any, ...]]:
    """Return the rows of all records."""
    return [row for _, rows in yielded(history) for row in rows]


def first_records(history: History) -> list[tuple[Any, ...]]:
    """Return the first row of each key."""
    first: dict[str, tuple[Any, ...]] = {}
    for row in every_record(history):
        first.setdefault(row[0], row)
    return list(first.values())


def newest_deliveries(history: History) -> list[tuple[Any, ...]]:
    """Return the rows of the newest delivery of each file."""
    return [row for rows in dict(yielded(history)).values() for row in rows]


def ends_in(
    world: World,
    writer: Writer,
    expected: Callable[[History], list[tuple[Any, ...]]],
    *,
    steps: Steps,
    last: list[int],
    batch_bytes: int,
    declared: Declared,
    every: Literal["day", "month"],
    keyless: bool = False,
) -> None:
    """Carry a history out, and compare the rows, the counts and the quarantine with what they must be."""
    if not isinstance(writer, Upsert):
        steps, declared = only_snapshots(steps), replace(declared, ordered=False)
    here = world.other(name=f"kept{next(NAMES)}", files=True, format=Csv(batch_bytes=batch_bytes))
    history = DatedHistory(here, Dated(**vars(declared)), writer, keyless=keyless, every=every)
    history.declare(history.declared)
    history.take_steps(with_days(steps))
    if not history.landed:
        return
    history.run_everything(last)
    history.move()
    found = here.query(f"SELECT code, coalesce(amount, 0), version FROM core.{here.name}")
    rows = [(day, amount or 0, version) for day, amount, version, *_ in expected(history)]
    assert sorted(found) == sorted(history.kept(rows))
    assert check(here, history.sent) == []
    assert here.violations() == []
