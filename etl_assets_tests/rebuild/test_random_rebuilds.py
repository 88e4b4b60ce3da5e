"""Whatever the history, the table that is built is that of a load from empty, and the source goes on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets import rebuild
from etl_assets.extract.formats.csv import Csv
from etl_assets.load.writers import Append, Replace, Snapshot, Upsert
from etl_assets.load.writers import History as Versions
from etl_assets_tests.ingest.random_histories import DECLARED, NAMES, STEPS, History
from etl_assets_tests.ingest.test_random_changes_of_mode import expected
from etl_assets_tests.ingest.test_random_record_rows import found
from etl_assets_tests.ingest.test_random_snapshots import DECLARED as PLAIN
from etl_assets_tests.ingest.test_random_snapshots import only_snapshots
from etl_assets_tests.ingest.test_random_versions import day_of, stored, versions

if TYPE_CHECKING:
    from etl_assets.load.writers import Writer
    from etl_assets_tests.ingest.random_histories import Declared
    from etl_assets_tests.ingest.world import World

MODES: list[tuple[bool, Writer]] = [
    (True, Snapshot(max_deleted=1.0)),
    (True, Snapshot(max_deleted=1.0, mark=True)),
    (True, Append()),
    (False, Append()),
    (False, Replace()),
]
"""Whether the table has a key, and the mode."""
PARTS = st.tuples(STEPS, STEPS, STEPS)


FORMS: list[Writer] = [
    Upsert(),
    Snapshot(max_deleted=1.0),
    Snapshot(max_deleted=1.0, mark=True),
    Versions(dated=day_of),
    Versions(snapshot=Snapshot(max_deleted=1.0), dated=day_of),
    Versions(("amount",), dated=day_of),
]
"""Modes of which some keep versions and some do not."""


def begin(world: World, declared: Declared, batch_bytes: int, writer: Writer, *, keyed: bool = True) -> History:
    here = world.other(name=f"history{next(NAMES)}", files=True, format=Csv(batch_bytes=batch_bytes))
    return History(here, declared, writer, keyless=not keyed)


def check(history: History, parts: tuple[list[tuple[str, Any, Any]], ...], last: list[int]) -> None:
    """Build in the middle of a history, swap later, and go on with it."""
    here = history.world
    before, meanwhile, afterwards = parts
    history.declare(history.declared)
    history.take_steps(before)
    rebuild.build(here.source, here.warehouse, "rebuild")
    history.take_steps(meanwhile)
    if not history.landed:
        return
    rebuild.swap(here.source, here.warehouse, "rebuild")
    assert table_of(history) == right_table(history)
    assert here.violations() == []
    history.run_everything(last)
    assert table_of(history) == right_table(history)
    verified = rebuild.verify(here.source, here.warehouse, "rebuild")
    assert (verified.reasons, verified.differences) == ({}, ())
    history.take_steps(afterwards)
    history.run_everything(last)
    assert table_of(history) == right_table(history)
    assert here.violations() == []


def table_of(history: History) -> list[tuple[Any, ...]]:
    return stored(history.world) if isinstance(history.writer, Versions) else found(history)


def right_table(history: History) -> list[tuple[Any, ...]]:
    """Return the rows, or the versions, of a load from empty."""
    writer = history.writer
    if not isinstance(writer, Versions):
        return expected(history)
    return versions(history, writer.columns, whole=writer.snapshot is not None)


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(parts=PARTS, last=st.permutations(range(3)), batch_bytes=st.sampled_from([64, 4096]), declared=DECLARED)
def test_any_history_of_versions_is_rebuilt(
    world: World, parts: tuple[Any, ...], last: list[int], batch_bytes: int, declared: Declared
) -> None:
    check(begin(world, declared, batch_bytes, Upsert()), parts, last)


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(
    parts=PARTS.map(lambda parts: tuple(map(only_snapshots, parts))),
    mode=st.sampled_from(MODES),
    last=st.permutations(range(3)),
    batch_bytes=st.sampled_from([64, 4096]),
    declared=PLAIN,
)
def test_any_history_of_the_other_modes_is_rebuilt(
    world: World,
    parts: tuple[Any, ...],
    mode: tuple[bool, Writer],
    last: list[int],
    batch_bytes: int,
    declared: Declared,
) -> None:
    keyed, writer = mode
    check(begin(world, declared, batch_bytes, writer, keyed=keyed), parts, last)


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(
    parts=PARTS.map(lambda parts: tuple(map(only_snapshots, parts))),
    mode=st.sampled_from(FORMS[3:]),
    last=st.permutations(range(3)),
    batch_bytes=st.sampled_from([64, 4096]),
    declared=PLAIN,
)
def test_any_table_of_versions_is_rebuilt(
    world: World, parts: tuple[Any, ...], mode: Versions, last: list[int], batch_bytes: int, declared: Declared
) -> None:
    check(begin(world, declared, batch_bytes, mode), parts, last)


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(
    parts=PARTS.map(lambda parts: tuple(map(only_snapshots, parts))),
    modes=st.lists(st.sampled_from(FORMS), min_size=2, max_size=3),
    last=st.permutations(range(3)),
    batch_bytes=st.sampled_from([64, 4096]),
    declared=PLAIN,
)
def test_a_table_becomes_a_history_and_a_history_a_table_whatever_happened_before(
    world: World, parts: tuple[Any, ...], modes: list[Writer], last: list[int], batch_bytes: int, declared: Declared
) -> None:
    history = begin(world, declared, batch_bytes, modes[0])
    here = history.world
    for steps, writer in zip(parts, modes, strict=False):
        history.writer = writer
        history.declare(history.declared)
        if history.landed:
            rebuild.swap(here.source, here.warehouse, "rebuild")
            assert table_of(history) == right_table(history)
            assert here.violations() == []
        history.take_steps(steps)
    if history.landed:
        history.run_everything(last)
        assert table_of(history) == right_table(history)
        assert here.violations() == []
