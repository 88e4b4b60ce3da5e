"""Any history of events, and of partitions that are replaced, ends in the table of a load from empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import Append, Replace
from etl_assets_tests.ingest.random_histories import NAMES, STEPS, Declared, History
from etl_assets_tests.ingest.test_random_snapshots import DECLARED, only_snapshots

if TYPE_CHECKING:
    from etl_assets.load.writers import Writer
    from etl_assets_tests.ingest.world import World

GIVEN = given(
    steps=STEPS.map(only_snapshots),
    last=st.permutations(range(3)),
    batch_bytes=st.sampled_from([64, 100, 4096]),
    declared=DECLARED,
)


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@GIVEN
@example(
    # A reload must not add the records of a batch that another run has written.
    steps=[("publish", "p", ["a,1,1", "a,1,1", "b,1,1"]), ("load", 0, 1), ("reload", 0, None)],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
)
def test_any_history_of_events_keeps_each_record_once(
    world: World, steps: list[tuple[str, Any, Any]], last: list[int], batch_bytes: int, declared: Declared
) -> None:
    history = carried_out(world, Append(), steps, last, batch_bytes, declared)
    if history.landed:
        assert found(history) == sorted(row for _, rows in yielded(history) for row in rows)
        assert history.world.violations() == []


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@GIVEN
@example(
    # A late delivery must not replace a newer one of its partition.
    steps=[("publish", "p", ["a,1,1"]), ("publish", "p", ["b,1,1"]), ("load", 1, None), ("load", 0, None)],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
)
def test_any_history_of_replaced_partitions_keeps_the_newest_delivery_of_each(
    world: World, steps: list[tuple[str, Any, Any]], last: list[int], batch_bytes: int, declared: Declared
) -> None:
    history = carried_out(world, Replace(), steps, last, batch_bytes, declared)
    if history.landed:
        newest = dict(yielded(history))
        assert found(history) == sorted(row for rows in newest.values() for row in rows)
        assert history.world.violations() == []


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@GIVEN
@example(
    # The mark of a row must be of the first record, or it would be lost when a newer one is read otherwise.
    steps=[("publish", "p", ["a,1,1"]), ("publish", "q", ["a,1,1"]), ("load", 1, None), ("load", 0, None)],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
)
def test_any_history_of_events_with_a_key_keeps_the_first_record_of_each(
    world: World, steps: list[tuple[str, Any, Any]], last: list[int], batch_bytes: int, declared: Declared
) -> None:
    history = carried_out(world, Append(), steps, last, batch_bytes, declared, keyless=False)
    if history.landed:
        first: dict[str, tuple[Any, ...]] = {}
        for _, rows in yielded(history):
            for row in rows:
                first.setdefault(row[0], row)
        assert found(history) == sorted(first.values())
        assert history.world.violations() == []


def carried_out(
    world: World,
    writer: Writer,
    steps: list[tuple[str, Any, Any]],
    last: list[int],
    batch_bytes: int,
    declared: Declared,
    *,
    keyless: bool = True,
) -> History:
    """Return a history after all of its steps, and a last run of each partition."""
    here = world.other(name=f"history{next(NAMES)}", files=True, format=Csv(batch_bytes=batch_bytes))
    history = History(here, declared, writer, keyless=keyless)
    history.declare(declared)
    history.take_steps(steps)
    if history.landed:
        history.run_everything(last)
    return history


def found(history: History) -> list[tuple[Any, ...]]:
    """Return the rows of the table, with nothing for null."""
    world = history.world
    return sorted(world.query(f"SELECT code, coalesce(amount, 0), version FROM core.{world.name}"))


def yielded(history: History) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """Return the file and the rows of each delivery, oldest first."""
    deliveries = []
    for (file, _), records in history.effective():
        rows = [row for row in (history.declared.row(text) for _, text in records) if row is not None]
        deliveries.append((file, [(code, amount or 0, version) for code, amount, version in rows]))
    return deliveries
