"""The outbox ``etl.notification``: marks notifications as sent or failed, and finds the states of channels.

The module ``alerts`` writes notifications, in the transaction of their cause; the module ``messages`` claims them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Literal

from psycopg.rows import class_row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from etl_assets.postgres.alerts.alerts import Event
    from etl_assets.postgres.connection import Connection

LOST_AFTER: Final = 5
"""A channel is lost after this many failed tries of one notification, if it took no other one meanwhile."""


@dataclass(frozen=True)
class Notification:
    """A row of ``etl.notification``."""

    id: int
    alert_id: int
    event: Event
    channel: str
    status: Literal["pending", "sent", "dropped"]
    tries: int
    next_try_at: datetime
    error: str | None
    written_at: datetime
    sent_at: datetime | None
    message_id: int | None


@dataclass(frozen=True)
class ChannelState:
    """The state of a channel that has waiting notifications.

    Attributes:
        channel: Its name.
        waiting: How many notifications wait for it.
        tries: Tries of the notification that it refused most often.
        failing_since: When the oldest waiting notification that it refused was written; None when it refused none.
        error: Error of the newest refusal; None when there is none.
        lost: Whether it takes no notifications at all.
    """

    channel: str
    waiting: int
    tries: int
    failing_since: datetime | None
    error: str | None
    lost: bool


_COLUMNS: Final = ", ".join(f"m.{field.name}" for field in fields(Notification))


def mark_sent(connection: Connection, ids: Sequence[int], receipt: str | None = None) -> None:
    """Enter that a channel took notifications.

    Args:
        connection: To the warehouse.
        ids: Of the notifications.
        receipt: What the channel needs to change the message later; None for nothing.
    """
    connection.execute(
        "UPDATE etl.notification SET status = 'sent', sent_at = clock_timestamp(), error = NULL, receipt = %s "
        "WHERE id = ANY (%s)",
        (receipt, list(ids)),
    )


def mark_failed(connection: Connection, ids: Sequence[int], error: str) -> None:
    """Enter why a channel did not take notifications; the claim has set the time of the next try already."""
    connection.execute("UPDATE etl.notification SET error = %s WHERE id = ANY (%s)", (error, list(ids)))


def drop_written_before(connection: Connection, than: datetime) -> int:
    """Drop the waiting notifications that were written before a moment.

    The notification of a resolution is dropped too when that of its opening was not sent and is too old.

    Returns:
        How many were dropped.
    """
    return connection.execute(
        "UPDATE etl.notification m SET status = 'dropped', "
        "error = 'given up because of its age: ' || coalesce(error, 'it was never tried') "
        "WHERE status = 'pending' AND (written_at < %(than)s OR EXISTS (SELECT FROM etl.notification o "
        "WHERE o.alert_id = m.alert_id AND o.channel = m.channel AND o.event = 'opened' AND o.status <> 'sent' "
        "AND o.written_at < %(than)s))",
        {"than": than},
    ).rowcount


def channel_states(connection: Connection) -> list[ChannelState]:
    """Return the state of each channel that has waiting notifications, by name."""
    with connection.cursor(row_factory=class_row(ChannelState)) as cursor:
        return cursor.execute(
            "SELECT channel, count(*) AS waiting, coalesce(max(tries) FILTER (WHERE error IS NOT NULL), 0) AS tries, "
            "min(written_at) FILTER (WHERE error IS NOT NULL) AS failing_since, "
            "(array_agg(error ORDER BY next_try_at DESC) FILTER (WHERE error IS NOT NULL))[1] AS error, "
            "coalesce(bool_or(tries >= %s AND error IS NOT NULL AND NOT EXISTS (SELECT FROM etl.notification s "
            "WHERE s.channel = m.channel AND s.status = 'sent' AND s.sent_at > m.written_at)), false) AS lost "
            "FROM etl.notification m WHERE status = 'pending' GROUP BY channel ORDER BY channel",
            (LOST_AFTER,),
        ).fetchall()


def notifications_of(connection: Connection, alert_ids: Sequence[int]) -> list[Notification]:
    """Return the notifications of some alerts, in the order in which they were written."""
    with connection.cursor(row_factory=class_row(Notification)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM etl.notification m WHERE alert_id = ANY (%s) ORDER BY id", (list(alert_ids),)
        ).fetchall()
