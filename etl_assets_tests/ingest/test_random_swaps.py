"""Any history of snapshots of one file ends in the same table, whether deliveries may take its place or not.

The rows, their marks, their hashes and what was entered as deleted are compared with those of the ordinary way; and the
rows with those that plain Python computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import Snapshot
from etl_assets_tests.ingest.random_histories import NAMES, STEPS, Declared, History
from etl_assets_tests.ingest.test_random_snapshots import DECLARED, expected, only_snapshots

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

RECORDS = st.lists(
    st.builds(
        lambda key, amount: f"{key},{amount},1",
        st.sampled_from("abcdef"),
        st.sampled_from(["1", "2", "2", "7", "7", "bad"]),
    ),
    min_size=2,
    max_size=7,
)
LONGER = st.lists(
    st.tuples(st.sampled_from(["take", "take", "publish"]), st.just("p"), RECORDS), min_size=2, max_size=5
)


class OneFile(History):
    """A history of a source that has no partitions: whatever is published is the same file."""

    def publish(self, file: str, records: list[str]) -> None:
        del file
        super().publish("goods", records)

    def partitions(self, order: list[int]) -> list[str | None]:
        del order
        return [None]


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    steps=st.one_of(LONGER, st.tuples(LONGER, STEPS).map(lambda parts: parts[0] + parts[1]), STEPS).map(only_snapshots),
    batch_bytes=st.sampled_from([64, 100]),
    declared=DECLARED,
)
@example(
    # Rows that are new, changed, unchanged, gone and rejected.
    steps=[("take", "p", ["a,1,1", "b,1,1", "c,1,1", "d,1,1"]), ("take", "p", ["a,2,1", "b,bad,1", "c,1,1", "e,2,1"])],
    batch_bytes=64,
    declared=Declared(),
)
@example(
    # Batches repeat a key.
    steps=[("take", "p", ["a,1,1", "b,1,1", "c,1,1"]), ("take", "p", ["a,2,1", "b,2,1", "c,2,1", "a,7,1", "b,2,1"])],
    batch_bytes=64,
    declared=Declared(),
)
@example(
    # A load that was interrupted goes on after a correction.
    steps=[
        ("take", "p", ["a,1,1", "b,1,1", "c,1,1"]),
        ("publish", "p", ["a,2,1", "b,bad,1", "c,2,1"]),
        ("load", 1, 2),
        ("correct", 0, "b,7,1"),
    ],
    batch_bytes=64,
    declared=Declared(),
)
@example(
    # The first batch that changes rows is the last one, and repeats a key.
    steps=[
        ("take", "p", ["b,1,1", "a,7,1", "b,7,1"]),
        ("take", "p", ["a,2,1"]),
        ("take", "p", ["b,7,1", "a,7,1", "a,2,1"]),
    ],
    batch_bytes=64,
    declared=Declared(),
)
def test_any_history_ends_in_the_table_of_the_ordinary_way(
    world: World, steps: list[tuple[str, Any, Any]], batch_bytes: int, declared: Declared
) -> None:
    swapped, ordinary = (run(world, steps, batch_bytes, declared, swap_from) for swap_from in (1, None))
    if swapped.landed:
        assert swapped.world.rows() == ordinary.world.rows()
        if not swapped.declared.merged:  # of which the oracle knows two keys
            assert swapped.world.rows() == expected(swapped)
        if all(step in {"take", "declare"} for step, _, _ in steps):
            assert stored(swapped) == stored(ordinary)
            assert entered(swapped) == entered(ordinary)
        assert swapped.world.violations() == []


def run(
    world: World, steps: list[tuple[str, Any, Any]], batch_bytes: int, declared: Declared, swap_from: int | None
) -> OneFile:
    here = world.other(name=f"history{next(NAMES)}", format=Csv(batch_bytes=batch_bytes))
    history = OneFile(here, declared, Snapshot(max_deleted=1.0, swap_from=swap_from))
    history.declare(declared)
    history.take_steps(steps)
    if history.landed:
        history.run_everything([])
    return history


def stored(history: OneFile) -> list[tuple[Any, ...]]:
    """Return every row with its marks; the deliveries are numbered."""
    rows = history.world.query(f"SELECT * FROM core.{history.world.name} ORDER BY code")
    return [(*row[:-3], number(history, row[-3]), *row[-2:]) for row in rows]


def entered(history: OneFile) -> list[tuple[Any, ...]]:
    """Return the deleted rows, and the counts of each delivery."""
    name = history.world.name
    deleted = history.world.query(
        f"SELECT deleted_by, delivery_id, record_no, key ->> 'code' FROM etl.deletion WHERE source = '{name}' "
        "ORDER BY id"
    )
    counts = history.world.query(
        "SELECT d.id, sum(b.inserted), sum(b.updated), sum(b.unchanged), sum(b.duplicate), sum(b.deleted) "
        f"FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id WHERE d.source = '{name}' "
        "AND b.generation = d.generation GROUP BY 1 ORDER BY 1"
    )
    return [
        *((number(history, by), number(history, of), *rest) for by, of, *rest in deleted),
        *((number(history, id_), *rest) for id_, *rest in counts),
    ]


def number(history: OneFile, delivery_id: int) -> int:
    return [id_ for id_, _, _ in history.landed].index(delivery_id)
