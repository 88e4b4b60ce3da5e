"""A feed as profiles of its deliveries, the changes that are true of it, and the alerts for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from etl_assets.model.monitors import Monitors
from etl_assets.watch.anomaly import Order, Profiled, check_distribution, check_volume
from etl_assets.watch.history_statistics import Point
from etl_assets.watch.profiles import merge, profile_batch

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from etl_assets.model.level_change import LevelChange
    from etl_assets.model.profile import ColumnProfile
    from etl_assets.schema import Schema

HISTORY: Final = 60


@dataclass(frozen=True)
class Sent:
    """One delivery: its name, its day if it has one, its number of records, and its profiles."""

    name: str
    records: int
    profiles: dict[str, ColumnProfile]
    day: date | None = None


@dataclass(frozen=True)
class Truth:
    """A change that a person would want to know of.

    Attributes:
        first: Name of the delivery that brought it.
        kind: What it is: gap, jump, level shift, swap, unit change.
        why: What happened.
        last: Name of the last delivery that shows it; that of the first if there is one alone; empty if it stayed.
        columns: The columns concerned; any if empty. An alert about one of them is enough.
    """

    first: str
    kind: str
    why: str
    last: str = ""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """An alert: the delivery that opened it, what it says, and the delivery that resolved it, if one did."""

    opened: str
    subject: str
    change: LevelChange
    resolved: str = ""


@dataclass
class Feed:
    """A feed of which the truth is known.

    Attributes:
        name: Of the feed.
        schema: Of its records.
        sent: Its deliveries, oldest first.
        truths: What happened.
        monitors: The thresholds.
    """

    name: str
    schema: Schema
    sent: list[Sent]
    truths: tuple[Truth, ...] = ()
    monitors: Monitors = field(default_factory=Monitors)

    def alerts(self) -> list[Told]:
        """Compare each delivery with those before it, and return the alerts, in the order in which they open."""
        told: list[Told] = []
        still: dict[tuple[str, int], int] = {}
        for place in range(len(self.sent)):
            changes = self._changes(place)
            holding: dict[tuple[str, int], int] = {}
            for change in changes:
                names = [f"{change.check}: {subject}" for subject in change.subjects]
                key = next(((name, change.began) for name in names if (name, change.began) in still), None)
                if key is None:
                    key = names[0], change.began
                    told.append(Told(self.sent[place].name, names[0], change))
                    holding[key] = len(told) - 1
                else:
                    holding[key] = still[key]
            for key, number in still.items():
                if key not in holding:
                    one = told[number]
                    told[number] = Told(one.opened, one.subject, one.change, self.sent[place].name)
            still = holding
        return told

    def _changes(self, place: int) -> list[LevelChange]:
        window = range(max(0, place - HISTORY), place + 1)
        orders = [Order("", number) for number in window]
        *earlier, now = [self.sent[number] for number in window]
        assert self.monitors.volume is not None
        volume = check_volume(
            Point(now.records, now.day),
            [Point(past.records, past.day) for past in earlier],
            self.monitors.volume,
            orders,
        )
        profiled = [
            Profiled(one.profiles, one.day, order)
            for one, order in zip((*earlier, now), orders, strict=True)
            if one.profiles
        ]
        changes = [*volume.levels[0].changes]
        if now.profiles:
            changes += check_distribution(self.schema, profiled[-1], profiled[:-1], self.monitors).changes
        return changes


def profiles_of(schema: Schema, rows: pl.DataFrame) -> dict[str, ColumnProfile]:
    """Profile rows as a load does."""
    return {profile.column: profile for profile in merge(schema, [profile_batch(schema, rows)])}
