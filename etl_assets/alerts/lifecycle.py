"""Opens alerts for reasons, resolves those whose reason is gone, and puts the notifications of both into the outbox.

A person may close an alert. If its cause is a lasting condition, nothing opens again until the condition is gone.

Everything happens in the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets.alerts.commands import command_of
from etl_assets.errors import AlertError
from etl_assets.model.alert import SEVERITIES
from etl_assets.postgres.alerts import alerts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from etl_assets.model.alert import AlertRule, Reason, Severity
    from etl_assets.postgres.alerts.alerts import Alert
    from etl_assets.postgres.connection import Connection

_RESOLVED_IN_QUIET_HOURS: Final = "resolved before its quiet hours ended"


@dataclass(frozen=True)
class Evaluation:
    """Which alert rules were evaluated, and the reasons that they found.

    Attributes:
        evaluated: Subjects by kind of rule; None for all subjects. For these, ``reasons`` is complete: an open alert
            without a reason is resolved.
        reasons: What the rules found.
        resolution: Text that is entered in the alerts that are resolved.
        again: Whether the reason of an open alert counts as seen once more. False for lasting conditions that are
            polled often.
    """

    evaluated: Mapping[str, Collection[str] | None]
    reasons: Sequence[Reason]
    resolution: str
    again: bool = True


def update_alerts(
    connection: Connection,
    rules: Sequence[AlertRule],
    source: str,
    partition: str,
    evaluation: Evaluation,
    now: datetime | None = None,
    run_id: str | None = None,
) -> None:
    """Open and resolve the alerts of a source partition, so that they agree with an evaluation.

    Args:
        connection: In the transaction that writes the cause.
        rules: Of the source; their quiet hours say when the notifications of a resolution may be sent.
        source: Its name.
        partition: Key of the partition; the empty text for what concerns the whole source.
        evaluation: Which rules were evaluated, and the reasons that they found.
        now: The current time; None for that of the database.
        run_id: Of the run concerned.
    """
    reasons = sorted(evaluation.reasons, key=lambda reason: -SEVERITIES.index(reason.rule.severity))
    reason_keys = {(reason.rule.kind, reason.subject) for reason in reasons}
    kinds = {*evaluation.evaluated, *(kind for kind, _ in reason_keys)}
    before = {(alert.rule, alert.subject): alert for alert in alerts.lock_current(connection, source, partition, kinds)}
    if not before and not reasons:
        return
    now = now or alerts.clock(connection)
    for (kind, subject), alert in before.items():
        subjects = evaluation.evaluated.get(kind, ())
        if (kind, subject) not in reason_keys and (subjects is None or subject in subjects):
            _end(connection, rules, alert, evaluation.resolution, now)
    opened: dict[tuple[str, str], int | None] = {}
    for reason in reasons:
        key = reason.rule.kind, reason.subject
        present = before.get(key)
        if key not in opened and (evaluation.again or _returns(reason, present)):
            if present is not None and present.cause_stands:
                alerts.end_cause(connection, [present.id])
            command = command_of(reason, source, partition)
            id_, is_new = alerts.open_or_repeat(connection, source, partition, reason, command, run_id)
            opened[key] = id_ if is_new else None
        if (new_id := opened.get(key)) is not None:
            alerts.add_notifications(
                connection, new_id, "opened", _send_times([reason.rule], reason.rule.severity, now)
            )


def close(
    connection: Connection, rules: Mapping[str, Sequence[AlertRule]], ids: Sequence[int], who: str, why: str | None
) -> None:
    """Close alerts although their causes are not known to be gone, and notify the channels that know of them.

    Args:
        connection: In autocommit.
        rules: Of each source, by its name.
        ids: Of the alerts.
        who: Who closes them.
        why: The reason; None for none.

    Raises:
        AlertError: If one of them is not open; then none is closed.
    """
    resolution = f"Closed by {who}: {why}" if why else f"Closed by {who}."
    with connection.transaction():
        found = alerts.lock_open(connection, ids)
        if missing := sorted(set(ids) - {alert.id for alert in found}):
            raise AlertError(
                f"Not open: {', '.join(map(str, missing))}. Nothing was changed. "
                "See `etl-assets alerts list` for the open alerts."
            )
        now = alerts.clock(connection)
        for alert in found:
            alerts.close(connection, alert.id, who, resolution)
            _notify_of_end(connection, rules.get(alert.source, ()), alert, now)


def _returns(reason: Reason, present: Alert | None) -> bool:
    """Whether a lasting condition began after its alert: there is none, or a person closed it before."""
    if present is None:
        return True
    closed_at = present.resolved_at
    return closed_at is not None and reason.since is not None and reason.since > closed_at


def _end(connection: Connection, rules: Sequence[AlertRule], alert: Alert, resolution: str, now: datetime) -> None:
    """Resolve an alert; if a person closed it before, only enter that its cause is gone."""
    if alert.status == "open":
        alerts.resolve(connection, alert.id, resolution)
        _notify_of_end(connection, rules, alert, now)
    else:
        alerts.end_cause(connection, [alert.id])


def _notify_of_end(connection: Connection, rules: Sequence[AlertRule], alert: Alert, now: datetime) -> None:
    """Notify the channels that were notified when an alert opened that it is resolved.

    Notifications that still wait for the end of quiet hours are dropped, and their channels get none.
    """
    alerts.drop_waiting(connection, alert.id, now, _RESOLVED_IN_QUIET_HOURS)
    times = _send_times([rule for rule in rules if rule.kind == alert.rule], alert.severity, now)
    channels = alerts.notified_channels(connection, alert.id)
    alerts.add_notifications(
        connection, alert.id, "resolved", {channel: times.get(channel, now) for channel in channels}
    )


def _send_times(rules: Iterable[AlertRule], severity: Severity, now: datetime) -> dict[str, datetime]:
    """Return the earliest time at which each channel of some rules may be notified."""
    times: dict[str, datetime] = {}
    for rule in rules:
        at = rule.quiet.until(now, severity) if rule.quiet is not None else now
        times |= {channel: min(at, times.get(channel, at)) for channel in rule.to}
    return times
