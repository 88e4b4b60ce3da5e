"""A process that is killed in the middle of a build or a swap leaves the table in use; the next one ends the work."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import rebuild
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.transaction import BatchTransaction
from etl_assets.load.writers import History, Snapshot, Upsert
from etl_assets.postgres.ledger import rebuild_merge
from etl_assets.postgres.tables.replacement import Replacement
from etl_assets.rebuild import swapping
from etl_assets_tests.chaos import faults
from etl_assets_tests.chaos.victim import in_a_process
from etl_assets_tests.ingest.test_history import day_of, take
from etl_assets_tests.ingest.world import ending_after
from etl_assets_tests.rebuild.test_building import build, entries, swap, traces, verify

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

VERSIONS = History(snapshot=Snapshot(max_deleted=1.0), dated=day_of)
MODES = [(Upsert(), Upsert()), (VERSIONS, VERSIONS), (Upsert(), VERSIONS), (VERSIONS, Upsert())]
"""Modes of the table in use, and of the one that takes its place."""
POINTS: dict[str, tuple[Any, str, bool]] = {
    "the rows have the ids of deliveries": (Replacement, "prepare", False),
    "the first transaction is committed": (swapping, "wait_for_older_snapshots", False),
    "the ledger is merged": (rebuild_merge, "merge", True),
    "the old table is dropped": (Replacement, "exchange", True),
    "everything is in place": (Replacement, "attach", True),
    "the second transaction is committed": (swapping, "_conclude", False),
}
"""Where a function is called, its name, and whether the process is killed after it, and not before."""


class Dying(BatchTransaction):
    """Kills the process in its third batch, after the rows were written."""

    written = 0

    def write_rows(self, *arguments: Any, **more: Any) -> Any:
        result = super().write_rows(*arguments, **more)
        type(self).written += 1
        if type(self).written == 3:
            faults.die()
        return result


def build_and_die(world: World) -> None:
    """For a process of its own."""
    build(world, Dying)


def swap_and_die(world: World, point: str) -> None:
    """For a process of its own."""
    owner, name, after = POINTS[point]
    original = getattr(owner, name)

    def dying(*arguments: Any, **more: Any) -> None:
        if after:
            original(*arguments, **more)
        faults.die()

    setattr(owner, name, dying)
    swap(world)


@pytest.fixture
def here(world: World) -> World:
    return world.other(files=True, format=Csv(batch_bytes=64))


def load(world: World) -> None:
    take(world, 1, *(f"{letter},1,{'x' * 30}" for letter in "abcd"), "e,bad,")
    take(world, 5, *(f"{letter},2,{'x' * 30}" for letter in "abc"))
    take(world, 3, *(f"{letter},2,{'x' * 30}" for letter in "bcdf"))


def state(world: World) -> list[Any]:
    """Return the rows in use, and what the ledger says of them."""
    relation = "core.goods_history" if world.query("SELECT to_regclass('core.goods_history')")[0][0] else "core.goods"
    return [
        relation,
        world.query(f"SELECT * FROM {relation} ORDER BY code, _delivery_id"),
        world.query("SELECT * FROM core.goods ORDER BY code"),
        world.query("SELECT id, generation, status, fingerprint FROM etl.delivery WHERE source = 'goods' ORDER BY 1"),
    ]


@pytest.mark.parametrize("mode", [Upsert(), VERSIONS], ids=["upsert", "history"])
def test_a_build_that_was_killed_goes_on_with_the_batches_that_it_lacks(here: World, mode: Any) -> None:
    here.more = {"write": mode}
    load(here)
    before, rows = state(here), here.rows()
    assert in_a_process(here.url, build_and_die, here) == -signal.SIGKILL
    entered = entries(here)
    assert len(entered) == 2
    assert state(here) == before
    assert here.violations() == []
    assert verify(here).differing == 0
    assert set(entered) < set(entries(here))
    swap(here)
    assert here.rows() == rows
    if mode == VERSIONS:  # a row of another mode may have the mark of any delivery that has it
        assert state(here)[:3] == before[:3]
    assert traces(here) == []
    assert here.violations() == []


@pytest.mark.parametrize(("before", "after"), MODES, ids=["upsert", "history", "to history", "from history"])
@pytest.mark.parametrize("point", POINTS)
def test_a_swap_that_was_killed_left_one_of_the_tables_and_the_next_one_is_put_in_place(
    here: World, before: Any, after: Any, point: str
) -> None:
    here.more = {"write": before}
    load(here)
    in_use = state(here)
    changed = here.other(more={"write": after})
    assert in_a_process(here.url, swap_and_die, changed, point) == -signal.SIGKILL
    if point == "the second transaction is committed":
        assert state(changed)[0] != "core.goods" or after == Upsert()
        assert traces(changed) == []
    else:
        assert state(here) == in_use
        assert here.violations() == []
        take(here, 7, f"a,9,{'x' * 30}")
        assert here.violations() == []
    swap(changed)
    assert verify(changed).differing == 0
    rebuild.drop(changed.source, changed.warehouse)
    assert traces(changed) == []
    assert changed.violations() == []


def test_a_build_that_was_killed_and_one_that_was_interrupted_end_in_the_same_table(here: World) -> None:
    here.more = {"write": VERSIONS}
    load(here)
    with pytest.raises(KeyboardInterrupt):
        build(here, ending_after(4))
    assert in_a_process(here.url, build_and_die, here) == -signal.SIGKILL
    take(here, 7, f"a,9,{'x' * 30}")
    assert verify(here).differing == 0
