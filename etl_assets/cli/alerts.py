"""``etl-assets alerts``: alerts listed and acknowledged, channels tried, the outbox sent without a daemon."""

from __future__ import annotations

import getpass
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import click

from etl_assets.alerts.notification_text import trial
from etl_assets.alerts.sender import deliver, send, unconfigured
from etl_assets.cli.environment import environment
from etl_assets.cli.terminal import console, counted, emit, harmless, table
from etl_assets.errors import AlertError
from etl_assets.postgres.alerts import alerts, notifications
from etl_assets.postgres.connection import connected
from etl_assets.postgres.migrations.migrate import require_current
from etl_assets.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from etl_assets.postgres.alerts.alerts import Alert
    from etl_assets.postgres.alerts.notifications import Notification

_DEFAULT: Final = "default"


@click.group(name="alerts")
def command() -> None:
    """Look after alerts: what people are told of.

    An alert is open until its reason is gone. Its messages wait in the outbox until their channels take them; the
    sensor "alerts" of the Dagster daemon sends them.
    """


@command.command(name="list")
@click.option("--source", help="Only of this source.")
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(alerts.STATUSES), default=("open",), show_default=True
)
@click.option("--limit", default=50, show_default=True, help="How many alerts at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def list_(source: str | None, statuses: Sequence[str], limit: int, *, as_json: bool) -> None:
    """List alerts, newest first, and which channels were told of them."""
    with environment() as env, connected(env.url) as connection:
        require_current(connection)
        found = alerts.find(connection, source=source, statuses=statuses, limit=limit)
        messages: dict[int, list[Notification]] = defaultdict(list)
        for message in notifications.notifications_of(connection, [alert.id for alert in found]):
            messages[message.alert_id].append(message)
        waiting = {state.channel for state in notifications.channel_states(connection)}
        known = env.settings.channels.keys()
    if as_json:
        told = [{**vars(alert), "messages": [vars(message) for message in messages[alert.id]]} for alert in found]
        emit({"alerts": told, "unconfigured": sorted(waiting - known)})
        return
    if not found:
        console().print(f"No alert is {' or '.join(statuses)}.")
    else:
        table(
            ("id", "severity", "source", "partition", "rule", "since", "seen", "status", "told"),
            (_row(alert, messages[alert.id], known) for alert in found),
        )
        for alert in found:
            console().print(f"\n{alert.id}: {harmless(alert.summary)}", markup=False)
    for channel in sorted(waiting - known):
        console().print(f"\n{unconfigured(channel)}", markup=False)


@command.command()
@click.argument("ids", metavar="ID...", nargs=-1, type=int, required=True)
@click.option("--note", help="What is being done.")
@click.option("--reviewer", default=getpass.getuser, show_default="you", help="Who takes care of it.")
def ack(ids: Sequence[int], note: str | None, reviewer: str) -> None:
    """Acknowledge alerts: somebody takes care of them. They stay open until their reasons are gone."""
    with environment() as env, connected(env.url) as connection:
        require_current(connection)
        alerts.acknowledge(connection, ids, reviewer, note)
    console().print(f"{counted(len(set(ids)), 'alert')} acknowledged.")


@command.command()
@click.argument("channel", default=_DEFAULT)
def test(channel: str) -> None:
    """Send a message over a channel now, and tell what came back. A pager will ring."""
    settings = Settings.from_environment()
    if channel not in settings.channels:
        raise AlertError(f"{unconfigured(channel)} Nothing was sent.")
    if (error := deliver(settings.channels[channel], trial(settings.ui_url))) is not None:
        raise AlertError(f"Channel '{channel}' did not take the message: {harmless(error)}")
    console().print(f"Channel '{channel}' took the message.", markup=False)


@command.command(name="send")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def send_(*, as_json: bool) -> None:
    """Send what waits in the outbox and is due, as the sensor does: for where no daemon runs."""
    with environment() as env, connected(env.url) as connection:
        require_current(connection)
        dispatch = send(connection, env.settings.channels, env.settings.ui_url, alerts.clock(connection))
    if as_json:
        states = [vars(state) for state in dispatch.channels]
        emit({"sent": dispatch.sent, "dropped": dispatch.dropped, "channels": states})
        return
    for line in dispatch.lines:
        console().print(harmless(line), markup=False)


def _row(alert: Alert, messages: Sequence[Notification], known: Collection[str]) -> tuple[Any, ...]:
    taken_care = alert.status == "open" and alert.acknowledged_by
    return (
        str(alert.id),
        alert.severity,
        alert.source,
        alert.partition,
        f"{alert.rule.replace('_', ' ')} {alert.subject}".strip(),
        f"{alert.opened_at:%Y-%m-%d %H:%M}",
        alert.times,
        f"open, acknowledged by {alert.acknowledged_by}" if taken_care else alert.status,
        "; ".join(_shown(message, known) for message in messages),
    )


def _shown(message: Notification, known: Collection[str]) -> str:
    """What became of a message."""
    about = f"{message.channel}, {message.event}: "
    if message.status == "pending" and message.channel not in known:
        return f"{about}no such channel"
    if message.status == "pending" and message.tries:
        return f"{about}{counted(message.tries, 'failed try', 'failed tries')}"
    return about + ("waits" if message.status == "pending" else message.status)
