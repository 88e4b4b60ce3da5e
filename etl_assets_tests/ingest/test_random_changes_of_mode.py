"""Another write mode is another declaration: the table ends as if everything had been loaded in that mode."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import Append, Replace, Snapshot, Upsert
from etl_assets_tests.ingest import test_random_histories, test_random_snapshots
from etl_assets_tests.ingest.random_histories import NAMES, STEPS, History
from etl_assets_tests.ingest.test_random_record_rows import found, yielded
from etl_assets_tests.ingest.test_random_snapshots import DECLARED, found_marks, marks, only_snapshots

if TYPE_CHECKING:
    from etl_assets.load.writers import Writer
    from etl_assets_tests.ingest.random_histories import Declared
    from etl_assets_tests.ingest.world import World

MARKING = Snapshot(max_deleted=1.0, mark=True)
DELETING = Snapshot(max_deleted=1.0)
CHANGES: list[tuple[bool, tuple[Writer, ...]]] = [
    *((True, writers) for writers in permutations([Upsert(), DELETING, MARKING, Append()], 2)),
    *((True, (MARKING, writer, MARKING)) for writer in (Upsert(), DELETING)),
    *((False, writers) for writers in permutations([Append(), Replace()], 2)),
]
"""Whether the table has a key, and modes, one after the other."""


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    parts=st.tuples(*[STEPS.map(only_snapshots)] * 3),
    change=st.sampled_from(CHANGES),
    last=st.permutations(range(3)),
    batch_bytes=st.sampled_from([64, 4096]),
    declared=DECLARED,
)
def test_the_last_mode_decides_what_the_table_has(
    world: World,
    parts: tuple[list[tuple[str, Any, Any]], ...],
    change: tuple[bool, tuple[Writer, ...]],
    last: list[int],
    batch_bytes: int,
    declared: Declared,
) -> None:
    keyed, writers = change
    here = world.other(name=f"history{next(NAMES)}", files=True, format=Csv(batch_bytes=batch_bytes))
    history = History(here, declared, keyless=not keyed)
    for steps, writer in zip(parts, writers, strict=False):
        history.writer = writer
        history.declare(history.declared)
        history.take_steps(steps)
    if history.landed:
        history.run_everything(last)
        assert found(history) == expected(history)
        if history.writer.marks:
            assert found_marks(history) == marks(history)
        else:
            assert not here.query(
                f"SELECT FROM pg_attribute WHERE attrelid = 'core.{here.name}'::regclass AND "
                "attname = '_deleted_at' AND NOT attisdropped"
            )
        assert here.violations() == []


def expected(history: History) -> list[tuple[Any, ...]]:
    """Return the rows of a load from empty, sorted, with nothing for null."""
    rows: list[tuple[Any, ...]]
    match history.writer:
        case Upsert():
            rows = [row[:3] for row in test_random_histories.expected(history)]
        case Snapshot():
            rows = [row[:3] for row in test_random_snapshots.expected(history)]
        case Append() if history.keyless:
            rows = [row for _, of_delivery in yielded(history) for row in of_delivery]
        case Append():
            first: dict[str, tuple[Any, ...]] = {}
            for _, of_delivery in yielded(history):
                for row in of_delivery:
                    first.setdefault(row[0], row)
            rows = list(first.values())
        case _:
            rows = [row for of_delivery in dict(yielded(history)).values() for row in of_delivery]
    return sorted((code, amount or 0, version) for code, amount, version in rows)
