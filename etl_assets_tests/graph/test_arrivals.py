"""For any states and any ends of runs: no state is lost, and none is requested twice at once or too often."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets import OnChange
from etl_assets.graph.triggers.arrivals import LONGEST_WAIT, Arrival, Attempt, Decider, Memory, summary, wait
from etl_assets.postgres.ledger.deliveries import LastFetch

_EVERY = timedelta(minutes=1)
_START = datetime(2024, 1, 3, tzinfo=UTC)
_TRIGGER = OnChange(every=_EVERY, attempts=3)


@dataclass
class World:
    """A publisher of one file, a warehouse, and runs that fetch at their end."""

    state: int = 0
    now: datetime = _START
    memory: Memory = field(default_factory=Memory)
    fetched: LastFetch | None = None
    under_way: bool = False
    attempts: dict[str, Attempt] = field(default_factory=dict)
    keys: list[tuple[str, int]] = field(default_factory=list)

    def publish(self, state: int) -> None:
        self.state = state

    def tick(self) -> None:
        self.now += _EVERY
        arrival = self.memory.arrivals.get("")
        attempt = self.attempts.get(arrival.state) if arrival is not None else None
        decision = Decider(_TRIGGER, 2, self.now).decide("", {"etag": str(self.state)}, self.fetched, arrival, attempt)
        if decision.ask:
            assert decision.arrival is not None
            assert not self.under_way
            key = (decision.arrival.state, decision.arrival.attempt)
            assert key not in self.keys
            self.keys.append(key)
            self.under_way = True
            self.attempts[key[0]] = Attempt(key[1], "under way", self.now)
        self.memory = Memory(None, {} if decision.arrival is None else {"": decision.arrival})
        self.memory = Memory.read(self.memory.text)

    def end(self, *, succeeds: bool) -> None:
        """Let the run under way fetch the present state and end."""
        if not self.under_way:
            return
        digest, number = self.keys[-1]
        self.under_way = False
        self.attempts[digest] = Attempt(number, "succeeded" if succeeds else "failed", self.now)
        before = self.fetched.delivery_id if self.fetched else 0
        new = self.fetched is None or self.fetched.validators != {"etag": str(self.state)}
        self.fetched = LastFetch(before + new, succeeds, {"etag": str(self.state)})


_STEPS = st.lists(st.one_of(st.integers(0, 3), st.sampled_from(["tick", "good", "bad"])), max_size=60)


@given(_STEPS)
def test_the_last_state_is_loaded_and_forgotten_once_the_publisher_stops_and_runs_succeed(
    steps: list[int | str],
) -> None:
    world = World()
    for step in steps:
        if isinstance(step, int):
            world.publish(step)
        elif step == "tick":
            world.tick()
        else:
            world.end(succeeds=step == "good")
    world.publish(9)
    for _ in range(20):
        world.tick()
        world.end(succeeds=True)
    assert world.fetched is not None
    assert (world.fetched.complete, world.fetched.validators) == (True, {"etag": "9"})
    assert world.memory == Memory()
    assert max(number for _, number in world.keys) <= _TRIGGER.attempts


@given(st.integers(1, 5), st.integers(1, 3))
def test_a_state_whose_runs_fail_is_tried_as_often_as_declared(state: int, rounds: int) -> None:
    world = World(state=state)
    for _ in range(100 * rounds):
        world.tick()
        world.end(succeeds=False)
    assert [number for _, number in world.keys] == [1, 2, 3]
    assert world.memory.arrivals[""].end == "given up"


def test_waits_double_up_to_six_hours_and_are_never_shorter_than_the_time_between_polls() -> None:
    assert [wait(_TRIGGER, failed) for failed in (1, 2, 3)] == [_EVERY, 2 * _EVERY, 4 * _EVERY]
    assert wait(_TRIGGER, 50) == wait(_TRIGGER, 5000) == LONGEST_WAIT
    weekly = OnChange(every=timedelta(days=7))
    assert {wait(weekly, failed) for failed in (1, 2, 99)} == {timedelta(days=7)}


def test_a_partition_without_validators_is_never_given_up() -> None:
    arrival = Arrival("x", 0, 9)
    failed = Attempt(9, "failed", _START)
    decision = Decider(_TRIGGER, 2, _START + LONGEST_WAIT).decide("", None, None, arrival, failed)
    assert decision.ask
    assert decision.arrival == Arrival("x", 0, 10)


@pytest.mark.parametrize(("count", "more"), [(5, ""), (7, " And 2 more.")])
def test_the_summary_shows_the_first_notes_and_counts_the_others(count: int, more: str) -> None:
    text = summary([(str(number), "waits") for number in range(count)], count)
    assert text.startswith("0: waits; 1: waits")
    assert text.endswith(f"4: waits.{more}")
