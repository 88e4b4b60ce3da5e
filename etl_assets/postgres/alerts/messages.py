"""Claims notifications of the outbox: those that are alike are sent together, as one message.

Alike are notifications of one channel and event whose alerts have the same source, rule, subject and severity. Of
changes of what is published the subject does not matter: a delivery can bring as many as it has columns. After a
channel took one such message, the next one waits, so that it gathers what happens meanwhile.

Before a sender sends a message, it claims its notifications in a transaction of its own, which counts the try and sets
the time of the next one. Other senders do not see them before that time. So if a sender dies, at most one message is
sent twice. A message that is tried again has the notifications that it had before, and no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg.rows import class_row, dict_row

from etl_assets.model.alert import DriftOpened
from etl_assets.postgres.alerts.alerts import ALERT_COLUMNS, Alert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from etl_assets.postgres.alerts.alerts import Event
    from etl_assets.postgres.connection import Connection

FIRST_WAIT: Final = 30.0
"""Seconds between the first try and the second; twice as long before each further one."""
LONGEST_WAIT: Final = 3600.0
"""The most seconds between two tries."""
SPREAD: Final = 0.2
"""The largest share by which a wait is longer at random."""
GATHER_SECONDS: Final = 300.0
"""After a channel took a message, how long the next one that is alike waits."""
MOST_TOGETHER: Final = 500
"""The most notifications in one message."""


@dataclass(frozen=True)
class Claim:
    """Notifications that one sender sends now, as one message.

    Attributes:
        ids: Of the notifications, oldest first.
        event: Whether their alerts opened or were resolved.
        alerts: Their alerts, in the same order.
        first: The first alert of the message that reported the opening; of this message, if it reports it itself.
        receipt: What the channel needs to change that message; None if there is nothing, or this is that message.
        together: How many alerts that message reported.
        still_open: How many of them are open.
    """

    ids: tuple[int, ...]
    event: Event
    alerts: tuple[Alert, ...]
    first: Alert
    receipt: str | None
    together: int
    still_open: int


def claim(connection: Connection, channel: str, at: datetime) -> Claim | None:
    """Claim the oldest message of a channel that is due, so that no other sender takes it.

    The notification of a resolution is not due while that of the opening waits. Those of one message report alerts
    whose openings were in one message.

    Args:
        connection: To the warehouse, outside a transaction: the claim must be committed before anything is sent.
        channel: Its name.
        at: The current time.

    Returns:
        The notifications, with this try counted, and their alerts; None when nothing is due.
    """
    values: dict[str, Any] = {"channel": channel, "at": at, "gather": GATHER_SECONDS, "most": MOST_TOGETHER}
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        oldest = cursor.execute(_OLDEST, values).fetchone()
        if oldest is None:
            return None
        values |= oldest
        rows = cursor.execute(_AGAIN if oldest["message_id"] else _ALIKE, values).fetchall()
        ids = [row["id"] for row in rows]
        message = oldest["message_id"] or oldest["id"]
        cursor.execute(
            "UPDATE etl.notification SET tries = tries + 1, message_id = %(message)s, next_try_at = %(at)s + "
            "interval '1 second' * least(%(first)s * 2 ^ least(tries, 20), %(longest)s) * (1 + random() * %(spread)s) "
            "WHERE id = ANY (%(ids)s)",
            {
                "message": message,
                "at": at,
                "first": FIRST_WAIT,
                "longest": LONGEST_WAIT,
                "spread": SPREAD,
                "ids": ids,
            },
        )
    alert_ids = [row["alert_id"] for row in rows]
    return _complete(connection, ids, oldest["event"], alert_ids, oldest["opening"] or message)


_OPENING: Final = (
    "(SELECT coalesce(o.message_id, o.id) FROM etl.notification o WHERE o.alert_id = {0}.alert_id "
    "AND o.channel = {0}.channel AND o.event = 'opened' AND {0}.event = 'resolved')"
)
"""The message that reported the opening of an alert which is resolved."""
_IS_IN_ORDER: Final = (
    "({0}.event = 'opened' OR NOT EXISTS (SELECT FROM etl.notification o WHERE o.alert_id = {0}.alert_id "
    "AND o.channel = {0}.channel AND o.event = 'opened' AND o.status = 'pending'))"
)
_SUBJECT: Final = f"CASE WHEN {{0}}.rule = '{DriftOpened.kind}' THEN '' ELSE {{0}}.subject END"
"""What notifications that are alike have in common of the subjects of their alerts."""
_OLDEST: Final = (
    # messages that were taken, or are on their way
    "WITH recent AS MATERIALIZED (SELECT DISTINCT s.event, b.source, b.rule, "
    f"{_SUBJECT.format('b')} AS subject, b.severity "
    "FROM etl.notification s JOIN etl.alert b ON b.id = s.alert_id WHERE s.channel = %(channel)s "
    "AND (s.status = 'sent' AND s.sent_at > %(at)s - %(gather)s * interval '1 second' "
    "OR s.status = 'pending' AND s.message_id IS NOT NULL AND s.tries = 1 AND s.next_try_at > %(at)s)) "
    f"SELECT d.id, d.event, d.message_id, a.source, a.rule, {_SUBJECT.format('a')} AS subject, a.severity, "
    f"{_OPENING.format('d')} AS opening FROM etl.notification d JOIN etl.alert a ON a.id = d.alert_id "
    "WHERE d.channel = %(channel)s AND d.status = 'pending' AND d.next_try_at <= %(at)s "
    f"AND {_IS_IN_ORDER.format('d')} AND CASE WHEN d.message_id IS NULL THEN NOT EXISTS (SELECT FROM recent r WHERE "
    "(r.event, r.source, r.rule, r.subject, r.severity) = "
    f"(d.event, a.source, a.rule, {_SUBJECT.format('a')}, a.severity)) "
    "ELSE d.id = (SELECT min(id) FROM etl.notification m WHERE m.message_id = d.message_id "
    "AND m.status = 'pending') END ORDER BY d.id LIMIT 1 FOR UPDATE OF d SKIP LOCKED"
)
_AGAIN: Final = (
    "SELECT id, alert_id FROM etl.notification WHERE message_id = %(message_id)s AND status = 'pending' ORDER BY id "
    "FOR UPDATE"
)
_ALIKE: Final = (
    "SELECT n.id, n.alert_id FROM etl.notification n JOIN etl.alert b ON b.id = n.alert_id "
    "WHERE n.channel = %(channel)s AND n.status = 'pending' AND n.next_try_at <= %(at)s AND n.message_id IS NULL "
    "AND n.event = %(event)s AND b.source = %(source)s AND b.rule = %(rule)s "
    f"AND {_SUBJECT.format('b')} = %(subject)s "
    f"AND b.severity = %(severity)s AND {_IS_IN_ORDER.format('n')} "
    f"AND {_OPENING.format('n')} IS NOT DISTINCT FROM %(opening)s::bigint "
    "ORDER BY n.id LIMIT %(most)s FOR UPDATE OF n SKIP LOCKED"
)


def _complete(
    connection: Connection, ids: Sequence[int], event: Event, alert_ids: Sequence[int], opening: int
) -> Claim:
    """Return a claim with the alerts that it reports."""
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        found = {
            alert.id: alert
            for alert in cursor.execute(
                f"SELECT {ALERT_COLUMNS} FROM etl.alert a WHERE id = ANY (%(alerts)s) "
                "OR id = (SELECT alert_id FROM etl.notification WHERE id = %(opening)s)",
                {"alerts": list(alert_ids), "opening": opening},
            )
        }
    row = connection.execute(
        "SELECT (SELECT alert_id FROM etl.notification WHERE id = %(opening)s), "
        "(SELECT receipt FROM etl.notification WHERE id = %(opening)s), count(*), "
        "count(*) FILTER (WHERE a.status = 'open') FROM etl.notification m "
        "JOIN etl.alert a ON a.id = m.alert_id WHERE (m.message_id = %(opening)s OR m.id = %(opening)s) "
        "AND m.event = 'opened'",
        {"opening": opening},
    ).fetchone()
    if row is None:
        raise LookupError("the notification has no message")
    first, receipt, together, still_open = row
    alerts = tuple(found[id_] for id_ in alert_ids)
    return Claim(tuple(ids), event, alerts, found[first], receipt, together, still_open)
