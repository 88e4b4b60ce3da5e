"""Numbers of the alerts that are open, and of the channels that their notifications go to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from psycopg.rows import class_row

from etl_assets.postgres.alerts.notifications import channel_states

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection


class OpenAlerts(NamedTuple):
    """How many alerts of a source, rule and severity are open."""

    source: str
    rule: str
    severity: str
    alerts: int


class Channel(NamedTuple):
    """The outbox of a channel.

    Attributes:
        name: Its name.
        waiting: How many notifications wait for it.
        refused: How many times it refused the one that it refused most often, of those that wait.
        lost: Whether it takes no notifications at all.
        due_at: When the next one is due, or was; None if none waits.
        sent_at: When it took one last; None if it never did.
    """

    name: str
    waiting: int
    refused: int
    lost: bool
    due_at: float | None
    sent_at: float | None


def open_alerts(connection: Connection) -> list[OpenAlerts]:
    """Return how many alerts are open, by source, rule and severity."""
    with connection.cursor(row_factory=class_row(OpenAlerts)) as cursor:
        return cursor.execute(
            "SELECT source, rule, severity, count(*) AS alerts FROM etl.alert WHERE status = 'open' "
            "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        ).fetchall()


def channels(connection: Connection) -> list[Channel]:
    """Return the outbox of every channel that a notification was ever sent to or waits for, by name."""
    states = {state.channel: state for state in channel_states(connection)}
    due = _due(connection)
    sent = _last_sent(connection)
    return [
        Channel(name, state.waiting, state.tries, state.lost, due.get(name), sent.get(name))
        if (state := states.get(name))
        else Channel(name, waiting=0, refused=0, lost=False, due_at=None, sent_at=sent[name])
        for name in sorted(states.keys() | sent.keys())
    ]


def _due(connection: Connection) -> dict[str, float]:
    """Return when the next notification of each channel is due that has any."""
    rows = connection.execute(
        "SELECT channel, extract(epoch FROM min(next_try_at))::double precision FROM etl.notification "
        "WHERE status = 'pending' GROUP BY channel"
    ).fetchall()
    return dict(rows)


def _last_sent(connection: Connection) -> dict[str, float]:
    """Return when each channel took a notification last. The index is searched once for each channel."""
    rows = connection.execute(
        "WITH RECURSIVE channel AS ((SELECT channel FROM etl.notification WHERE status = 'sent' ORDER BY channel "
        "LIMIT 1) UNION ALL SELECT (SELECT n.channel FROM etl.notification n WHERE n.status = 'sent' "
        "AND n.channel > c.channel ORDER BY n.channel LIMIT 1) FROM channel c WHERE c.channel IS NOT NULL) "
        "SELECT channel, (SELECT extract(epoch FROM max(sent_at))::double precision FROM etl.notification n "
        "WHERE n.status = 'sent' AND n.channel = c.channel) FROM channel c WHERE channel IS NOT NULL"
    ).fetchall()
    return dict(rows)
