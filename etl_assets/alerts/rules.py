"""Which rule applies to what. Pure: everything that is compared with is given, and the answers are values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from etl_assets.model.alert import (
    AlertRule,
    CheckFailed,
    DriftOpened,
    Reason,
    RejectedCount,
    RejectedShare,
    RunFailed,
    SlowRun,
    VolumeDrop,
)
from etl_assets.model.checks import DRIFT, VOLUME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from etl_assets.model.alert import (
        NoDelivery,
        QuarantineAgeing,
        QuarantineGrowing,
    )
    from etl_assets.model.check_result import CheckResult
    from etl_assets.model.drift import Change, DriftEvent
    from etl_assets.model.run import RunEnd
    from etl_assets.postgres.alerts.statistics import UsualRun, UsualVolume

Rule = TypeVar("Rule", bound=AlertRule)

REPLAY: Final = "replay"
"""Subject of what a run did with the quarantine, and not with a delivery."""
_TO_QUARANTINE: Final = "Look at them: etl-assets quarantine list --source {}."


def those(rules: Sequence[AlertRule], kind: type[Rule]) -> list[Rule]:
    """The rules of one class that are not switched off."""
    return [rule for rule in rules if isinstance(rule, kind) and not rule.off]


def of_failed_run(rules: Sequence[AlertRule], run: RunEnd) -> list[Reason]:
    """Why people are told of a run that failed or crashed."""
    told = f"{run.error_class}: {run.error}" if run.error else run.error_class
    summary = told or f"The run {run.status}."
    if run.status == "crashed":
        summary = f"The run ended without a word; its process is gone. {told}".strip()
    remedy = "Correct what the error names, then run it again."
    return [
        Reason(rule, summary, remedy, REPLAY if run.replay else "", run.delivery_id) for rule in those(rules, RunFailed)
    ]


def of_rejected(rules: Sequence[AlertRule], run: RunEnd) -> list[Reason]:
    """Why people are told of the records that a run rejected."""
    rejected, read = run.counts.rejected, run.counts.read
    summary = f"{rejected:,} of {read:,} records were rejected."
    remedy = _TO_QUARANTINE.format(run.source)
    shares = [
        Reason(rule, summary, remedy, f"above {rule.above:g}", run.delivery_id)
        for rule in those(rules, RejectedShare)
        if rejected > rule.above * read
    ]
    counts = [
        Reason(rule, summary, remedy, f"above {rule.above}", run.delivery_id)
        for rule in those(rules, RejectedCount)
        if rejected > rule.above
    ]
    return [*shares, *counts]


def of_slow_run(rules: Sequence[AlertRule], run: RunEnd, usual: UsualRun) -> list[Reason]:
    """Why people are told how long a run took; one that read more than usual may take longer in proportion."""
    expected = usual.seconds * max(1.0, run.counts.read / usual.read if usual.read else 1.0)
    summary = f"The run took {run.took:,.0f} s; for so many records {expected:,.0f} s are usual."
    remedy = "Look in the run where the time went: at the publisher's, or in the database."
    return [
        Reason(rule, summary, remedy, f"more than {rule.factor:g} times the usual", run.delivery_id)
        for rule in those(rules, SlowRun)
        if usual.runs >= rule.minimum_history
        and run.took > rule.factor * expected
        and run.took - expected >= rule.at_least.total_seconds()
    ]


def of_volume(
    rules: Sequence[AlertRule], results: Iterable[CheckResult], delivery_id: int | None, volume: UsualVolume | None
) -> list[Reason]:
    """Why people are told that a delivery has fewer records than usual.

    Args:
        rules: Of the source.
        results: Check results of the delivery.
        delivery_id: Its id.
        volume: It beside those before it; None when nothing is known of it.
    """
    failed = any(result.name == VOLUME and not result.passed for result in results)
    if not failed or volume is None or not volume.usual or volume.records >= volume.usual:
        return []
    fewer = 1 - volume.records / volume.usual
    summary = f"{volume.records:,} records came, {fewer:.0%} fewer than the usual {volume.usual:,.0f}."
    remedy = "Ask the publisher whether something is missing; if not, load it again when it is complete."
    return [
        Reason(rule, summary, remedy, f"by {rule.by:.0%} or more" if rule.by else "", delivery_id)
        for rule in those(rules, VolumeDrop)
        if fewer >= rule.by
    ]


def of_checks(
    rules: Sequence[AlertRule], results: Iterable[CheckResult], delivery_id: int | None, *, dropped: bool
) -> list[Reason]:
    """Why people are told of checks that failed.

    Args:
        rules: Of the source.
        results: Check results.
        delivery_id: Of the delivery concerned.
        dropped: Whether people are told of the volume as a drop already.
    """
    return [
        Reason(
            rule,
            _outcome(result),
            "Look at the check in Dagster; correct the feed, the declaration, or what is asked.",
            result.name,
            delivery_id,
        )
        for rule in those(rules, CheckFailed)
        for result in results
        if not result.passed and _is_meant(rule, result, dropped=dropped)
    ]


def of_drift(rules: Sequence[AlertRule], opened: Iterable[DriftEvent], partition: str) -> list[Reason]:
    """Why people are told of changes; their details, which may hold members of a category, are not told."""
    reasons = []
    for event in opened:
        change = event.change
        seen = f"First seen in partition {partition}. " if partition else ""
        stopped = "The delivery was refused for it." if change.blocking else "Deliveries go on being loaded."
        remedy = f"See etl-assets drift list --source {event.source}; change the declaration, or accept or ignore it."
        reasons += [
            Reason(rule, f"{seen}{stopped}", remedy, drift_subject(change), event.first_delivery)
            for rule in those(rules, DriftOpened)
            if not rule.kinds or change.kind in rule.kinds
        ]
    return reasons


def drift_subject(change: Change) -> str:
    """What an alert calls a change: its kind, and the published names concerned."""
    return " ".join(filter(None, (change.kind, change.subject, change.replacement and f"to {change.replacement}")))


def of_deadline(rule: NoDelivery, last: datetime | None, at: datetime) -> Reason | None:
    """Why people are told that no delivery was taken, if none was.

    Args:
        rule: The rule.
        last: When the newest complete delivery was fetched; None when there is none.
        at: What time it is.
    """
    deadline, before = rule.deadlines(at)
    if last is not None and last > before:
        return None
    newest = f"The newest one was fetched at {last:%Y-%m-%d %H:%M} UTC." if last else "There never was one."
    return Reason(
        rule,
        f"No new delivery was taken by {deadline:%Y-%m-%d %H:%M} {rule.zone}. {newest}",
        "See whether its runs failed or never began; if neither, ask the publisher.",
        deadline_subject(rule),
    )


def deadline_subject(rule: NoDelivery) -> str:
    """What an alert calls a deadline."""
    return " ".join(filter(None, (f"by {rule.by:%H:%M} {rule.zone}", ",".join(map(str, rule.days)))))


def of_growth(rule: QuarantineGrowing, source: str, number: int) -> Reason | None:
    """Why people are told how many records came into the quarantine lately and wait, if they are many."""
    if number < rule.by:
        return None
    lately = _duration(rule.within)
    summary = f"{number:,} records that were rejected within {lately} wait."
    return Reason(rule, summary, _TO_QUARANTINE.format(source), f"by {rule.by} within {lately}")


def of_age(rule: QuarantineAgeing, source: str, number: int) -> Reason | None:
    """Why people are told how many records have waited for long, if any have."""
    if not number:
        return None
    long = _duration(rule.older_than)
    remedy = f"Correct, replay or dismiss them: etl-assets quarantine list --source {source}."
    return Reason(rule, f"{number:,} records have waited for more than {long}.", remedy, f"for more than {long}")


def _is_meant(rule: CheckFailed, result: CheckResult, *, dropped: bool) -> bool:
    if rule.names:
        return result.name in rule.names
    elsewhere = result.name == DRIFT or (result.name == VOLUME and dropped) or result.by_consent
    return not elsewhere and (rule.blocking or not result.blocking)


def _outcome(result: CheckResult) -> str:
    """What a check said, and of how many records; descriptions hold no record contents."""
    said = result.description or "The check failed."
    return f"{said} ({result.failed_records:,} of {result.records:,} records)" if result.failed_records else said


def _duration(time: timedelta) -> str:
    """A length of time in its largest whole unit."""
    seconds = int(time.total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds % length == 0:
            number = seconds // length
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{seconds} seconds"
