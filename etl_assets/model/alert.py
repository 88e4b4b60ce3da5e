"""The rules by which people are told: which there are, how bad, who hears of it, and when not.

Values only; whether a rule applies to what happened is ``alerts``'s business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from etl_assets.errors import DeclarationError
from etl_assets.model.drift import DRIFT_KINDS

if TYPE_CHECKING:
    from datetime import time

    from etl_assets.model.drift import DriftKind

Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""From the least to the worst."""
CHANNEL: Final = re.compile(r"[a-z][a-z0-9_]*")
"""What a channel may be called."""
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LAST_DAY: Final = 28
"""Of the days of the month that every month has."""
_LOOK_BACK: Final = 64
"""So many days ago, at most, were the last two deadlines."""


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """Hours at which nobody is told; messages wait until they end.

    Attributes:
        start: When they begin, by the clock of the zone.
        end: When they end; the next day if it is before the start.
        zone: IANA zone of both.
        but: Severities that do not wait.
    """

    start: time
    end: time
    zone: str = "UTC"
    but: tuple[Severity, ...] = ("critical",)

    def until(self, at: datetime, severity: Severity) -> datetime:
        """The first moment, not before ``at``, at which a message may be sent."""
        local = at.astimezone(ZoneInfo(self.zone))
        clock = local.time()
        over_midnight = self.end < self.start
        begun, not_ended = clock >= self.start, clock < self.end
        held = (begun or not_ended) if over_midnight else (begun and not_ended)
        if severity in self.but or not held:
            return at
        day = local.date() + timedelta(days=1 if over_midnight and begun else 0)
        return max(at, datetime.combine(day, self.end, local.tzinfo).astimezone(UTC))

    def check(self, where: str) -> None:
        """Raise unless the declaration is sound."""
        _check_zone(self.zone, where)
        _check_severities(self.but, where)
        if self.start == self.end:
            raise DeclarationError(where, "alerts", "are quiet all day", "Let Quiet begin and end at different times")


@dataclass(frozen=True, kw_only=True)
class AlertRule:
    """What every rule has.

    Attributes:
        severity: How bad it is.
        to: Names of the channels that hear of it; with none, it can only be looked up.
        quiet: When its messages wait.
        off: Whether the source does without the rule.
    """

    kind: ClassVar[str]
    severity: Severity = "error"
    to: tuple[str, ...] = ("default",)
    quiet: Quiet | None = None
    off: bool = False

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the declaration is sound.

        Args:
            where: What to call the owner in the error, e.g. ``source 'flights'``.
        """
        _check_severities((self.severity,), where)
        for channel in self.to:
            if not CHANNEL.fullmatch(channel):
                raise DeclarationError(
                    where, "alerts", f"name {channel!r}, no channel", "Use lower-case letters, digits and underscores"
                )
        if self.quiet is not None:
            self.quiet.check(where)


@dataclass(frozen=True, kw_only=True)
class RunFailed(AlertRule):
    """A run failed, or crashed; resolved when one of the same source partition succeeds."""

    kind: ClassVar[str] = "run_failed"


@dataclass(frozen=True, kw_only=True)
class RejectedShare(AlertRule):
    """More than a share of a run's records was rejected, by consent or not.

    Attributes:
        above: The share, 0.0 to 1.0.
    """

    kind: ClassVar[str] = "rejected_share"
    above: float
    severity: Severity = "warning"

    def check(self, where: str) -> None:
        """Raise unless it is a share."""
        AlertRule.check(self, where)
        _check_that(where, self, 0.0 <= self.above < 1.0, f"has no share above {self.above}", "Write 0.0 to 1.0")


@dataclass(frozen=True, kw_only=True)
class RejectedCount(AlertRule):
    """More than a number of a run's records were rejected, by consent or not.

    Attributes:
        above: The number.
    """

    kind: ClassVar[str] = "rejected_count"
    above: int
    severity: Severity = "warning"

    def check(self, where: str) -> None:
        """Raise unless it is a number of records."""
        AlertRule.check(self, where)
        _check_that(where, self, self.above >= 0, f"has a count of {self.above}", "Write 0 or more")


@dataclass(frozen=True, kw_only=True)
class VolumeDrop(AlertRule):
    """The check ``volume`` failed, for there were fewer records than usual.

    Attributes:
        by: By what share fewer, at least, than the median of the deliveries before.
    """

    kind: ClassVar[str] = "volume_drop"
    by: float = 0.0

    def check(self, where: str) -> None:
        """Raise unless it is a share."""
        AlertRule.check(self, where)
        _check_that(where, self, 0.0 <= self.by <= 1.0, f"has a share of {self.by}", "Write 0.0 to 1.0")


@dataclass(frozen=True, kw_only=True)
class SlowRun(AlertRule):
    """A run took longer than is usual for so many records.

    Attributes:
        factor: So many times the median of earlier runs, at least.
        minimum_history: With fewer earlier runs nothing is said.
        at_least: By how much longer than the median it must have been.
    """

    kind: ClassVar[str] = "slow_run"
    factor: float = 3.0
    minimum_history: int = 5
    at_least: timedelta = timedelta(minutes=1)
    severity: Severity = "warning"

    def check(self, where: str) -> None:
        """Raise unless the thresholds make sense."""
        AlertRule.check(self, where)
        _check_that(where, self, self.factor > 1.0, f"has a factor of {self.factor}", "Write a number above 1.0")
        _check_that(where, self, self.minimum_history >= 1, "compares with nothing", "Let minimum_history be 1 or more")


@dataclass(frozen=True, kw_only=True)
class NoDelivery(AlertRule):
    """At a deadline, no delivery had been taken since the deadline before it; resolved when one is.

    The same bytes again are the same delivery, and meet no deadline.

    Attributes:
        by: The time of the deadline.
        zone: IANA zone of the time.
        days: On which days: ``mon`` to ``sun``, and days of the month from 1 to 28; every day when empty.
    """

    kind: ClassVar[str] = "no_delivery"
    by: time
    zone: str = "UTC"
    days: tuple[str | int, ...] = ()

    def deadlines(self, at: datetime) -> tuple[datetime, datetime]:
        """The last deadline that is not after ``at``, and the one before it."""
        zone = ZoneInfo(self.zone)
        today = at.astimezone(zone).date()
        past = [
            deadline
            for day in (today - timedelta(days=ago) for ago in range(_LOOK_BACK))
            if not self.days or WEEKDAYS[day.weekday()] in self.days or day.day in self.days
            if (deadline := datetime.combine(day, self.by, zone)) <= at
        ]
        return past[0], past[1]

    def check(self, where: str) -> None:
        """Raise unless there are such days in such a zone."""
        AlertRule.check(self, where)
        _check_zone(self.zone, where)
        for day in self.days:
            known = day in WEEKDAYS or (isinstance(day, int) and 1 <= day <= _LAST_DAY)
            _check_that(where, self, known, f"names the day {day!r}", "Write 'mon' to 'sun', or 1 to 28")


@dataclass(frozen=True, kw_only=True)
class DriftOpened(AlertRule):
    """What is published has changed, and the declaration does not provide for it; resolved when the drift is closed.

    Attributes:
        kinds: Only these kinds of drift; all when empty.
    """

    kind: ClassVar[str] = "drift_opened"
    kinds: tuple[DriftKind, ...] = ()
    severity: Severity = "warning"

    def check(self, where: str) -> None:
        """Raise unless there are such kinds."""
        AlertRule.check(self, where)
        for kind in self.kinds:
            _check_that(where, self, kind in DRIFT_KINDS, f"names {kind!r}", f"Use {', '.join(DRIFT_KINDS)}")


@dataclass(frozen=True, kw_only=True)
class CheckFailed(AlertRule):
    """An asset check failed; resolved when it passes.

    Attributes:
        names: Only these checks, whatever they are. When empty, all but those that have a rule, or a consent, of their
            own: the declared rules of records, ``drift``, a drop of ``volume``, and, unless ``blocking``, the checks
            that fail a run.
        blocking: Whether the checks that fail a run are meant too, which `RunFailed` tells of already.
    """

    kind: ClassVar[str] = "check_failed"
    names: tuple[str, ...] = ()
    blocking: bool = False
    severity: Severity = "warning"


@dataclass(frozen=True, kw_only=True)
class QuarantineGrowing(AlertRule):
    """Many records came into the quarantine lately, and wait there.

    Attributes:
        by: So many, at least.
        within: So lately.
    """

    kind: ClassVar[str] = "quarantine_growing"
    by: int = 1000
    within: timedelta = timedelta(days=1)
    severity: Severity = "warning"

    def check(self, where: str) -> None:
        """Raise unless it can grow by so many within that time."""
        AlertRule.check(self, where)
        sound = self.by >= 1 and self.within > timedelta()
        _check_that(where, self, sound, f"asks for {self.by} within {self.within}", "Write by=1 or more, and a time")


@dataclass(frozen=True, kw_only=True)
class QuarantineAgeing(AlertRule):
    """Records wait in the quarantine for long.

    Attributes:
        older_than: So long.
    """

    kind: ClassVar[str] = "quarantine_ageing"
    older_than: timedelta = timedelta(days=7)
    severity: Severity = "warning"

    def check(self, where: str) -> None:
        """Raise unless it is a time."""
        AlertRule.check(self, where)
        _check_that(where, self, self.older_than > timedelta(), "waits for no time", "Write timedelta(days=7)")


@dataclass(frozen=True, kw_only=True)
class ChannelLost(AlertRule):
    """A channel takes no messages; the others are told. Nobody declares it: it holds for all sources."""

    kind: ClassVar[str] = "channel_lost"


@dataclass(frozen=True)
class Reason:
    """What a rule found: why an alert is open.

    Attributes:
        rule: The rule.
        summary: What happened, in a sentence or two; no record contents.
        remedy: What to do about it.
        subject: What of the source partition, where several things can be: the check, the change, the threshold.
        delivery_id: Of the delivery concerned, if there is one.
    """

    rule: AlertRule
    summary: str
    remedy: str
    subject: str = ""
    delivery_id: int | None = None


DEFAULT_ALERTS: tuple[AlertRule, ...] = (
    RunFailed(),
    CheckFailed(),
    VolumeDrop(),
    DriftOpened(),
    QuarantineAgeing(),
)
"""The rules of a source that declares none of its own: those that need no threshold of the feed's. A record that is
rejected by consent is a reason for none of them, until it has waited for a week."""


def _check_that(where: str, rule: AlertRule, sound: Any, problem: str, remedy: str) -> None:
    if not sound:
        raise DeclarationError(where, f"alerts, {type(rule).__name__}", problem, remedy)


def _check_severities(severities: tuple[str, ...], where: str) -> None:
    for severity in severities:
        if severity not in SEVERITIES:
            raise DeclarationError(where, "alerts", f"have the severity {severity!r}", f"Write {', '.join(SEVERITIES)}")


def _check_zone(zone: str, where: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise DeclarationError(
            where, "alerts", f"name the zone {zone!r}", "Write an IANA zone: Europe/Paris"
        ) from error
