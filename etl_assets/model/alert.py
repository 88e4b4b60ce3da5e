"""Alert rules as they are declared: what opens an alert, its severity, its channels, and its quiet hours.

Values only; the package ``alerts`` evaluates them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar, Final, Literal, get_args
from zoneinfo import ZoneInfo

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration
from etl_assets.model.drift import DriftKind
from etl_assets.model.zones import check_zone

Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""From the least severe to the most severe."""
AlertStatus = Literal["open", "resolved"]
ALERT_STATUSES: Final[tuple[str, ...]] = get_args(AlertStatus)
CHANNEL: Final = re.compile(r"[a-z][a-z0-9_]*")
"""The pattern of a channel's name."""
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LAST_DAY: Final = 28
"""The last day that every month has."""
_DAYS_BACK: Final = 64
"""How many days to go back for the last two deadlines, whatever the days of a rule are."""


@dataclass(frozen=True, kw_only=True)
class Quiet(Declaration):
    """Hours in which no notifications are sent; they wait until the hours end.

    Attributes:
        start: When they begin, by the clock of the zone.
        end: When they end; on the next day if it is before the start.
        zone: IANA zone of both.
        but: Severities that do not wait.
    """

    start: time
    end: time
    zone: str = "UTC"
    but: tuple[Severity, ...] = ("critical",)

    def until(self, at: datetime, severity: Severity) -> datetime:
        """Return the first moment, not before ``at``, at which a notification may be sent."""
        local = at.astimezone(ZoneInfo(self.zone))
        clock = local.time()
        over_midnight = self.end < self.start
        begun, not_ended = clock >= self.start, clock < self.end
        is_quiet = (begun or not_ended) if over_midnight else (begun and not_ended)
        if severity in self.but or not is_quiet:
            return at
        day = local.date() + timedelta(days=1 if over_midnight and begun else 0)
        return max(at, datetime.combine(day, self.end, local.tzinfo).astimezone(UTC))

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the declaration is valid."""
        check_zone(self.zone, where, "alerts")
        for clock in (self.start, self.end):
            _check_clock(clock, where)
        if self.start == self.end:
            raise DeclarationError(where, "alerts", "are quiet all day", "Let Quiet begin and end at different times")


@dataclass(frozen=True, kw_only=True)
class AlertRule(Declaration):
    """Base class of the alert rules.

    Attributes:
        severity: Of its alerts.
        to: Names of the channels to notify. With none, alerts are only listed.
        quiet: Hours in which its notifications wait.
        off: Whether the rule is switched off for the source.
    """

    kind: ClassVar[str]
    severity: Severity = "error"
    to: tuple[str, ...] = ("default",)
    quiet: Quiet | None = None
    off: bool = False

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the declaration is valid.

        Args:
            where: What to call the owner in the error, e.g. ``source 'flights'``.
        """
        for channel in self.to:
            if not CHANNEL.fullmatch(channel):
                raise DeclarationError(
                    where, "alerts", f"name the channel {channel!r}", "Use lower-case letters, digits and underscores"
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
        """Raise a `DeclarationError` unless ``above`` is a share below 1.0."""
        AlertRule.check(self, where)
        _require(where, self, 0.0 <= self.above < 1.0, f"has above={self.above}", "Write a share from 0.0 to below 1.0")


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
        """Raise a `DeclarationError` unless ``above`` is a number of records."""
        AlertRule.check(self, where)
        _require(where, self, self.above >= 0, f"has above={self.above}", "Write 0 or more")


@dataclass(frozen=True, kw_only=True)
class VolumeDrop(AlertRule):
    """The check ``volume`` failed because there were fewer records than usual.

    Attributes:
        by: The least share by which the records are fewer than the median of the deliveries before.
    """

    kind: ClassVar[str] = "volume_drop"
    by: float = 0.0

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless ``by`` is a share."""
        AlertRule.check(self, where)
        _require(where, self, 0.0 <= self.by <= 1.0, f"has by={self.by}", "Write a share from 0.0 to 1.0")


@dataclass(frozen=True, kw_only=True)
class SlowRun(AlertRule):
    """A run took longer than is usual for its number of records.

    Attributes:
        factor: A slow run takes more than this many times the median of earlier runs.
        minimum_history: The least number of earlier runs; with fewer there is no alert.
        at_least: The least time by which a slow run exceeds the median.
    """

    kind: ClassVar[str] = "slow_run"
    factor: float = 3.0
    minimum_history: int = 5
    at_least: timedelta = timedelta(minutes=1)
    severity: Severity = "warning"

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the thresholds are valid."""
        AlertRule.check(self, where)
        _require(where, self, self.factor > 1.0, f"has factor={self.factor}", "Write a number above 1.0")
        _require(where, self, self.at_least >= timedelta(), "has an at_least below 0", "Write a timedelta of 0 or more")
        _require(where, self, self.minimum_history >= 1, "has no minimum_history", "Write minimum_history=1 or more")


@dataclass(frozen=True, kw_only=True)
class NoDelivery(AlertRule):
    """At a deadline, no delivery had been taken since the deadline before it; resolved when one is taken.

    The same bytes again are the same delivery, and meet no deadline.

    Attributes:
        by: The time of the deadline.
        zone: IANA zone of the time.
        days: Days with a deadline: ``mon`` to ``sun``, and days of the month from 1 to 28; every day when empty.
    """

    kind: ClassVar[str] = "no_delivery"
    by: time
    zone: str = "UTC"
    days: tuple[str | int, ...] = ()

    def deadlines(self, at: datetime) -> tuple[datetime, datetime]:
        """Return the last deadline that is not after ``at``, and the one before it."""
        zone = ZoneInfo(self.zone)
        today = at.astimezone(zone).date()
        past = [
            deadline
            for day in (today - timedelta(days=ago) for ago in range(_DAYS_BACK))
            if not self.days or WEEKDAYS[day.weekday()] in self.days or day.day in self.days
            if (deadline := datetime.combine(day, self.by, zone)) <= at
        ]
        return past[0], past[1]

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the days and the zone exist."""
        AlertRule.check(self, where)
        check_zone(self.zone, where, "alerts")
        _check_clock(self.by, where)
        for day in self.days:
            known = day in WEEKDAYS or (isinstance(day, int) and 1 <= day <= _LAST_DAY)
            _require(where, self, known, f"names the day {day!r}", "Write 'mon' to 'sun', or 1 to 28")


@dataclass(frozen=True, kw_only=True)
class DriftOpened(AlertRule):
    """The published data changed in a way that the declaration does not provide for; resolved when the drift is closed.

    Attributes:
        kinds: Only these kinds of drift; all when empty.
    """

    kind: ClassVar[str] = "drift_opened"
    kinds: tuple[DriftKind, ...] = ()
    severity: Severity = "warning"


@dataclass(frozen=True, kw_only=True)
class CheckFailed(AlertRule):
    """An asset check failed; resolved when it passes.

    Attributes:
        names: Only these checks and rules, whatever they are. A check with several rules stands for each of them. When
            empty, all except those that have an alert rule or a consent of their own: the declared rules of records,
            ``drift``, a drop of ``volume``, and, unless ``blocking``, the checks that fail a run.
        blocking: Whether to include the checks that fail a run; `RunFailed` reports those already.
    """

    kind: ClassVar[str] = "check_failed"
    names: tuple[str, ...] = ()
    blocking: bool = False
    severity: Severity = "warning"


@dataclass(frozen=True, kw_only=True)
class QuarantineGrowing(AlertRule):
    """Many records came into the quarantine within a short time, and wait there.

    Attributes:
        by: The least number of records.
        within: The time, up to now, in which they were rejected.
    """

    kind: ClassVar[str] = "quarantine_growing"
    by: int = 1000
    within: timedelta = timedelta(days=1)
    severity: Severity = "warning"

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the number and the time are positive."""
        AlertRule.check(self, where)
        valid = self.by >= 1 and self.within > timedelta()
        _require(where, self, valid, f"has by={self.by} within {self.within}", "Write 1 or more, and a positive time")


@dataclass(frozen=True, kw_only=True)
class QuarantineAgeing(AlertRule):
    """Records have waited in the quarantine for a long time.

    Attributes:
        older_than: The longest time for which a record may wait.
    """

    kind: ClassVar[str] = "quarantine_ageing"
    older_than: timedelta = timedelta(days=7)
    severity: Severity = "warning"

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the time is positive."""
        AlertRule.check(self, where)
        _require(where, self, self.older_than > timedelta(), "has no positive time", "Write timedelta(days=7)")


@dataclass(frozen=True, kw_only=True)
class FilesSetAside(AlertRule):
    """Names of files cannot be keys of partitions, so these files are not loaded; resolved when the names are gone."""

    kind: ClassVar[str] = "files_set_aside"


@dataclass(frozen=True, kw_only=True)
class ChannelLost(AlertRule):
    """A channel takes no notifications; the others are notified. Not declared by a source: it holds for all of them."""

    kind: ClassVar[str] = "channel_lost"


@dataclass(frozen=True, kw_only=True)
class FileBroken(AlertRule):
    """A file of sources does not load. Not declared by a source: a file that does not load declares nothing."""

    kind: ClassVar[str] = "file_broken"


@dataclass(frozen=True, kw_only=True)
class TickFailed(AlertRule):
    """A tick of a sensor failed for one run or source, and went on with the others. Not declared by a source."""

    kind: ClassVar[str] = "tick_failed"


@dataclass(frozen=True, kw_only=True)
class LocationLost(AlertRule):
    """A code location does not answer, or its definitions do not load. Not declared by a source."""

    kind: ClassVar[str] = "location_lost"


@dataclass(frozen=True)
class Reason:
    """What a rule found, for which an alert is open.

    Attributes:
        rule: The rule.
        summary: What happened, in a sentence or two; no record contents.
        remedy: What to do about it.
        subject: Distinguishes several alerts of a rule for one source partition: the check, the change, the threshold.
        delivery_id: Of the delivery concerned, if there is one.
        command: What to type next; empty for the command of the rule's class.
        since: When this occurrence of a lasting condition began, for a condition that returns while it lasts, such
            as the next deadline. If a person closed the alert before, it opens again.
    """

    rule: AlertRule
    summary: str
    remedy: str
    subject: str = ""
    delivery_id: int | None = None
    command: str = ""
    since: datetime | None = None


DEFAULT_ALERTS: tuple[AlertRule, ...] = (
    RunFailed(),
    CheckFailed(),
    VolumeDrop(),
    DriftOpened(),
    QuarantineAgeing(),
    FilesSetAside(),
)
"""The rules of a source that declares none: those that need no threshold for the feed. A record that was rejected by
consent is a reason for none of them, until it has waited for a week."""


def _require(where: str, rule: AlertRule, valid: Any, problem: str, remedy: str) -> None:
    if not valid:
        raise DeclarationError(where, f"alerts, {type(rule).__name__}", problem, remedy)


def _check_clock(clock: time, where: str) -> None:
    """Raise a `DeclarationError` if a time has a zone of its own, besides that of the rule."""
    if clock.tzinfo is not None:
        raise DeclarationError(where, "alerts", f"have the time {clock} with a tzinfo", "Write its zone as zone='…'")
