"""Alerts in ``etl.alert``: open, count a repeated reason, resolve, close, acknowledge, find.

Every statement runs in the caller's transaction, which also writes the cause.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Literal

from psycopg.rows import class_row

from etl_assets.errors import AlertError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from etl_assets.model.alert import AlertStatus, Reason, Severity
    from etl_assets.postgres.connection import Connection

Event = Literal["opened", "resolved"]


@dataclass(frozen=True)
class Alert:
    """A row of ``etl.alert``."""

    id: int
    source: str
    partition: str
    rule: str
    subject: str
    severity: Severity
    status: AlertStatus
    summary: str
    remedy: str
    command: str
    run_id: str | None
    delivery_id: int | None
    times: int
    opened_at: datetime
    seen_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    note: str | None
    resolved_at: datetime | None
    resolution: str | None
    closed_by: str | None = None
    cause_stands: bool = False


ALERT_COLUMNS: Final = ", ".join(f"a.{field.name}" for field in fields(Alert))


def clock(connection: Connection) -> datetime:
    """Return the database's current time, which all its clients share."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    if row is None:
        raise LookupError("the database returned no time")
    at: datetime = row[0]
    return at


def lock_current(connection: Connection, source: str, partition: str, rules: Iterable[str]) -> list[Alert]:
    """Return and lock the alerts of a source partition whose causes stand, from some kinds of rules.

    They are open, or a person closed them and their causes were not gone since.
    """
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute(
            f"SELECT {ALERT_COLUMNS} FROM etl.alert a WHERE source = %s AND partition = %s AND rule = ANY (%s) "
            "AND (status = 'open' OR cause_stands) ORDER BY id FOR UPDATE",
            (source, partition, list(rules)),
        ).fetchall()


def lock_open(connection: Connection, ids: Sequence[int]) -> list[Alert]:
    """Return and lock those of some alerts that are open."""
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute(
            f"SELECT {ALERT_COLUMNS} FROM etl.alert a WHERE id = ANY (%s) AND status = 'open' ORDER BY id FOR UPDATE",
            (list(ids),),
        ).fetchall()


def open_or_repeat(
    connection: Connection, source: str, partition: str, reason: Reason, command: str, run_id: str | None
) -> tuple[int, bool]:
    """Open an alert, or enter that the reason of an open one was seen again.

    Args:
        connection: In a transaction.
        source: Name of the source.
        partition: Key of its partition.
        reason: For which it is open.
        command: What to type next.
        run_id: Of the run concerned.

    Returns:
        The id of the alert, and whether this call opened it.
    """
    row = connection.execute(
        "INSERT INTO etl.alert AS a "
        "(source, partition, rule, subject, severity, summary, remedy, command, run_id, delivery_id) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (source, partition, rule, subject) "
        "WHERE status = 'open' DO UPDATE SET times = a.times + 1, seen_at = clock_timestamp(), "
        "summary = EXCLUDED.summary, remedy = EXCLUDED.remedy, command = EXCLUDED.command, run_id = EXCLUDED.run_id, "
        "delivery_id = EXCLUDED.delivery_id RETURNING id, times = 1",
        (
            source,
            partition,
            reason.rule.kind,
            reason.subject,
            reason.rule.severity,
            reason.summary,
            reason.remedy,
            command,
            run_id,
            reason.delivery_id,
        ),
    ).fetchone()
    if row is None:
        raise LookupError("the database neither opened nor found the alert")
    return row[0], row[1]


def deliveries_of(connection: Connection, source: str, partition: str, ids: Sequence[int]) -> set[int]:
    """Return which of some deliveries are of a source partition."""
    rows = connection.execute(
        "SELECT id FROM etl.delivery WHERE source = %s AND partition = %s AND id = ANY (%s)",
        (source, partition, list(ids)),
    ).fetchall()
    return {id_ for (id_,) in rows}


def resolve(connection: Connection, id_: int, resolution: str) -> None:
    """Close an alert whose reason is gone."""
    connection.execute(
        "UPDATE etl.alert SET status = 'resolved', resolved_at = clock_timestamp(), resolution = %s WHERE id = %s",
        (resolution, id_),
    )


def close(connection: Connection, id_: int, who: str, resolution: str) -> None:
    """Enter that a person closed an open alert. While its cause stands, no alert opens about it."""
    connection.execute(
        "UPDATE etl.alert SET status = 'resolved', resolved_at = clock_timestamp(), resolution = %s, closed_by = %s, "
        "cause_stands = true WHERE id = %s",
        (resolution, who, id_),
    )


def end_cause(connection: Connection, ids: Sequence[int]) -> None:
    """Enter that the causes of alerts that a person closed are gone, or returned."""
    connection.execute("UPDATE etl.alert SET cause_stands = false WHERE id = ANY (%s)", (list(ids),))


def add_notifications(connection: Connection, id_: int, event: Event, channels: Mapping[str, datetime]) -> None:
    """Put notifications of an alert into the outbox: one for each channel, to be sent at its time or later."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO etl.notification (alert_id, event, channel, next_try_at) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (alert_id, event, channel) DO NOTHING",
            [(id_, event, channel, at) for channel, at in channels.items()],
        )


def drop_waiting(connection: Connection, id_: int, at: datetime, why: str) -> None:
    """Drop the notifications of an alert that wait for the end of quiet hours, unless they were tried already."""
    connection.execute(
        "UPDATE etl.notification SET status = 'dropped', error = %s WHERE alert_id = %s AND event = 'opened' "
        "AND status = 'pending' AND tries = 0 AND next_try_at > %s",
        (why, id_, at),
    )


def notified_channels(connection: Connection, id_: int) -> list[str]:
    """Return the channels that were or will be notified that an alert opened."""
    rows = connection.execute(
        "SELECT channel FROM etl.notification WHERE alert_id = %s AND event = 'opened' AND status <> 'dropped' "
        "ORDER BY id",
        (id_,),
    ).fetchall()
    return [channel for (channel,) in rows]


def find(
    connection: Connection,
    *,
    source: str | None = None,
    statuses: Sequence[str] = ("open",),
    limit: int | None = None,
) -> list[Alert]:
    """Return alerts, newest first.

    Args:
        connection: To the warehouse.
        source: Only alerts of this source.
        statuses: Only alerts with one of these statuses.
        limit: The most alerts to return.
    """
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute(
            f"SELECT {ALERT_COLUMNS} FROM etl.alert a WHERE (%(source)s::text IS NULL OR source = %(source)s) "
            "AND status = ANY (%(statuses)s) ORDER BY id DESC LIMIT %(limit)s",
            {"source": source, "statuses": list(statuses), "limit": limit},
        ).fetchall()


def acknowledge(connection: Connection, ids: Sequence[int], who: str, note: str | None) -> None:
    """Enter that a person has seen open alerts. They stay open until their reasons are gone.

    Raises:
        AlertError: If one of them is not open; then none is acknowledged.
    """
    with connection.transaction():
        rows = connection.execute(
            "UPDATE etl.alert SET acknowledged_at = clock_timestamp(), acknowledged_by = %s, note = coalesce(%s, note) "
            "WHERE id = ANY (%s) AND status = 'open' RETURNING id",
            (who, note, list(ids)),
        ).fetchall()
        if missing := sorted(set(ids) - {id_ for (id_,) in rows}):
            raise AlertError(
                f"Not open: {', '.join(map(str, missing))}. Nothing was changed. "
                "See `etl-assets alerts list` for the open alerts."
            )
