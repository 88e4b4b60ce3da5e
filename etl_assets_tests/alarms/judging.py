"""Hold the alerts of a feed against its truth: which are right, which are missing, which stayed open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets_tests.alarms.feed import Feed, Told, Truth


@dataclass(frozen=True)
class Verdict:
    """The alerts of one feed or of several, counted.

    Attributes:
        deliveries: How many there are.
        truths: How many changes are true.
        found: How many of these have an alert that opened with them.
        alerts: How many alerts opened.
        right: How many of these are about a true change.
        left_open: How many were open at the end, though their cause was gone.
    """

    deliveries: int
    truths: int
    found: int
    alerts: int
    right: int
    left_open: int

    def __add__(self, other: Verdict) -> Verdict:
        mine, others = vars(self).values(), vars(other).values()
        return Verdict(*(one + another for one, another in zip(mine, others, strict=True)))

    @property
    def precision(self) -> float:
        """The share of the alerts that are right; 1.0 if there are none."""
        return self.right / self.alerts if self.alerts else 1.0

    @property
    def recall(self) -> float:
        """The share of the true changes that were found; 1.0 if there are none."""
        return self.found / self.truths if self.truths else 1.0


def judge(feed: Feed, told: Sequence[Told]) -> Verdict:
    """Judge the alerts of a feed. An alert is right if it opened with a true change, or while it lasted."""
    places = {sent.name: place for place, sent in enumerate(feed.sent)}

    def is_of(alert: Told, truth: Truth) -> bool:
        first, opened = places[truth.first], places[alert.opened]
        last = places[truth.last] if truth.last else first
        return first <= opened <= last and _concerns(alert, truth)

    right = [alert for alert in told if any(is_of(alert, truth) for truth in feed.truths)]
    found = [
        truth for truth in feed.truths if any(_shows(alert, truth) and alert.opened == truth.first for alert in told)
    ]
    gone = [truth for truth in feed.truths if truth.last]
    left = [
        alert for alert in told if not alert.resolved and (alert not in right or any(is_of(alert, t) for t in gone))
    ]
    return Verdict(len(feed.sent), len(feed.truths), len(found), len(told), len(right), len(left))


def _concerns(alert: Told, truth: Truth) -> bool:
    named = {alert.change.column, alert.change.swapped_with} - {""}
    return not truth.columns or not named or not named.isdisjoint(truth.columns)


def _shows(alert: Told, truth: Truth) -> bool:
    if truth.kind == "swap":
        return {alert.change.column, alert.change.swapped_with} == set(truth.columns)
    return _concerns(alert, truth)
