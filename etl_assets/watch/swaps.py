"""Find columns that look swapped: the numbers of one are as usual for the other, and the other way round.

Pure functions. Only numbers are compared: two columns whose values are distributed alike can be swapped unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from etl_assets.model.checks import DISTRIBUTION
from etl_assets.model.level_change import LevelChange
from etl_assets.watch.history_statistics import NEAR, middle

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from etl_assets.model.profile import ColumnProfile
    from etl_assets.watch.column_statistics import Statistic
    from etl_assets.watch.history_statistics import Scale, Usual

_MUCH_BETTER: Final = 0.5
"""Two columns look swapped if exchanged they are at most so far from what is usual as they are."""
_LIKE: Final = 1.5
"""A profile that is beyond the limits of another column by no more is like it: they are for numbers of its own."""
_ABOUT: Final = 0.5
"""A number that moved by so much of its way with others of its column had moved with them."""
_EXTREMES: Final = frozenset({"smallest value", "largest value"})


@dataclass(frozen=True)
class CheckedNumber:
    """A number of a column, compared with its history.

    Attributes:
        statistic: Which number it is.
        value: The number.
        usual: The result of the comparison.
        scale: How it was compared.
        numbers: Its history, oldest first.
        ids: Ids of the deliveries of the history, and of this one.
        began: Id of the delivery that brought its level, if it is anomalous; otherwise None.
        settled: Id of the delivery that brought the level which is the usual one now; None if it always was.
    """

    statistic: Statistic
    value: float
    usual: Usual
    scale: Scale
    numbers: Sequence[float]
    ids: tuple[int, ...]
    began: int | None
    settled: int | None

    def is_where_it_was(self, since: int) -> bool:
        """Whether it is about as far from the usual as from a place of the history on, though it was not anomalous."""
        then = middle(sorted(self.numbers[since:])) - self.usual.centre
        now = self.value - self.usual.centre
        return then * now > 0 and abs(then) >= _ABOUT * abs(now)

    def ranges(self, begun: Collection[int]) -> Iterator[tuple[float, float]]:
        """Yield the ranges that are usual for it: of its history, and of the levels at which its column was last.

        Args:
            begun: Places of the history where levels of its column began; it may have moved with them without being
                anomalous.
        """
        low, high = self.scale.limits(self.usual.values)
        yield low, high
        own = dict(self.usual.levels)
        for began in begun:
            distance = own.get(began, middle(sorted(self.numbers[began:])) - self.usual.centre)
            wider = NEAR * abs(distance)
            yield low + distance - wider, high + distance + wider

    def excess(self, value: float, begun: Collection[int] = (), *, own: bool = False) -> float:
        """Return how far a value is from what is usual for this number; above 1.0 it is too far.

        Args:
            value: On the scale of this number.
            begun: See `ranges`.
            own: Whether it is this number itself, for which no level is usual but the one of its history.
        """
        ranges = [self.scale.limits(self.usual.values)] if own else self.ranges(begun)
        return min(abs(value - (low + high) / 2) / ((high - low) / 2) for low, high in ranges)


@dataclass(frozen=True)
class CheckedColumn:
    """The numbers of a column of a delivery, compared with their history.

    Attributes:
        name: Of the column.
        profile: In this delivery.
        unit: The deviation in which its means and quantiles are compared.
        numbers: Those that have enough history.
    """

    name: str
    profile: ColumnProfile
    unit: float
    numbers: tuple[CheckedNumber, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its numbers."""
        return tuple(number.statistic.name for number in self.numbers)

    @property
    def is_anomalous(self) -> bool:
        """Whether one of its numbers is anomalous."""
        return any(number.began is not None for number in self.numbers)

    def excess(self, profile: ColumnProfile) -> float:
        """Return how far a profile is from what is usual for this column; above `_LIKE` it is not like it."""
        worst = 0.0
        levels = [(began, number) for number in self.numbers for began, _ in number.usual.levels]
        begun = {began for began, number in levels if began not in {number.usual.began, len(number.numbers)}}
        for number in self.numbers:
            if number.statistic.name in _EXTREMES:
                continue
            (value,) = number.statistic.compute([profile], self.unit)
            if value is None:
                return float("inf")
            worst = max(worst, number.excess(value, begun, own=profile is self.profile))
            if worst > _LIKE and profile is not self.profile:
                break
        return worst


def find_swaps(columns: Sequence[CheckedColumn], delivery: int) -> list[LevelChange]:
    """Return a change for each two columns that look swapped. No column is in two of them.

    Args:
        columns: The columns of a delivery.
        delivery: Its id.
    """
    comparable = [column for column in columns if len(column.numbers) > _COUNTS_ALONE]
    if not any(column.is_anomalous for column in comparable):
        return []
    pairs = []
    for one, other in combinations(comparable, 2):
        if one.names != other.names or not (one.is_anomalous or other.is_anomalous):
            continue
        exchanged = [one.excess(other.profile), other.excess(one.profile)]
        if max(exchanged) > _LIKE:
            continue
        if sum(exchanged) <= _MUCH_BETTER * (one.excess(one.profile) + other.excess(other.profile)):
            pairs.append((sum(exchanged), one, other))
    found, taken = [], set[str]()
    for _, one, other in sorted(pairs, key=lambda pair: pair[0]):
        if taken.isdisjoint({one.name, other.name}):
            taken |= {one.name, other.name}
            found.append(_change(one, other, delivery))
    return found


_COUNTS_ALONE: Final = 2
"""Columns of which so many numbers are compared have nothing but counts, which look alike too often."""


def _change(one: CheckedColumn, other: CheckedColumn, delivery: int) -> LevelChange:
    anomalous = [number for column in (one, other) for number in column.numbers if number.began is not None]
    text = (
        f"Columns {one.name} and {other.name} look swapped: the values of each are distributed as those of the other "
        f"were before."
    )
    began = max((number.began or delivery for number in anomalous), default=delivery)
    names = tuple(dict.fromkeys(number.statistic.name for number in anomalous))
    return LevelChange(DISTRIBUTION, one.name, names, began, text, swapped_with=other.name)
