"""Opens alerts for reasons, resolves those whose reason is gone, and puts the messages of both into the outbox.

Everything happens in the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets.model.alert import SEVERITIES
from etl_assets.postgres.alerts import alerts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from etl_assets.model.alert import AlertRule, Reason, Severity
    from etl_assets.postgres.alerts.alerts import Alert
    from etl_assets.postgres.connection import Connection

_OVER: Final = "resolved before its quiet hours ended"


@dataclass(frozen=True)
class Evaluation:
    """What was looked at, and what was found.

    Attributes:
        evaluated: Of which kinds of rules, and of which subjects of them (None for all), the reasons are all that there
            are: an open alert of those without a reason is resolved.
        reasons: What was found.
        resolution: What is said of alerts that are resolved.
        again: Whether the reason of an alert that is open counts as seen once more; not for what lasts, and is looked
            at often.
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
    now: datetime,
    run_id: str | None = None,
) -> None:
    """Make the open alerts of a source partition agree with what was found.

    Args:
        connection: In the transaction that writes the cause.
        rules: Of the source; they say when the messages of a resolution may be sent.
        source: Its name.
        partition: Key of the partition; the empty text for what concerns the whole source.
        evaluation: What was found.
        now: What time it is.
        run_id: Of the run concerned.
    """
    reasons = sorted(evaluation.reasons, key=lambda reason: -SEVERITIES.index(reason.rule.severity))
    found = {(reason.rule.kind, reason.subject) for reason in reasons}
    kinds = {*evaluation.evaluated, *(kind for kind, _ in found)}
    standing = {(alert.rule, alert.subject): alert for alert in alerts.open_of(connection, source, partition, kinds)}
    for (kind, subject), alert in standing.items():
        subjects = evaluation.evaluated.get(kind, ())
        if (kind, subject) not in found and (subjects is None or subject in subjects):
            _resolve(connection, rules, alert, evaluation.resolution, now)
    opened: dict[tuple[str, str], int | None] = {}
    for reason in reasons:
        key = reason.rule.kind, reason.subject
        if key not in opened and (evaluation.again or key not in standing):
            id_, fresh = alerts.open_or_see(connection, source, partition, reason, run_id)
            opened[key] = id_ if fresh else None
        if (new := opened.get(key)) is not None:
            alerts.address(connection, new, "opened", _times([reason.rule], reason.rule.severity, now))


def _resolve(connection: Connection, rules: Sequence[AlertRule], alert: Alert, resolution: str, now: datetime) -> None:
    """Resolve an alert, and tell whoever was told of it. What quiet hours still hold back is not told at all."""
    alerts.resolve(connection, alert.id, resolution)
    alerts.drop_held(connection, alert.id, now, _OVER)
    times = _times([rule for rule in rules if rule.kind == alert.rule], alert.severity, now)
    told = alerts.notified_channels(connection, alert.id)
    alerts.address(connection, alert.id, "resolved", {channel: times.get(channel, now) for channel in told})


def _times(rules: Iterable[AlertRule], severity: Severity, now: datetime) -> dict[str, datetime]:
    """When each channel of some rules may be told."""
    return {
        channel: rule.quiet.until(now, severity) if rule.quiet is not None else now
        for rule in rules
        for channel in rule.to
    }
