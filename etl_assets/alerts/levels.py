"""Alerts about changes of level: one for one change, however many deliveries show it.

Such an alert is of the source: the partition of a file never runs again, and what changed is the feed. Its delivery is
the one that brought the change. A delivery at the same level counts on the alert; another change is another alert.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from etl_assets.alerts.commands import typed
from etl_assets.alerts.lifecycle import Evaluation, update_alerts
from etl_assets.alerts.rules import enabled_rules
from etl_assets.model.alert import SEVERITIES, CheckFailed, Reason, VolumeDrop
from etl_assets.model.checks import DISTRIBUTION, VOLUME
from etl_assets.model.level_change import SEVERAL
from etl_assets.postgres.alerts import alerts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from etl_assets.model.alert import AlertRule
    from etl_assets.model.level_change import LevelChange, Levels
    from etl_assets.postgres.alerts.alerts import Alert
    from etl_assets.postgres.connection import Connection

RECORDS: Final = "records"
"""How the number of records of a delivery is called where columns are named."""
_KINDS: Final = (CheckFailed.kind, VolumeDrop.kind)
_SWAPPED: Final = re.compile(r"(\w+) and (\w+) look swapped")
_NUMBER: Final = re.compile(r"(.+) of (\w+)")


@dataclass(frozen=True)
class OpenLevel:
    """An open change of level.

    Attributes:
        alert: The alert about it.
        columns: The columns concerned: two that look swapped, or one; `RECORDS` for the records of a delivery, and
            `SEVERAL` for several columns.
        statistic: The number after which it is named; the empty text for swapped and for several columns.
    """

    alert: Alert
    columns: tuple[str, ...]
    statistic: str


def open_levels(connection: Connection, source: str | None = None) -> list[OpenLevel]:
    """Return the open changes of level, oldest first.

    Args:
        connection: To the warehouse.
        source: Only those of this source.
    """
    found = [_open_level(alert) for alert in alerts.find(connection, source=source) if _check_of(alert)]
    return found[::-1]


def resolve_level(connection: Connection, rules: Sequence[AlertRule], alert: Alert, resolution: str) -> None:
    """Resolve the alert about a change of level, in the present transaction."""
    evaluation = Evaluation({alert.rule: {alert.subject}}, [], resolution)
    update_alerts(connection, rules, alert.source, "", evaluation)


def update_for_levels(
    connection: Connection,
    rules: Sequence[AlertRule],
    run_id: str,
    source: str,
    partition: str,
    found: Sequence[Levels],
) -> None:
    """Open, count and resolve the alerts about changes of level, as the checks of a delivery found them.

    A late delivery says nothing about the present state: it resolves only what its own partition brought. What a person
    closed does not open again at the same level.
    """
    current = alerts.lock_current(connection, source, "", _KINDS) if found else []
    for levels in found:
        known = [alert for alert in current if _check_of(alert) == levels.check]
        _update_for_check(connection, rules, run_id, source, partition, levels, known)


def _update_for_check(
    connection: Connection,
    rules: Sequence[AlertRule],
    run_id: str,
    source: str,
    partition: str,
    levels: Levels,
    known: Sequence[Alert],
) -> None:
    """Let the alerts about the levels of one check agree with what it found.

    Args:
        connection: In the transaction that writes the cause.
        rules: Of the source.
        run_id: Of the run.
        source: Name of the source.
        partition: Of the delivery.
        levels: What the check found.
        known: The alerts about its levels whose causes stand.
    """
    reasons: list[Reason] = []
    for change in levels.changes:
        for reason in _reasons(rules, change, levels, partition, source):
            chosen = _of_open_alert(reason, change, known, levels)
            reasons += [] if chosen is None else [chosen]
    holding = {(reason.rule.kind, reason.subject, reason.delivery_id) for reason in reasons}
    gone = [alert for alert in known if (alert.rule, alert.subject, alert.delivery_id) not in holding]
    if levels.is_late and gone:
        own = alerts.deliveries_of(connection, source, partition, [alert.delivery_id or 0 for alert in gone])
        gone = [alert for alert in gone if alert.delivery_id in own]
    for alert in gone:
        resolve_level(connection, rules, alert, _resolution(alert, levels, reasons))
    closed = {(alert.rule, alert.subject, alert.delivery_id) for alert in known if alert.status != "open"}
    reasons = [reason for reason in reasons if (reason.rule.kind, reason.subject, reason.delivery_id) not in closed]
    if reasons:
        update_alerts(connection, rules, source, "", Evaluation({}, reasons, ""), run_id=run_id)


def subjects(rule: AlertRule, change: LevelChange) -> tuple[str, ...]:
    """Return what an alert of a rule about a change may be called; a new one has the first of these names."""
    if isinstance(rule, VolumeDrop):
        return (f"by {rule.by:.0%} or more" if rule.by else "",)
    return tuple(f"{change.check}: {subject}" for subject in change.subjects)


def _reasons(
    rules: Sequence[AlertRule], change: LevelChange, levels: Levels, partition: str, source: str
) -> Iterable[Reason]:
    """Return the reasons for alerts about a change. If a rule for drops applies, those for failed checks do not."""
    drops: list[AlertRule] = [rule for rule in enabled_rules(rules, VolumeDrop) if 0 < change.fewer >= rule.by]
    chosen = [
        *drops,
        *(
            rule
            for rule in enabled_rules(rules, CheckFailed)
            if (change.check in rule.names if rule.names else not drops)
        ),
    ]
    where = f" Partition {partition}." if partition else ""
    since = where if change.began == levels.delivery else f" So it is since delivery {change.began}."
    accept = typed("monitors", "accept", source, *(() if change.is_of_several else (change.column or RECORDS,)))
    for rule in chosen:
        if change.swapped_with:
            severity = max(rule.severity, "error", key=SEVERITIES.index)
            remedy = f"Ask the publisher, and load it again when it is right. If it is right now: {accept}"
            yield Reason(
                replace(rule, severity=severity),
                f"{change.text}{since}",
                remedy,
                subjects(rule, change)[0],
                change.began,
            )
            continue
        fewer = f"{change.fewer:.0%} fewer than usual: " if rule in drops else ""
        remedy = "Accept it if it is right from now on. If not, ask the publisher, and load it again when it is right."
        summary = f"{fewer}{change.text}{since}"
        yield Reason(rule, summary, remedy, subjects(rule, change)[0], change.began, command=accept)


def _of_open_alert(reason: Reason, change: LevelChange, known: Sequence[Alert], levels: Levels) -> Reason | None:
    """Return the reason under the name of the open alert about the same change; None if it must not open one."""
    names = subjects(reason.rule, change)
    same_name = [alert for alert in known if alert.rule == reason.rule.kind and alert.subject in names]
    same = next((alert for alert in same_name if alert.delivery_id == change.began), None)
    if same is not None:
        return replace(reason, subject=same.subject)
    if not levels.may_open or (levels.is_late and same_name):
        return None
    return reason


def _resolution(alert: Alert, levels: Levels, reasons: Collection[Reason]) -> str:
    if alert.delivery_id in levels.settled:
        return "The new level has lasted long enough to be the usual one."
    if any(alert.rule == reason.rule.kind and alert.subject == reason.subject for reason in reasons):
        return f"Delivery {levels.delivery} brought another change, which has an alert of its own."
    if alert.delivery_id == levels.delivery:
        return f"Delivery {levels.delivery} is as usual now."
    loaded = f"What the deliveries from {alert.delivery_id} on loaded is still in the table."
    return f"Delivery {levels.delivery} is as usual again. {loaded}"


def _check_of(alert: Alert) -> str:
    """Return the check whose change of level an alert is about; the empty text if it is about something else."""
    if alert.partition:
        return ""
    if alert.rule == VolumeDrop.kind:
        return VOLUME
    if alert.rule == CheckFailed.kind:
        return next((check for check in (VOLUME, DISTRIBUTION) if alert.subject.startswith(f"{check}: ")), "")
    return ""


def _open_level(alert: Alert) -> OpenLevel:
    if _check_of(alert) == VOLUME:
        return OpenLevel(alert, (RECORDS,), RECORDS)
    _, _, subject = alert.subject.partition(": ")
    if swapped := _SWAPPED.fullmatch(subject):
        return OpenLevel(alert, swapped.groups(), "")
    if subject == SEVERAL:
        return OpenLevel(alert, (SEVERAL,), "")
    number = _NUMBER.fullmatch(subject)
    statistic, column = number.groups() if number else (subject, "")
    return OpenLevel(alert, (column,), statistic)
