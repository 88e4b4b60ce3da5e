"""What the sensor of a source remembers of arrivals, and how it decides about them.

An arrival is a state of what the publisher has for a partition that is not loaded yet. The sensor forgets it once it is
loaded, so the memory has only what is new; for loaded states the delivery has the validators. This module only decides.
Module `change_sensor` polls and requests runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from etl_assets.extract.validators import modification_time, same_state
from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from etl_assets.model.trigger import OnChange
    from etl_assets.postgres.ledger.deliveries import LastFetch

LONGEST_WAIT: Final = timedelta(hours=6)
"""The longest time between two attempts, unless the time between two polls is longer."""
_DIGITS: Final = 16


@dataclass(frozen=True)
class Arrival:
    """A state of what the publisher has that is not known to be loaded.

    Attributes:
        state: Digest of the validators that the publisher gave.
        after: Id of the partition's delivery at the first poll of the state; 0 for none. A state that comes back after
            another was loaded is another arrival.
        attempt: Number of the last requested run; 0 while the file may still be being written.
        end: ``loaded`` if runs succeeded but the validators of the delivery differ; ``given up`` if too many runs
            failed.
    """

    state: str
    after: int
    attempt: int = 0
    end: Literal["", "loaded", "given up"] = ""

    @property
    def is_tried(self) -> bool:
        """Whether a run was requested and its end is not handled yet."""
        return self.attempt > 0 and not self.end


@dataclass(frozen=True)
class Memory:
    """What the sensor remembers from tick to tick.

    Attributes:
        last: The partition that the previous tick polled last, if that tick stopped early; otherwise None.
        arrivals: The arrivals that are not known to be loaded, by partition.
    """

    last: str | None = None
    arrivals: dict[str, Arrival] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> Memory:
        """Return the memory from a cursor that `text` wrote; an empty memory from no cursor."""
        state = json.loads(cursor or "{}")
        return cls(state.get("last"), {key: Arrival(*values) for key, values in state.get("arrivals", {}).items()})

    @property
    def text(self) -> str:
        """The memory as the text that Dagster keeps as the cursor."""
        arrivals = {key: (a.state, a.after, a.attempt, a.end) for key, a in self.arrivals.items()}
        return json.dumps({"last": self.last, "arrivals": arrivals}, separators=(",", ":"))


class Attempt(NamedTuple):
    """The newest run of an arrival: its number, its status, and when it ended."""

    number: int
    status: Literal["under way", "succeeded", "failed"]
    ended: datetime


class Decision(NamedTuple):
    """What to do about a partition.

    Attributes:
        arrival: The arrival to remember; None for none.
        ask: Whether to request a run.
        note: The reason for requesting no run, shown to people; empty if there is nothing to explain.
    """

    arrival: Arrival | None = None
    ask: bool = False
    note: str = ""


@dataclass(frozen=True)
class Decider:
    """Decides about the partitions of a source at one tick.

    Attributes:
        trigger: As declared.
        settle_seconds: A file that was changed less than this many seconds ago may still be being written; 0 for what
            is never half written.
        now: The time of the tick.
    """

    trigger: OnChange
    settle_seconds: float
    now: datetime

    def decide(
        self,
        key: str,
        polled: Mapping[str, str] | None,
        fetched: LastFetch | None,
        arrival: Arrival | None,
        attempt: Attempt | None,
    ) -> Decision:
        """Decide about a partition.

        Args:
            key: Key of the partition.
            polled: The publisher's validators now; None if a poll cannot give any.
            fetched: The last fetch of the partition; None for none.
            arrival: The remembered arrival; None for none.
            attempt: The newest run of the arrival; None for none.
        """
        loaded = (
            polled is not None and fetched is not None and fetched.complete and same_state(polled, fetched.validators)
        )
        if arrival is not None and arrival.is_tried:
            if attempt is not None and attempt.status == "under way":
                return Decision(arrival, note="a run is under way")
            if polled is None or arrival.state == digest(key, polled, arrival.after):
                if attempt is None:
                    return Decision(arrival, ask=True)
                if attempt.status == "failed":
                    return self._after_failure(arrival, attempt, has_validators=polled is not None)
                if polled is not None and not loaded:
                    return self._after_mismatch(arrival, attempt)
        if polled is None:
            return Decision(Arrival(digest(key, {"tick": self.now.isoformat()}), 0, 1), ask=True)
        return Decision() if loaded else self._not_loaded(key, polled, fetched, arrival)

    def _after_mismatch(self, arrival: Arrival, attempt: Attempt) -> Decision:
        """Decide after a successful run whose delivery differs from the poll.

        The publisher may have changed the bytes between poll and fetch, so the first time another run is requested.
        """
        if attempt.number == 1:
            return Decision(replace(arrival, attempt=2), ask=True)
        return Decision(replace(arrival, attempt=attempt.number, end="loaded"))

    def _after_failure(self, arrival: Arrival, attempt: Attempt, *, has_validators: bool) -> Decision:
        """Decide after a failed run: request the next attempt when it is due, if any attempt is left."""
        if has_validators and attempt.number >= self.trigger.attempts:
            return Decision(replace(arrival, attempt=attempt.number, end="given up"), note=_GIVEN_UP)
        due = attempt.ended + wait(self.trigger, attempt.number)
        if self.now < due:
            return Decision(
                arrival, note=f"attempt {attempt.number} failed, the next is due at {due:%Y-%m-%d %H:%M} UTC"
            )
        return Decision(replace(arrival, attempt=attempt.number + 1), ask=True)

    def _not_loaded(
        self, key: str, polled: Mapping[str, str], fetched: LastFetch | None, arrival: Arrival | None
    ) -> Decision:
        """Decide about a state that is not loaded: request a run, unless the sensor has handled the state before.

        It also waits while the file may still be being written.
        """
        if arrival is not None and arrival.state == digest(key, polled, arrival.after):
            if arrival.end:
                return Decision(arrival, note=_GIVEN_UP if arrival.end == "given up" else "")
            return Decision(replace(arrival, attempt=1), ask=True)
        after = fetched.delivery_id if fetched is not None else 0
        arrival = Arrival(digest(key, polled, after), after)
        changed = modification_time(polled)
        settled = changed is not None and self.now - changed >= timedelta(seconds=self.settle_seconds)
        if settled or not self.settle_seconds:
            return Decision(replace(arrival, attempt=1), ask=True)
        return Decision(arrival, note="may still be being written; the next tick polls it again")


_GIVEN_UP: Final = "every attempt failed; the sensor waits for the next change or a run by hand"


def digest(key: str, polled: Mapping[str, str], after: int = 0) -> str:
    """Return the digest that identifies an arrival in cursors, run keys and tags."""
    text = json.dumps([key, sorted(polled.items()), after])
    return sha256(text.encode()).hexdigest()[:_DIGITS]


def wait(trigger: OnChange, failed: int) -> timedelta:
    """Return the time between the last of so many failed attempts and the next one."""
    longest = max(trigger.every, LONGEST_WAIT)
    times: int = min(2 ** (failed - 1), longest // trigger.every + 1)
    return min(trigger.every * times, longest)


def summary(notes: Iterable[tuple[str, str]], polled: int) -> str:
    """Return the result of a tick as text, for a tick that requested no run.

    Args:
        notes: Partition and the note about it.
        polled: Number of partitions that were polled.
    """
    texts = [f"{escape_control_characters(key) or 'the whole source'}: {note}" for key, note in notes if note]
    if not texts:
        return f"Nothing has changed; {polled} polled."
    more = f" And {len(texts) - _NOTES} more." if len(texts) > _NOTES else ""
    return f"{'; '.join(texts[:_NOTES])}.{more}"


_NOTES: Final = 5
