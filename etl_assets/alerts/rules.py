"""Evaluates alert rules. Pure: the caller passes everything to compare with, and the functions return reasons."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from etl_assets.alerts.commands import REPLAY, typed
from etl_assets.model.alert import (
    AlertRule,
    CheckFailed,
    DriftOpened,
    FilesSetAside,
    Reason,
    RejectedCount,
    RejectedShare,
    RunFailed,
    SlowRun,
)
from etl_assets.model.checks import DRIFT
from etl_assets.model.text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from etl_assets.model.alert import (
        NoDelivery,
        QuarantineAgeing,
        QuarantineGrowing,
    )
    from etl_assets.model.check_result import CheckResult
    from etl_assets.model.drift import Change, DriftEvent
    from etl_assets.model.run import RunEnd
    from etl_assets.postgres.alerts.statistics import UsualRun

Rule = TypeVar("Rule", bound=AlertRule)

_MOST_NAMES: Final = 20
_DECIDE: Final = "Change the declaration, or accept or ignore the change."
_REVIEW: Final = "Review them: correct, replay or dismiss them."


def enabled_rules(rules: Sequence[AlertRule], kind: type[Rule]) -> list[Rule]:
    """Return the rules of one class that are not switched off."""
    return [rule for rule in rules if isinstance(rule, kind) and not rule.off]


def reasons_of_failed_run(rules: Sequence[AlertRule], run: RunEnd) -> list[Reason]:
    """Return the reasons for alerts about a run that failed or crashed."""
    error = f"{run.error_class}: {run.error}" if run.error else run.error_class
    summary = error or f"The run {run.status}."
    if run.status == "crashed":
        summary = f"The run stopped without reporting an end; its process is gone. {error}".strip()
    remedy = "Correct what the error names, then run it again."
    return [
        Reason(rule, summary, remedy, REPLAY if run.replay else "", run.delivery_id)
        for rule in enabled_rules(rules, RunFailed)
    ]


def reasons_of_rejected(rules: Sequence[AlertRule], run: RunEnd) -> list[Reason]:
    """Return the reasons for alerts about the records that a run rejected."""
    rejected, read = run.counts.rejected, run.counts.read
    summary = f"{rejected:,} of {read:,} records were rejected."
    shares = [
        Reason(rule, summary, _REVIEW, f"above {rule.above:g}", run.delivery_id)
        for rule in enabled_rules(rules, RejectedShare)
        if rejected > rule.above * read
    ]
    counts = [
        Reason(rule, summary, _REVIEW, f"above {rule.above}", run.delivery_id)
        for rule in enabled_rules(rules, RejectedCount)
        if rejected > rule.above
    ]
    return [*shares, *counts]


def reasons_of_slow_run(rules: Sequence[AlertRule], run: RunEnd, usual: UsualRun) -> list[Reason]:
    """Return the reasons for alerts about the time that a run took.

    A run that read more records than usual may take longer in proportion.
    """
    expected = usual.seconds * max(1.0, run.counts.read / usual.read if usual.read else 1.0)
    summary = f"The run took {run.seconds:,.0f} s; {expected:,.0f} s are usual for this number of records."
    remedy = "Find in the run what took the time: the publisher, or the database."
    return [
        Reason(rule, summary, remedy, f"more than {rule.factor:g} times the usual", run.delivery_id)
        for rule in enabled_rules(rules, SlowRun)
        if usual.runs >= rule.minimum_history
        and run.seconds > rule.factor * expected
        and run.seconds - expected >= rule.at_least.total_seconds()
    ]


def reasons_of_checks(
    rules: Sequence[AlertRule], results: Iterable[CheckResult], delivery_id: int | None
) -> list[Reason]:
    """Return the reasons for alerts about checks that failed: one for each broken rule of a check that has several.

    Args:
        rules: Of the source.
        results: Check results.
        delivery_id: Of the delivery concerned.
    """
    return [
        Reason(
            rule,
            _check_summary(entry),
            f"Open the check {result.name} in Dagster; correct the feed, the declaration, or the check itself.",
            entry.name,
            delivery_id,
        )
        for rule in enabled_rules(rules, CheckFailed)
        for result in results
        for entry in result.entries
        if not entry.passed and _applies_to(rule, entry, result.name)
    ]


def reasons_of_file_names(rules: Sequence[AlertRule], set_aside: Mapping[str, str]) -> list[Reason]:
    """Return the reasons for an alert about names of files that cannot be keys of partitions.

    Args:
        rules: Of the source.
        set_aside: The names, and why, as a clause.
    """
    if not set_aside:
        return []
    shown = [f"{quoted(name)} {why}" for name, why in islice(set_aside.items(), _MOST_NAMES)]
    more = f"; and {len(set_aside) - len(shown):,} more" if len(set_aside) > len(shown) else ""
    summary = f"Files that are not loaded, because of their names: {len(set_aside):,}. {'; '.join(shown)}{more}."
    remedy = "Have the publisher rename them; until then everything else is loaded."
    return [Reason(rule, summary, remedy) for rule in enabled_rules(rules, FilesSetAside)]


def reasons_of_drift(rules: Sequence[AlertRule], opened: Iterable[DriftEvent], partition: str) -> list[Reason]:
    """Return the reasons for alerts about changes: what changed, where it was seen first, and what it does.

    They leave out the details of a change, which may contain members of a category.
    """
    reasons = []
    for event in opened:
        change = event.change
        what = str(change)
        seen = f" First seen in partition {partition}." if partition else ""
        effect = f"{'The delivery was' if change.blocking else 'No delivery is'} refused because of it."
        summary = f"{what[:1].upper()}{what[1:]}.{seen} {effect}"
        command = typed("drift", "show", str(event.id))
        reasons += [
            Reason(rule, summary, _DECIDE, drift_subject(change), event.first_delivery, command)
            for rule in enabled_rules(rules, DriftOpened)
            if not rule.kinds or change.kind in rule.kinds
        ]
    return reasons


def drift_subject(change: Change) -> str:
    """Return the subject of an alert about a change: its kind, and the published names concerned."""
    return " ".join(filter(None, (change.kind, change.subject, change.replacement and f"to {change.replacement}")))


def reasons_of_deadline(rule: NoDelivery, last: datetime | None, at: datetime) -> Reason | None:
    """Return the reason for an alert about a missing delivery; None when there was a delivery in time.

    Args:
        rule: The rule.
        last: When the newest complete delivery was fetched; None when there is none.
        at: The current time.
    """
    deadline, before = rule.deadlines(at)
    if last is not None and last > before:
        return None
    newest = f"The newest one was fetched at {last:%Y-%m-%d %H:%M} UTC." if last else "There has never been one."
    return Reason(
        rule,
        f"No new delivery was taken by {deadline:%Y-%m-%d %H:%M} {rule.zone}. {newest}",
        "Check whether its runs failed or never began; if neither, ask the publisher.",
        deadline_subject(rule),
        since=deadline,
    )


def deadline_subject(rule: NoDelivery) -> str:
    """Return the subject of an alert about a deadline."""
    return " ".join(filter(None, (f"by {rule.by:%H:%M} {rule.zone}", ",".join(map(str, rule.days)))))


def reasons_of_growth(rule: QuarantineGrowing, number: int) -> Reason | None:
    """Return the reason for an alert about a growing quarantine; None when too few records are new and waiting."""
    if number < rule.by:
        return None
    period = _duration_text(rule.within)
    summary = f"{number:,} records that were rejected within the last {period} are waiting."
    return Reason(rule, summary, _REVIEW, f"by {rule.by} within {period}")


def reasons_of_age(rule: QuarantineAgeing, number: int) -> Reason | None:
    """Return the reason for an alert about records that have waited too long; None when there are none."""
    if not number:
        return None
    age = _duration_text(rule.older_than)
    return Reason(rule, f"{number:,} records have waited for more than {age}.", _REVIEW, f"for more than {age}")


def _applies_to(rule: CheckFailed, result: CheckResult, check: str) -> bool:
    """Whether a rule applies to a failed result. By default it leaves out those that have an alert or a consent.

    Args:
        rule: The alert rule.
        result: What failed.
        check: Name of the check that has the result.
    """
    if rule.names:
        return not {result.name, check}.isdisjoint(rule.names)
    is_left_out = result.name == DRIFT or result.by_consent
    return not is_left_out and (rule.blocking or not result.blocking)


def _check_summary(result: CheckResult) -> str:
    """Return the description of a failed check, its number of failed records and their places, without contents."""
    text = result.description or "The check failed."
    if result.failed_records and not result.requires:
        text = f"{text} ({result.failed_records:,} of {result.records:,} records)"
    return f"{text} The first of them: {'; '.join(result.places)}." if result.places else text


def _duration_text(time: timedelta) -> str:
    """Return a length of time in its largest whole unit, as text."""
    seconds = int(time.total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds % length == 0:
            number = seconds // length
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{seconds} seconds"
