"""Alerts: open and resolve them, and send their notifications.

``update_for_run``, ``update_for_checks`` and ``update_for_drift`` are called in the transaction that writes the cause
of an alert, so that the alert exists exactly when its cause does. ``update_for_file_names`` is called when the files of
a source are listed. ``update_for_time`` evaluates the rules that depend only on time. ``send`` empties the outbox.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from etl_assets.alerts import rules as alert_rules
from etl_assets.alerts.commands import REPLAY
from etl_assets.alerts.levels import RECORDS, OpenLevel, open_levels, resolve_level, update_for_levels
from etl_assets.alerts.lifecycle import Evaluation, close, update_alerts
from etl_assets.alerts.sender import Dispatch, send
from etl_assets.model.alert import (
    CheckFailed,
    DriftOpened,
    FileBroken,
    FilesSetAside,
    LocationLost,
    NoDelivery,
    QuarantineAgeing,
    QuarantineGrowing,
    Reason,
    RejectedCount,
    RejectedShare,
    RunFailed,
    SlowRun,
    TickFailed,
)
from etl_assets.postgres.alerts import alerts, statistics

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from etl_assets.model.alert import AlertRule
    from etl_assets.model.check_result import CheckResult
    from etl_assets.model.drift import DriftEvent
    from etl_assets.model.run import RunEnd
    from etl_assets.postgres.connection import Connection

__all__ = [
    "RECORDS",
    "Dispatch",
    "OpenLevel",
    "close",
    "open_levels",
    "resolve_level",
    "send",
    "update_for_checks",
    "update_for_drift",
    "update_for_file_names",
    "update_for_files",
    "update_for_run",
    "update_for_tick",
    "update_for_time",
]

_SUBJECT_LENGTH: Final = 400
"""The most characters of an error in the subject of an alert: it is part of an index."""
_TICK_REMEDY: Final = "The log of the code server shows where it was raised; report it if the cause is not yours."
_LOCATION_REMEDY: Final = "Its code server's log shows why. Correct it, and reload the location on the page Deployment."
_TIME_RULES: Final = (NoDelivery, QuarantineGrowing, QuarantineAgeing)


def update_for_run(connection: Connection, rules: Sequence[AlertRule], run: RunEnd) -> None:
    """Open and resolve the alerts that depend on the end of a run.

    A cancelled run opens and resolves no alert. A replay has alerts of its own, apart from those of deliveries.
    """
    if run.status in {"failed", "crashed"}:
        evaluation = Evaluation({}, alert_rules.reasons_of_failed_run(rules, run), "")
    elif run.status == "succeeded":
        evaluation = _evaluate_successful_run(connection, rules, run)
    else:
        return
    update_alerts(connection, rules, run.source, run.partition, evaluation, run_id=run.run_id)


def update_for_checks(
    connection: Connection,
    rules: Sequence[AlertRule],
    run_id: str,
    source: str,
    partition: str,
    delivery_id: int | None,
    results: Sequence[CheckResult],
) -> None:
    """Open and resolve the alerts that depend on check results; those of monitors are about changes of level."""
    others = [result for result in results if not result.levels]
    reasons = alert_rules.reasons_of_checks(rules, others, delivery_id)
    names = frozenset(entry.name for result in others for entry in result.entries)
    evaluation = Evaluation({CheckFailed.kind: names}, reasons, f"Run {run_id} found no reason for it any more.")
    update_alerts(connection, rules, source, partition, evaluation, run_id=run_id)
    update_for_levels(
        connection, rules, run_id, source, partition, [each for result in results for each in result.levels]
    )


def update_for_drift(
    connection: Connection,
    rules: Sequence[AlertRule],
    source: str,
    partition: str,
    opened: Sequence[DriftEvent],
    closed: Sequence[DriftEvent],
) -> None:
    """Open and resolve the alerts that depend on drift events.

    Foreseen events are not among them. Drift concerns the whole source, whichever partition showed it, and so do its
    alerts.
    """
    reasons = alert_rules.reasons_of_drift(rules, opened, partition)
    if not reasons and not closed:
        return
    subjects: dict[str, set[str]] = defaultdict(set)
    for event in closed:
        by = f" by {event.reviewer}" if event.reviewer else " by a later delivery"
        subjects[f"The drift is {event.status}{by}."].add(alert_rules.drift_subject(event.change))
    for resolution, closed_subjects in subjects.items():
        update_alerts(connection, rules, source, "", Evaluation({DriftOpened.kind: closed_subjects}, [], resolution))
    update_alerts(connection, rules, source, "", Evaluation({}, reasons, ""))


def update_for_file_names(
    connection: Connection, rules: Sequence[AlertRule], source: str, set_aside: Mapping[str, str]
) -> None:
    """Open or resolve the alert about the names of files that cannot be keys of partitions.

    The alert of a source counts its reason again only when the names have changed: they are listed often.

    Args:
        connection: In a transaction.
        rules: Of the source.
        source: Its name.
        set_aside: The names, and why, as a clause.
    """
    kinds = {FilesSetAside.kind}
    reasons = alert_rules.reasons_of_file_names(rules, set_aside)
    known = {alert.summary for alert in alerts.lock_current(connection, source, "", kinds)}
    changed = any(reason.summary not in known for reason in reasons)
    evaluation = Evaluation(dict.fromkeys(kinds), reasons, "The names are gone.", again=changed)
    update_alerts(connection, rules, source, "", evaluation)


def update_for_files(connection: Connection, errors: Mapping[str, str], before: Collection[str]) -> None:
    """Open and resolve the alerts about files that do not load. An error with another text is another alert.

    Args:
        connection: To the warehouse.
        errors: The error of each file that does not load, by the name of its asset.
        before: Names of the files that did not load before.
    """
    remedy = "Correct the file, then load the code location again."
    with connection.transaction():
        for name in sorted({*errors, *before}):
            error = errors.get(name)
            reasons = [] if error is None else [Reason(FileBroken(), error, remedy, error[:_SUBJECT_LENGTH])]
            resolution = "The file fails with another error." if reasons else "The file loads again, or is gone."
            evaluation = Evaluation({FileBroken.kind: None}, reasons, resolution, again=False)
            update_alerts(connection, (), name, "", evaluation)


def update_for_tick(connection: Connection, sensor: str, errors: Mapping[str, str]) -> None:
    """Open and resolve the alerts about runs and sources for which a tick of a sensor failed.

    Args:
        connection: To the warehouse.
        sensor: Name of the sensor.
        errors: The error of each run or source that failed at the newest tick.
    """
    with connection.transaction():
        reasons = [
            Reason(TickFailed(), f"{error}. The sensor goes on with all others.", _TICK_REMEDY, f"{sensor} {item}")
            for item, error in errors.items()
        ]
        before = [alert.subject for alert in alerts.lock_current(connection, "", "", [TickFailed.kind])]
        subjects = [subject for subject in before if subject.startswith(f"{sensor} ")]
        evaluation = Evaluation({TickFailed.kind: subjects}, reasons, "A later tick did not fail.", again=False)
        update_alerts(connection, (), "", "", evaluation)


def update_for_locations(connection: Connection, lost: Mapping[str, str]) -> None:
    """Open and resolve the alerts about code locations.

    Args:
        connection: To the warehouse.
        lost: Why each code location that is lost does not answer or does not load, by its name.
    """
    with connection.transaction():
        reasons = [
            Reason(LocationLost(), f"Code location {name!r} is lost. {why}", _LOCATION_REMEDY, name)
            for name, why in lost.items()
        ]
        evaluation = Evaluation({LocationLost.kind: None}, reasons, "It answers again.", again=False)
        update_alerts(connection, (), "", "", evaluation)


def update_for_time(connection: Connection, source: str, rules: Sequence[AlertRule], now: datetime) -> None:
    """Open and resolve the alerts that depend only on time: missed deadlines, a quarantine that grows or ages.

    Args:
        connection: To the warehouse.
        source: Name of the source.
        rules: Of the source.
        now: The current time.
    """
    with connection.transaction():
        reasons = _time_reasons(connection, source, rules, now)
        evaluated = dict.fromkeys(kind.kind for kind in _TIME_RULES)
        evaluation = Evaluation(evaluated, reasons, "There is no reason for it any more.", again=False)
        update_alerts(connection, rules, source, "", evaluation, now)


def _evaluate_successful_run(connection: Connection, rules: Sequence[AlertRule], run: RunEnd) -> Evaluation:
    """Evaluate the rules about runs after a run that succeeded.

    A replay resolves only failures of replays. A run that read no records is not evaluated for rejected records.
    """
    resolution = f"Run {run.run_id} succeeded."
    if run.replay:
        return Evaluation({RunFailed.kind: {REPLAY}}, [], resolution)
    evaluated: dict[str, Collection[str] | None] = {RunFailed.kind: {""}, SlowRun.kind: None}
    reasons: list[Reason] = []
    if alert_rules.enabled_rules(rules, SlowRun):
        reasons += alert_rules.reasons_of_slow_run(rules, run, statistics.usual_run(connection, run))
    if run.counts.read:
        evaluated |= {RejectedShare.kind: None, RejectedCount.kind: None}
        reasons += alert_rules.reasons_of_rejected(rules, run)
    return Evaluation(evaluated, reasons, resolution)


def _time_reasons(connection: Connection, source: str, rules: Sequence[AlertRule], now: datetime) -> list[Reason]:
    reasons = [
        *(
            alert_rules.reasons_of_deadline(rule, statistics.last_delivery(connection, source), now)
            for rule in alert_rules.enabled_rules(rules, NoDelivery)
        ),
        *(
            alert_rules.reasons_of_growth(rule, statistics.count_waiting(connection, source, since=now - rule.within))
            for rule in alert_rules.enabled_rules(rules, QuarantineGrowing)
        ),
        *(
            alert_rules.reasons_of_age(rule, statistics.count_waiting(connection, source, before=now - rule.older_than))
            for rule in alert_rules.enabled_rules(rules, QuarantineAgeing)
        ),
    ]
    return [reason for reason in reasons if reason is not None]
