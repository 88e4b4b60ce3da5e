"""What a command runs, cut into ranges, and which of them may be executed at the same time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from etl_assets.cli.orchestration import Runnable


@dataclass(frozen=True)
class Range:
    """What one run takes.

    Attributes:
        what: The declaration of a source, or the key of an asset.
        keys: Keys of its partitions; the empty text if it has none.
    """

    what: Runnable
    keys: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the source, or the key of the asset as a text."""
        return self.what.name if hasattr(self.what, "name") else self.what.to_user_string()

    @property
    def title(self) -> str:
        """The name with the first and the last of the partitions, for people."""
        named = self.keys[0] if len(self.keys) == 1 else f"{self.keys[0]} … {self.keys[-1]}"
        return f"{self.name} {named}".strip()


def size_of_each(number: int, most: int, at_once: int) -> int:
    """Return the size of ranges of about the same size, so that what is executed side by side ends together.

    Args:
        number: Of the partitions.
        most: The most partitions of a range. So few are not cut.
        at_once: How many ranges may be executed at the same time.
    """
    if number <= most:
        return most
    rounds = -(-number // (most * at_once))
    return -(-number // (rounds * at_once))


class Turns:
    """Which ranges may begin, as those before them end.

    A range begins when all have ended that belong to a source which its own source comes after, and while fewer ranges
    of its source are executed than the pool of the source allows. An asset that was written by hand has its turn alone,
    when everything before it has ended.

    Args:
        ranges: In the order in which they begin if nothing holds them back; those of a source follow each other.
        after: The names of all sources that each source comes after, directly or not.
    """

    def __init__(self, ranges: Sequence[Range], after: Mapping[str, Collection[str]]) -> None:
        self._ranges = ranges
        self._after = after
        groups = groupby(range(len(ranges)), key=lambda number: ranges[number].what)
        self._groups = [_Group(what, deque(numbers)) for what, numbers in groups]

    def next(self) -> int | None:
        """Begin a range, and return its number; None if none may begin now."""
        before: list[_Group] = []
        for group in self._groups:
            if group.has_more and not any(self._holds_back(other, group) for other in before):
                return group.begin()
            before.append(group)
        return None

    def end(self, number: int) -> None:
        """Note that a range has ended, in whatever way."""
        group = next(group for group in self._groups if number in group.executed)
        group.executed.remove(number)
        if not group.executed and not group.waiting:
            self._groups.remove(group)

    @property
    def most_at_once(self) -> int:
        """How many ranges can be executed at the same time, if all take the same time."""
        trial = Turns(self._ranges, self._after)
        most = 0
        while numbers := list(iter(trial.next, None)):
            most = max(most, len(numbers))
            for number in numbers:
                trial.end(number)
        return most

    def _holds_back(self, other: _Group, group: _Group) -> bool:
        """Return whether a group before another must end before that begins."""
        return None in {other.name, group.name} or other.name in self._after.get(group.name or "", ())


@dataclass
class _Group:
    """The ranges of one source, or of one asset, that have not ended.

    Attributes:
        what: The declaration of the source, or the key of the asset.
        waiting: Numbers of ranges, in their order.
        executed: Numbers of ranges.
    """

    what: Runnable
    waiting: deque[int]
    executed: set[int] = field(default_factory=set)

    @property
    def name(self) -> str | None:
        """The name of the source; None for an asset."""
        return getattr(self.what, "name", None)

    @property
    def has_more(self) -> bool:
        """Whether one more range may be executed, as far as the others of the source are concerned."""
        return bool(self.waiting) and len(self.executed) < getattr(self.what, "runs_at_once", 1)

    def begin(self) -> int:
        """Begin the next range, and return its number."""
        number = self.waiting.popleft()
        self.executed.add(number)
        return number
