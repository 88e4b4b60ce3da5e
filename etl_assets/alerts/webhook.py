"""The JSON that a webhook receives; ``webhook.schema.json`` describes it, and the documents have an example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import datetime

    from etl_assets.alerts.message import Message
    from etl_assets.postgres.alerts.alerts import Alert


def payload(message: Message) -> dict[str, Any]:
    """Return what a webhook receives beside the title, the type and the text of every message.

    Args:
        message: The message.
    """
    alert = message.alerts[0]
    ended = [each.resolved_at for each in message.alerts if each.resolved_at is not None]
    return {
        "message_id": message.identifier,
        "thread_id": message.incident,
        "event": message.event,
        "id": alert.id,
        "status": "resolved" if message.event == "resolved" else "open",
        "source": alert.source,
        "partition": alert.partition if len(message.partitions) <= 1 else None,
        "rule": alert.rule,
        "subject": alert.subject,
        "severity": message.severity,
        "owner": message.background.owner or None,
        "summary": message.summary,
        "resolution": message.alerts[-1].resolution if message.event == "resolved" else None,
        "counts": {
            "alerts": len(message.alerts),
            "occurrences": sum(each.times for each in message.alerts),
            "still_open": message.still_open,
            "records": message.background.counts or None,
        },
        "downstream": list(message.background.downstream),
        "opened_at": _time(min(each.opened_at for each in message.alerts)),
        "seen_at": _time(max(each.seen_at for each in message.alerts)),
        "resolved_at": _time(max(ended)) if ended and message.event == "resolved" else None,
        "acknowledged_by": message.acknowledged_by or None,
        "to_do": {"text": message.remedy, "command": message.command} if message.event != "resolved" else None,
        "urls": {label: message.links.get(name) for label, name in _URLS.items()},
        "alerts": [_one(each) for each in message.alerts],
    }


_URLS: Final = {"run": "Run", "asset": "Asset", "status": "Status", "docs": "Help"}


def _one(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "partition": alert.partition,
        "status": alert.status,
        "summary": alert.summary,
        "command": alert.command,
        "occurrences": alert.times,
        "run_id": alert.run_id,
        "delivery_id": alert.delivery_id,
        "opened_at": _time(alert.opened_at),
        "resolved_at": _time(alert.resolved_at),
        "closed_by": alert.closed_by,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")
