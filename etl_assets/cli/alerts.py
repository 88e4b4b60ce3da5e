"""``etl-assets alerts``: lists, acknowledges and closes alerts, tests channels, and sends what the outbox has."""

from __future__ import annotations

import getpass
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import click

from etl_assets.cli.completion import ALERTS, SOURCES
from etl_assets.cli.environment import declared, environment
from etl_assets.cli.options import ROW_ID
from etl_assets.cli.terminal import console, count_text, emit, table
from etl_assets.errors import AlertError
from etl_assets.model.alert import ALERT_STATUSES
from etl_assets.model.text import escape_control_characters
from etl_assets.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from etl_assets.postgres.alerts.alerts import Alert
    from etl_assets.postgres.alerts.notifications import Notification

_DEFAULT: Final = "default"


@click.group(name="alerts")
def command() -> None:
    """List, acknowledge and close alerts; test channels and send notifications.

    An alert is open until its reason is gone, or a person closes it. Its notifications wait in the outbox until their
    channels take them; the sensor "alerts" of the Dagster daemon sends them.
    """


@command.command(name="list")
@click.option("--source", shell_complete=SOURCES, help="Only alerts of this source.")
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(ALERT_STATUSES), default=("open",), show_default=True
)
@click.option("--limit", default=50, show_default=True, help="Show at most this many alerts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(source: str | None, statuses: Sequence[str], limit: int, *, as_json: bool) -> None:
    """List alerts, newest first, with the notifications of each."""
    from etl_assets.alerts.sender import unconfigured
    from etl_assets.postgres.alerts import alerts, notifications

    with environment() as env, env.connection() as connection:
        found = alerts.find(connection, source=source, statuses=statuses, limit=limit)
        by_alert: dict[int, list[Notification]] = defaultdict(list)
        for notification in notifications.notifications_of(connection, [alert.id for alert in found]):
            by_alert[notification.alert_id].append(notification)
        waiting = {state.channel for state in notifications.channel_states(connection)}
        known = env.settings.channels.keys()
    if as_json:
        objects = [{**vars(alert), "messages": [vars(item) for item in by_alert[alert.id]]} for alert in found]
        emit({"alerts": objects, "unconfigured": sorted(waiting - known)})
        return
    if not found:
        console().print(f"No alert is {' or '.join(statuses)}.")
    else:
        table(
            ("id", "severity", "source", "partition", "rule", "since", "occurrences", "status", "notifications"),
            (_row(alert, by_alert[alert.id], known) for alert in found),
        )
        for alert in found:
            _print_details(alert)
    for channel in sorted(waiting - known):
        console().print(f"\n{unconfigured(channel)}", markup=False)


@command.command()
@click.argument("ids", metavar="ID...", nargs=-1, type=ROW_ID, required=True, shell_complete=ALERTS)
@click.option("--note", help="What is being done about it.")
@click.option("--reviewer", default=getpass.getuser, show_default="you", help="Who takes care of it.")
def ack(ids: Sequence[int], note: str | None, reviewer: str) -> None:
    """Acknowledge alerts: enter who takes care of them. They stay open until their reasons are gone."""
    from etl_assets.postgres.alerts import alerts

    with environment() as env, env.connection() as connection:
        alerts.acknowledge(connection, ids, reviewer, note)
    console().print(f"{count_text(len(set(ids)), 'alert')} acknowledged.")


@command.command()
@click.argument("ids", metavar="ID...", nargs=-1, type=ROW_ID, required=True)
@click.option("--reason", help="Why.")
@click.option("--reviewer", default=getpass.getuser, show_default="you", help="Who closes it.")
def close(ids: Sequence[int], reason: str | None, reviewer: str) -> None:
    """Close alerts, and notify their channels. A new one opens only if the cause returns.

    The cause of a lasting condition, such as records that wait, returns when it was gone meanwhile. A missing
    delivery returns at the next deadline.
    """
    from etl_assets import alerts

    with environment() as env, env.connection() as connection:
        rules = {name: source.alert_rules for name, source in declared(env.settings).sources.items()}
        alerts.close(connection, rules, ids, reviewer, reason)
    console().print(f"{count_text(len(set(ids)), 'alert')} closed.")


@command.command()
@click.argument("channel", default=_DEFAULT)
def test(channel: str) -> None:
    """Send a test message to a channel now, and report whether it took the message. A pager will ring."""
    from etl_assets.alerts.channel import deliver
    from etl_assets.alerts.message import Places, trial
    from etl_assets.alerts.sender import unconfigured

    settings = Settings.from_environment()
    if channel not in settings.channels:
        raise AlertError(f"{unconfigured(channel)} Nothing was sent.")
    message = trial(Places(settings.ui_url, settings.status_url))
    if (error := deliver(settings.channels[channel], message).error) is not None:
        raise AlertError(f"Channel '{channel}' did not take the message: {escape_control_characters(error)}")
    console().print(f"Channel '{channel}' took the message.", markup=False)


@command.command(name="send")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def send_(*, as_json: bool) -> None:
    """Send the notifications of the outbox that are due, as the sensor does. For installations without a daemon."""
    from etl_assets.alerts.message import Places
    from etl_assets.alerts.sender import send
    from etl_assets.postgres.alerts import alerts

    with environment() as env, env.connection() as connection:
        places = Places(env.settings.ui_url, env.settings.status_url)
        dispatch = send(connection, env.settings.channels, places, alerts.clock(connection))
    if as_json:
        states = [vars(state) for state in dispatch.channels]
        emit({"sent": dispatch.sent, "dropped": dispatch.dropped, "channels": states})
        return
    for line in dispatch.lines:
        console().print(escape_control_characters(line), markup=False)


def _print_details(alert: Alert) -> None:
    """Print what happened, and what to do; the command is on a line of its own, so that it can be copied."""
    click.echo(f"\n{alert.id}: {escape_control_characters(alert.summary)}")
    if alert.status == "open":
        click.echo(f"    To do: {escape_control_characters(alert.remedy)}")
        if alert.command:
            click.echo(f"    {escape_control_characters(alert.command)}")
    elif alert.resolution:
        click.echo(f"    {escape_control_characters(alert.resolution)}")


def _row(alert: Alert, sent: Sequence[Notification], known: Collection[str]) -> tuple[Any, ...]:
    acknowledged = alert.status == "open" and alert.acknowledged_by
    return (
        str(alert.id),
        alert.severity,
        alert.source,
        alert.partition,
        f"{alert.rule.replace('_', ' ')} {alert.subject}".strip(),
        f"{alert.opened_at:%Y-%m-%d %H:%M}",
        alert.times,
        f"open, acknowledged by {alert.acknowledged_by}" if acknowledged else _status(alert),
        "; ".join(_state(notification, known) for notification in sent),
    )


def _status(alert: Alert) -> str:
    return f"closed by {alert.closed_by}" if alert.closed_by else alert.status


def _state(notification: Notification, known: Collection[str]) -> str:
    """Return the channel, the event and the state of a notification, in words."""
    about = f"{notification.channel}, {notification.event}: "
    if notification.status == "pending" and notification.channel not in known:
        return f"{about}no such channel"
    if notification.status == "pending" and notification.tries:
        return f"{about}{count_text(notification.tries, 'failed try', 'failed tries')}"
    return about + ("waits" if notification.status == "pending" else notification.status)
