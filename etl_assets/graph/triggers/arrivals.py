"""What the sensor of a source remembers of arrivals, and what it makes of one.

An arrival is a state of what the publisher has for a partition that is not loaded yet. It is forgotten once it is, so
that the memory is as small as what is new; what is loaded is known by the validators of its delivery. Here lives the
decision alone: looking, and asking for runs, is `sensors`'s business.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from etl_assets.extract.validators import agree, changed_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from etl_assets.model.trigger import OnChange
    from etl_assets.postgres.ledger.deliveries import Seen

LONGEST_WAIT: Final = timedelta(hours=6)
"""Attempts lie no further apart, unless the looks themselves do."""
_DIGITS: Final = 16


@dataclass(frozen=True)
class Arrival:
    """A state of what the publisher has that is not known to be loaded.

    Attributes:
        look: Digest of what the publisher said.
        after: Id of the partition's delivery that was known when the state was first seen; 0 for none. A state that
            comes back after another was loaded is another arrival.
        attempt: Number of the run last asked for; 0 while it may still be being written.
        end: ``loaded`` where runs succeeded, and yet the validators of the delivery say something else; ``given up``
            where too many runs failed.
    """

    look: str
    after: int
    attempt: int = 0
    end: Literal["", "loaded", "given up"] = ""

    @property
    def is_tried(self) -> bool:
        """Whether a run was asked for, and how it ended has not been seen."""
        return self.attempt > 0 and not self.end


@dataclass(frozen=True)
class Memory:
    """What the sensor knows from tick to tick.

    Attributes:
        last: The partition looked at last, where the tick before stopped early; else None.
        arrivals: Those not known to be loaded, by partition.
    """

    last: str | None = None
    arrivals: dict[str, Arrival] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> Memory:
        """The memory that `text` wrote."""
        told = json.loads(cursor or "{}")
        return cls(told.get("last"), {key: Arrival(*values) for key, values in told.get("arrivals", {}).items()})

    @property
    def text(self) -> str:
        """The memory as Dagster keeps it."""
        arrivals = {key: (a.look, a.after, a.attempt, a.end) for key, a in self.arrivals.items()}
        return json.dumps({"last": self.last, "arrivals": arrivals}, separators=(",", ":"))


class Attempt(NamedTuple):
    """How far the runs of an arrival have come: the number of the newest, and what became of it."""

    number: int
    status: Literal["under way", "succeeded", "failed"]
    ended: datetime


class Decision(NamedTuple):
    """What is to be done about a partition.

    Attributes:
        arrival: To be remembered; None for nothing.
        ask: Whether a run is to be asked for.
        note: Why not, for people; the empty text where nothing needs saying.
    """

    arrival: Arrival | None = None
    ask: bool = False
    note: str = ""


@dataclass(frozen=True)
class Decider:
    """Decides about the partitions of a source at one tick.

    Attributes:
        trigger: As declared.
        settle_seconds: What was changed more recently may still be being written.
        now: The time of the tick.
    """

    trigger: OnChange
    settle_seconds: float
    now: datetime

    def decide(
        self,
        key: str,
        look: Mapping[str, str] | None,
        seen: Seen | None,
        arrival: Arrival | None,
        attempt: Attempt | None,
    ) -> Decision:
        """Decide about a partition.

        Args:
            key: Of the partition.
            look: What the publisher says now; None where nothing tells.
            seen: What was last fetched; None for nothing.
            arrival: What was remembered; None for nothing.
            attempt: The newest run of that; None for none.
        """
        loaded = look is not None and seen is not None and seen.complete and agree(look, seen.validators)
        if arrival is not None and arrival.is_tried:
            if attempt is not None and attempt.status == "under way":
                return Decision(arrival, note="a run is at it")
            if look is None or arrival.look == digest(key, look, arrival.after):
                if attempt is None:
                    return Decision(arrival, ask=True)
                if attempt.status == "failed":
                    return self._again(arrival, attempt, tells=look is not None)
                if look is not None and not loaded:
                    return self._otherwise(arrival, attempt)
        if look is None:
            return Decision(Arrival(digest(key, {"tick": self.now.isoformat()}), 0, 1), ask=True)
        return Decision() if loaded else self._new(key, look, seen, arrival)

    def _otherwise(self, arrival: Arrival, attempt: Attempt) -> Decision:
        """After a run that succeeded with something else than was seen: perhaps the publisher was quicker, once."""
        if attempt.number == 1:
            return Decision(replace(arrival, attempt=2), ask=True)
        return Decision(replace(arrival, attempt=attempt.number, end="loaded"))

    def _again(self, arrival: Arrival, attempt: Attempt, *, tells: bool) -> Decision:
        """After a run that failed: another attempt when its time has come, as long as there is one left."""
        if tells and attempt.number >= self.trigger.attempts:
            return Decision(replace(arrival, attempt=attempt.number, end="given up"), note=_GIVEN_UP)
        due = attempt.ended + wait(self.trigger, attempt.number)
        if self.now < due:
            return Decision(
                arrival, note=f"attempt {attempt.number} failed, the next comes at {due:%Y-%m-%d %H:%M} UTC"
            )
        return Decision(replace(arrival, attempt=attempt.number + 1), ask=True)

    def _new(self, key: str, look: Mapping[str, str], seen: Seen | None, arrival: Arrival | None) -> Decision:
        """What is not loaded: to be asked for, unless it was dealt with or may still be being written."""
        if arrival is not None and arrival.look == digest(key, look, arrival.after):
            if arrival.end:
                return Decision(arrival, note=_GIVEN_UP if arrival.end == "given up" else "")
            return Decision(replace(arrival, attempt=1), ask=True)
        after = seen.delivery_id if seen is not None else 0
        arrival = Arrival(digest(key, look, after), after)
        moment = changed_at(look)
        if moment is not None and self.now - moment >= timedelta(seconds=self.settle_seconds):
            return Decision(replace(arrival, attempt=1), ask=True)
        return Decision(arrival, note="may still be being written, and is looked at again")


_GIVEN_UP: Final = "every attempt failed; the next change is waited for, or a run by hand"


def digest(key: str, look: Mapping[str, str], after: int = 0) -> str:
    """What an arrival is known by, in cursors, run keys and tags."""
    told = json.dumps([key, sorted(look.items()), after])
    return sha256(told.encode()).hexdigest()[:_DIGITS]


def wait(trigger: OnChange, failed: int) -> timedelta:
    """How long after so many attempts the next one comes."""
    longest = max(trigger.every, LONGEST_WAIT)
    times: int = min(2 ** (failed - 1), longest // trigger.every + 1)
    return min(trigger.every * times, longest)


def told(notes: Iterable[tuple[str, str]], looked_at: int) -> str:
    """What became of a tick that asked for nothing, in words.

    Args:
        notes: Partition and what is said of it.
        looked_at: How many partitions were looked at.
    """
    said = [f"{key or 'the whole source'}: {note}" for key, note in notes if note]
    if not said:
        return f"Nothing has changed; {looked_at} looked at."
    more = f" And {len(said) - _NOTES} more." if len(said) > _NOTES else ""
    return f"{'; '.join(said[:_NOTES])}.{more}"


_NOTES: Final = 5
