"""Any history of deliveries gives every version that loading them in order from empty gives, and ends in its table."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import History as Versions
from etl_assets.load.writers import Snapshot
from etl_assets_tests.ingest.random_histories import NAMES, PAD, STEPS, History
from etl_assets_tests.ingest.test_random_snapshots import DECLARED, only_snapshots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.ingest.random_histories import Declared
    from etl_assets_tests.ingest.world import World

DAYS = {"p": date(2024, 1, 1), "q": date(2024, 1, 2), "r": date(2024, 1, 2)}


def day_of(name: str) -> date:
    return DAYS[name[0]]


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(
    steps=STEPS.map(only_snapshots),
    last=st.permutations(range(3)),
    batch_bytes=st.sampled_from([64, 100, 4096]),
    declared=DECLARED,
    columns=st.sampled_from([(), (), ("amount",)]),
    whole=st.booleans(),
)
def test_any_history_gives_every_version_that_a_load_from_empty_gives(
    world: World,
    steps: list[tuple[str, Any, Any]],
    last: list[int],
    batch_bytes: int,
    declared: Declared,
    columns: tuple[str, ...],
    whole: bool,  # noqa: FBT001 -- of the test
) -> None:
    here = world.other(name=f"history{next(NAMES)}", files=True, format=Csv(batch_bytes=batch_bytes))
    history = History(here, declared, Versions(columns, Snapshot(max_deleted=1.0) if whole else None, day_of))
    history.declare(declared)
    history.take_steps(steps)
    if history.landed:
        history.run_everything(last)
        expected = versions(history, columns, whole=whole)
        assert stored(here) == expected
        assert here.rows() == [version[:4] for version in expected if version[5] is None]
        assert here.violations() == []


def stored(world: World) -> list[tuple[Any, ...]]:
    return world.query(
        f"SELECT code, amount, version, pad, _valid_from, _valid_to FROM core.{world.name}_history h "
        "JOIN etl.delivery d ON d.id = h._delivery_id ORDER BY code, _valid_from, d.rank, d.id"
    )


def versions(history: History, columns: tuple[str, ...], *, whole: bool) -> list[tuple[Any, ...]]:
    """Return what the deliveries give one after the other: a version for each change of the columns that count."""
    ended: list[tuple[Any, ...]] = []
    current: dict[str, tuple[tuple[Any, ...], datetime]] = {}
    for (file, _), records in history.effective():
        at = datetime.combine(DAYS[file], datetime.min.time(), UTC)
        rows = {row[0]: row for _, text in records if (row := history.declared.row(text)) is not None}
        for key, row in rows.items():
            before = current.get(key)
            if before is not None and (before[0][:2] == row[:2] if columns else before[0] == row):
                continue
            if before is not None:
                ended.append((*before[0], PAD, before[1], at))
            current[key] = (row, at)
        published = set(rows) | set(rejected_keys(history, records))
        if whole and None not in published:
            for key in set(current) - published:
                row, began = current.pop(key)
                ended.append((*row, PAD, began, at))
    open_ = [(*row, PAD, began, None) for row, began in current.values()]
    keys = sorted({version[0] for version in (*ended, *open_)})
    return [version for key in keys for version in (*ended, *open_) if version[0] == key]


def rejected_keys(history: History, records: list[tuple[int, str]]) -> Iterator[str | None]:
    for _, text in records:
        if history.declared.row(text) is None and not history.declared.is_left_out(text):
            yield history.declared.key_of_rejected(text)
