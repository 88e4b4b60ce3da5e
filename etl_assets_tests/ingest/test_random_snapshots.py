"""Any history of snapshots ends in the table of a load from empty, whichever are late, reloaded or corrected.

If a snapshot marks rows, so do the times since which no delivery has their keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import Snapshot
from etl_assets_tests.ingest.random_histories import NAMES, PAD, STEPS, Declared, History

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from etl_assets_tests.ingest.world import World

DECLARED = st.builds(
    lambda maximum, merged: Declared(maximum, merged=merged),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([False, False, True]),
)


def only_snapshots(steps: list[tuple[str, Any, Any]]) -> list[tuple[str, Any, Any]]:
    """Return the steps with declarations that a snapshot can have: without an order column."""
    return [
        (step, Declared(first.maximum, merged=first.merged, two=first.two) if step == "declare" else first, second)
        for step, first, second in steps
    ]


@pytest.mark.parametrize(("mark", "swap_from"), [(False, None), (False, 1), (True, None)])
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    steps=STEPS.map(only_snapshots),
    last=st.permutations(range(3)),
    batch_bytes=st.sampled_from([64, 100, 4096]),
    declared=DECLARED,
)
@example(
    # A late delivery must not bring a key back that a newer one no longer has.
    steps=[("publish", "p", ["a,1,1", "b,1,1"]), ("publish", "q", ["a,1,1"]), ("load", 1, None), ("load", 0, None)],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
)
@example(
    # It must bring it if every newer one has rejected it.
    steps=[("publish", "p", ["a,1,1", "b,1,1"]), ("publish", "q", ["a,1,1", "b,bad,1"]), ("load", 1, None)],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
)
@example(
    # A correction that is invalid again may publish a key that the delivery did not have.
    steps=[("take", "p", ["a,1,1", "b,1,1"]), ("take", "q", ["a,1,1", "a,bad,1"]), ("correct", 0, "b,bad,1")],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
)
@example(
    # What a late delivery decided while a newer one was being reloaded is decided again.
    steps=[
        ("take", "p", ["a,1,1", "b,1,1"]),
        ("take", "q", ["a,1,1", "a,1,1", "a,bad,1"]),
        ("declare", Declared(merged=True), None),
        ("load", 1, 1),
        ("load", 0, None),
    ],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
)
@example(
    # A key that the newest delivery turns out not to have: the one before, which had confirmed its row, has it.
    steps=[
        ("take", "p", ["a,1,1", "b,1,1"]),
        ("take", "q", ["a,2,1", "b,1,1"]),
        ("take", "r", ["a,1,1", "b,bad,1"]),
        ("correct", 0, "a,1,1"),
    ],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
)
@example(
    # The same, and the one before does not have it either.
    steps=[
        ("take", "p", ["a,1,1", "b,1,1"]),
        ("take", "q", ["a,2,1"]),
        ("take", "r", ["a,1,1", "b,bad,1"]),
        ("correct", 0, "a,1,1"),
    ],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
)
@example(
    # A delivery that gives every row its contents still says that a marked one is there.
    steps=[("take", "r", ["a,1,1", "b,1,1"]), ("take", "r", ["a,1,1"]), ("take", "r", ["a,1,2", "b,7,1"])],
    last=[0, 1, 2],
    batch_bytes=64,
    declared=Declared(),
)
def test_any_history_of_snapshots_ends_in_the_table_of_a_load_from_empty(
    world: World,
    steps: list[tuple[str, Any, Any]],
    last: list[int],
    batch_bytes: int,
    declared: Declared,
    mark: bool,  # noqa: FBT001 -- a parameter
    swap_from: int | None,
) -> None:
    here = world.other(name=f"history{next(NAMES)}", files=True, format=Csv(batch_bytes=batch_bytes))
    history = History(here, declared, Snapshot(max_deleted=1.0, mark=mark, swap_from=swap_from))
    history.declare(declared)
    history.take_steps(steps)
    if history.landed:
        history.run_everything(last)
        assert here.rows() == expected(history)
        if mark:
            assert found_marks(history) == marks(history)
        assert here.violations() == []


def expected(history: History) -> list[tuple[Any, ...]]:
    """Return what the deliveries give one after the other: each deletes what it does not publish, or marks it."""
    table: dict[str, tuple[Any, ...]] = {}
    for _, rows, published in published_by_each(history):
        if published is not None and not history.writer.marks:
            table = {key: row for key, row in table.items() if key in published}
        table |= rows
    return [(*row, PAD) for _, row in sorted(table.items())]


def marks(history: History) -> dict[str, datetime | None]:
    """Return, by key, when the delivery was fetched that followed the last one which published the key."""
    since: dict[str, datetime | None] = {}
    times: dict[int, datetime] = dict(history.world.query("SELECT id, fetched_at FROM etl.delivery"))
    for id_, rows, published in published_by_each(history):
        for key, at in since.items():
            since[key] = None if published is None or key in published else at or times[id_]
        since |= dict.fromkeys(rows)
    return since


def found_marks(history: History) -> dict[str, datetime | None]:
    """Return, by key, the marks of the table; the view has the other rows."""
    name = f"core.{history.world.name}"
    found: dict[str, datetime | None] = dict(history.world.query(f"SELECT code, _deleted_at FROM {name}"))
    current = {code for (code,) in history.world.query(f"SELECT code FROM {name}_current")}
    assert current == {code for code, at in found.items() if at is None}
    return found


def published_by_each(history: History) -> Iterator[tuple[int, dict[str, tuple[Any, ...]], set[str] | None]]:
    """Yield, of each delivery, its id, its rows by key, and the keys that it publishes; None if it may be any."""
    declared = history.declared
    for (_, id_), records in history.effective():
        published, unreadable = set[str](), False
        rows: dict[str, tuple[Any, ...]] = {}
        for _, text in records:
            row = declared.row(text)
            if row is not None:
                rows[row[0]] = row
                published.add(row[0])
            elif not declared.is_left_out(text):
                key = declared.key_of_rejected(text)
                unreadable |= key is None
                published |= {key} if key is not None else set()
        yield id_, rows, None if unreadable else published
