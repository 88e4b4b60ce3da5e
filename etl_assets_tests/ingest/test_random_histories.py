"""Any history of deliveries, declarations, corrections and reloads ends in the table of a load from empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.csv import Csv
from etl_assets_tests.ingest.check import check
from etl_assets_tests.ingest.random_histories import DECLARED, NAMES, PAD, STEPS, Declared, History

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World


FILLED = st.sampled_from([None, 45])
"""Of pages; with room in them, rows are updated in place."""


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    steps=STEPS,
    last=st.permutations(range(3)),
    batch_bytes=st.sampled_from([64, 100, 4096]),
    declared=DECLARED,
    fillfactor=FILLED,
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
    last=[0, 1, 2],
    batch_bytes=64,
    fillfactor=45,
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
    fillfactor=45,
    declared=Declared(ordered=True),
)
@example(
    # What a stricter declaration takes away gives way to an older delivery.
    steps=[("take", "p", ["a,1,1"]), ("take", "p", ["a,7,1"]), ("declare", Declared(maximum=1), None)],
    last=[0, 1, 2],
    batch_bytes=4096,
    fillfactor=None,
    declared=Declared(),
)
@example(
    # So it does in another partition, whichever is read first.
    steps=[("take", "p", ["a,1,1"]), ("take", "q", ["a,7,1"]), ("declare", Declared(maximum=1), None)],
    last=[0, 1, 2],
    batch_bytes=4096,
    fillfactor=None,
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
    fillfactor=45,
    declared=Declared(ordered=True),
)
def test_any_history_ends_in_the_table_of_a_load_from_empty(
    world: World,
    steps: list[tuple[str, Any, Any]],
    last: list[int],
    batch_bytes: int,
    declared: Declared,
    fillfactor: int | None,
) -> None:
    name = f"history{next(NAMES)}"
    here = world.other(name=name, files=True, format=Csv(batch_bytes=batch_bytes), more={"fillfactor": fillfactor})
    history = History(here, declared)
    history.declare(declared)
    history.take_steps(steps)
    if history.landed:
        history.run_everything(last)
        assert here.rows() == expected(history)
        assert check(here, history.sent) == []
        assert here.violations() == []


def expected(history: History) -> list[tuple[Any, ...]]:
    """Return, per key, the newest valid record: by the order column if declared, file, delivery and number."""
    best: dict[str, tuple[Any, ...]] = {}
    for place, records in history.effective():
        for number, text in records:
            row = history.declared.row(text)
            if row is not None:
                code, amount, version = row
                rank = (version if history.declared.ordered else 0, *place, number, amount, version)
                best[code] = max(best.get(code, rank), rank, key=lambda rank: rank[:4])
    return [(code, amount, version, PAD) for code, (*_, amount, version) in sorted(best.items())]
