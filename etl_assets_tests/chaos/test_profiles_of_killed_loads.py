"""Kill a load at any point and repeat it: profiles, cells and drift are those of a clean load, and no part is left."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import TransientLoadError
from etl_assets.extract.formats.csv import Csv
from etl_assets.graph.assets.stream import Stream
from etl_assets.postgres.connection import connected
from etl_assets_tests.chaos import faults
from etl_assets_tests.chaos.victim import in_a_process
from etl_assets_tests.ingest.world import World
from etl_assets_tests.real_feeds.taking import warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.model.delivery import Delivery

LETTERS = "abcdefghij"
USUAL = [f"{x}{y},{ord(x) + ord(y)},{'' if x == 'c' else y * 3}" for x in LETTERS for y in LETTERS]
CHANGED = [f"{x}{y},{'n/a' if x in 'hij' else ord(y)},{'' if x == 'c' else y * 4}" for x in LETTERS for y in LETTERS]
MANY = [f"{x}{y}{z},{ord(x) * ord(z)},{y}" for x in LETTERS for y in LETTERS for z in LETTERS * 2]
EXACT = "column_name, rows, nulls, distinct_estimate, minimum, maximum"


@dataclass(frozen=True)
class Left:
    """The profiles, observations and events that loads of a source left, without the ids that the database assigned.

    Attributes:
        profiles: Profiles of every column of every delivery.
        cells: Cells of the observation of every delivery.
        drift: The events.
        parts: Number of parts that are not merged yet.
    """

    profiles: list[tuple[Any, ...]]
    cells: list[tuple[Any, ...]]
    drift: list[tuple[Any, ...]]
    parts: int


def left(world: World) -> Left:
    """Return what the loads of the source left until now."""
    of_source = f"JOIN etl.delivery d ON d.id = delivery_id WHERE d.source = '{world.name}'"
    ((parts,),) = world.query(f"SELECT count(*) FROM etl.profile_part {of_source}")
    return Left(
        world.query(
            f"SELECT d.sha256, {EXACT}, mean, deviation, quantiles, top FROM etl.profile {of_source} "
            "ORDER BY d.id, column_name"
        ),
        world.query(f"SELECT d.sha256, cells FROM etl.observation o {of_source} ORDER BY d.id"),
        world.query(
            "SELECT kind, subject, replacement, e.status, detail, proposal, f.sha256, l.sha256 FROM etl.drift e "
            "JOIN etl.delivery f ON f.id = first_delivery JOIN etl.delivery l ON l.id = last_delivery "
            f"WHERE e.source = '{world.name}' ORDER BY kind, subject, e.id"
        ),
        parts,
    )


def run(world: World, *, force: bool = False) -> None:
    """Load and conclude the pending deliveries, as a run does."""
    source = world.source
    Stream(
        source, source.partition(None), "run", force=force, batches=(), on_refusal=lambda _delivery, _error: None
    ).load(world.warehouse)


def take(world: World, lines: list[str]) -> None:
    """Publish a delivery, land it, and load it in a run that is not killed."""
    world.publish(*lines)
    world.land()
    run(world)


def land(world: World, lines: list[str]) -> Delivery:
    world.publish(*lines)
    return world.land().delivery


def die_at(world: World, delivery: Delivery, point: str) -> None:
    """Load a delivery and die at a point. For a process of its own."""
    world.load(delivery, faults.dying_at(point))


def die_unconcluded(world: World, delivery: Delivery) -> None:
    """Load a delivery and die when it is complete. For a process of its own."""
    world.load(delivery)
    faults.die()


@pytest.fixture(scope="module")
def goods(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A warehouse in which each test has a source of its own."""
    folder = tmp_path_factory.mktemp("feeds")
    with warehouse(postgres_url, folder / "landing") as kept:
        yield World(kept.url, folder, format=Csv(batch_bytes=256))


@pytest.fixture(scope="module")
def clean(goods: World) -> Left:
    """What two clean loads leave: of a usual delivery, and of one whose cells have changed."""
    world = goods.other(name="clean")
    take(world, USUAL)
    take(world, CHANGED)
    result = left(world)
    assert (len(result.profiles), len(result.cells), result.parts) == (6, 2, 0)
    assert {kind for kind, *_ in result.drift} >= {"null_word"}
    return result


@pytest.mark.parametrize("point", faults.POINTS)
def test_a_load_killed_at_any_point_has_one_part_per_batch_and_its_repeat_leaves_what_a_clean_one_leaves(
    goods: World, clean: Left, point: str
) -> None:
    world = goods.other(name=f"dies_{point}")
    take(world, USUAL)
    delivery = land(world, CHANGED)
    assert in_a_process(world.url, die_at, world, delivery, point) == -signal.SIGKILL
    batches, parts = _numbers(world, delivery)
    assert parts == batches
    assert batches in ([1], [1, 2])
    run(world)
    assert left(world) == clean


def test_the_next_run_concludes_a_complete_delivery_whose_run_was_killed(goods: World, clean: Left) -> None:
    world = goods.other(name="unconcluded")
    take(world, USUAL)
    assert in_a_process(world.url, die_unconcluded, world, land(world, CHANGED)) == -signal.SIGKILL
    assert left(world).parts > 0
    run(world)
    assert left(world) == clean


@pytest.mark.parametrize("force", [False, True])
def test_an_unconcluded_delivery_is_concluded_before_a_later_one(goods: World, clean: Left, force: bool) -> None:  # noqa: FBT001
    world = goods.other(name=f"overtaken_{force}".lower())
    assert in_a_process(world.url, die_unconcluded, world, land(world, USUAL)) == -signal.SIGKILL
    land(world, CHANGED)
    run(world, force=force)
    assert left(world) == clean


def test_the_next_run_concludes_a_delivery_after_the_session_ended_while_concluding(goods: World, clean: Left) -> None:
    world = goods.other(name="broken_off")
    take(world, USUAL)
    land(world, CHANGED)
    with sessions_ended_when_parts_go(world), pytest.raises(TransientLoadError, match="adding up the profiles of"):
        run(world)
    assert len(left(world).profiles) == len(clean.profiles) / 2
    run(world)
    assert left(world) == clean


@pytest.mark.parametrize("fault", [faults.Disconnected, faults.AnswerLost])
def test_a_retried_batch_has_one_part(
    goods: World, clean: Left, fault: type[faults.Disconnected | faults.AnswerLost], monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = "ended" if fault is faults.Disconnected else "lost"
    monkeypatch.setattr(fault, flag, False)
    world = goods.other(name=fault.__name__.lower())
    take(world, USUAL)
    delivery = land(world, CHANGED)
    world.load(delivery, fault)
    assert getattr(fault, flag)
    batches, parts = _numbers(world, delivery)
    assert parts == batches
    run(world)
    assert left(world) == clean


@contextmanager
def sessions_ended_when_parts_go(world: World) -> Iterator[None]:
    """Let the server end every session that deletes parts, as it does when it is shut down."""
    with connected(world.url) as connection:
        connection.execute(
            "CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN OLD; END'"
        )
        connection.execute(
            "CREATE TRIGGER end_session BEFORE DELETE ON etl.profile_part FOR EACH ROW EXECUTE FUNCTION end_session()"
        )
        try:
            yield
        finally:
            connection.execute("DROP FUNCTION end_session CASCADE")


def _numbers(world: World, delivery: Delivery) -> tuple[list[int], list[int]]:
    """Return the numbers of a delivery's batches in the ledger and of its parts, both at the same moment."""
    ((batches, parts),) = world.query(
        f"SELECT (SELECT array_agg(number ORDER BY number) FROM etl.batch WHERE delivery_id = {delivery.id}), "
        f"(SELECT array_agg(number ORDER BY number) FROM etl.profile_part WHERE delivery_id = {delivery.id})"
    )
    return batches, parts
