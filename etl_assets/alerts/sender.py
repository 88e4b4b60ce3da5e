"""Sends what is in the outbox, by Apprise, to the channels that the environment names.

A message is sent at least once: only a sender that dies between sending and saying so has it sent twice.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from etl_assets.alerts.lifecycle import Evaluation, update_alerts
from etl_assets.alerts.notification_text import text_of
from etl_assets.model.alert import ChannelLost, Reason
from etl_assets.postgres.alerts import notifications

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from etl_assets.alerts.notification_text import NotificationText
    from etl_assets.postgres.alerts.notifications import ChannelState
    from etl_assets.postgres.connection import Connection

SEND_SECONDS: Final = 10.0
"""So long a channel has to take a message; shorter than the first wait between two tries."""
BUDGET_SECONDS: Final = 40.0
"""After so long no further message is begun; the next call goes on."""
GIVEN_UP_AFTER: Final = timedelta(days=7)
_SHORTEST_SECRET: Final = 4


@dataclass(frozen=True)
class Dispatch:
    """What became of the outbox.

    Attributes:
        sent: How many messages were sent.
        dropped: How many were given up, for they were too old.
        channels: How those channels fare for which messages wait.
        unnamed: Which of them no setting names.
    """

    sent: int
    dropped: int
    channels: Sequence[ChannelState]
    unnamed: frozenset[str]

    @property
    def lines(self) -> list[str]:
        """For people, a line for each channel that is not well."""
        told = [f"{self.sent} sent, {sum(state.waiting for state in self.channels)} waiting."]
        if self.dropped:
            told.append(f"{self.dropped} given up: they had waited for {GIVEN_UP_AFTER.days} days.")
        for state in self.channels:
            if state.channel in self.unnamed:
                told.append(f"{unconfigured(state.channel)} {state.waiting} wait for it.")
            elif state.failing_since is not None:
                told.append(
                    f"Channel '{state.channel}' fails since {state.failing_since:%Y-%m-%d %H:%M} UTC "
                    f"({state.tries} tries): {state.error}"
                )
        return told


def unconfigured(channel: str) -> str:
    """That nobody said where a channel is, and how to say it."""
    return f"No channel '{channel}' is configured: set ETL_ASSETS_CHANNEL_{channel.upper()}."


def send(
    connection: Connection,
    channels: Mapping[str, str],
    ui_url: str,
    now: datetime,
    *,
    seconds: float = BUDGET_SECONDS,
) -> Dispatch:
    """Send what is due, those channels first that fare best; say who is lost.

    A channel that refuses a message is left alone until the next call. Whoever else calls this meanwhile sends other
    messages.

    Args:
        connection: To the warehouse, outside a transaction.
        channels: Apprise URLs by name.
        ui_url: Of the Dagster UI, for the links.
        now: What time it is, by the database's clock.
        seconds: After which nothing further is begun.
    """
    began = monotonic()
    dropped = notifications.drop_older(connection, now - GIVEN_UP_AFTER)
    before = {state.channel: state.tries for state in notifications.channel_states(connection)}
    sent = 0
    for channel in sorted(channels.keys() & before.keys(), key=lambda name: (before[name], name)):
        while (spent := monotonic() - began) < seconds:
            claimed = notifications.claim(connection, channel, now + timedelta(seconds=spent))
            if claimed is None:
                break
            message, alert = claimed
            if (error := deliver(channels[channel], text_of(alert, message.event, ui_url))) is not None:
                notifications.mark_failed(connection, message.id, error)
                break
            notifications.mark_sent(connection, message.id)
            sent += 1
    states = notifications.channel_states(connection)
    _alert_of_lost_channels(connection, states, channels, now)
    return Dispatch(sent, dropped, states, frozenset(state.channel for state in states) - channels.keys())


def deliver(url: str, told: NotificationText, seconds: float = SEND_SECONDS) -> str | None:
    """Send one message over one channel.

    Args:
        url: Apprise's URL of the channel.
        told: What to say.
        seconds: How long to wait for an answer.

    Returns:
        None when it was taken; otherwise what came back, without what the URL keeps secret.
    """
    _hush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what its hundred services import
        from apprise import Apprise, AppriseAsset

        asset = AppriseAsset(
            app_id="etl_assets", app_desc="etl_assets", async_mode=False, service_timeout=seconds, storage_mode="memory"
        )
        # an instance for each message: a kept one would sleep seconds between two, and the outbox paces already
        service = Apprise.instantiate(_with_incident(url, told), asset=asset)
    if service is None:
        return "Apprise does not understand the channel's URL; see https://appriseit.com/services"
    apprise = Apprise(asset=asset)
    apprise.add(service)
    only_markdown = service.notify_format == "markdown"
    result = apprise.notify(
        title=told.title,
        body=told.markdown if only_markdown else told.text,
        body_format="markdown" if only_markdown else "text",
        notify_type=_type(told),
    )
    if result:
        return None
    said = "; ".join(entry.message for entry in result.logs()) or "The channel did not take the message."
    return without_secrets(said, url)


def without_secrets(text: str, url: str) -> str:
    """A text without anything that stands in a channel's URL besides its scheme and the name of a host."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    tokens = credentials if "." in host else f"{credentials}:{host}"
    held = [*tokens.split(":"), *parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    held += [unquote(part) for part in held]
    for secret in sorted({part for part in held if len(part) >= _SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _alert_of_lost_channels(
    connection: Connection, states: Sequence[ChannelState], channels: Mapping[str, str], now: datetime
) -> None:
    """Tell the other channels of those that take nothing, and that they do again."""
    reasons = [
        Reason(
            ChannelLost(to=tuple(sorted(channels.keys() - {state.channel}))),
            f"It took no message since {state.failing_since:%Y-%m-%d %H:%M} UTC; {state.waiting} wait. {state.error}",
            f"Try it: etl-assets alerts test {state.channel}. Correct ETL_ASSETS_CHANNEL_{state.channel.upper()}.",
            state.channel,
        )
        for state in states
        if state.lost
    ]
    evaluation = Evaluation({ChannelLost.kind: None}, reasons, "It takes messages again.", again=False)
    with connection.transaction():
        update_alerts(connection, (), "", "", evaluation, now)


def _type(told: NotificationText) -> str:
    """The kind of message in Apprise's words."""
    kinds = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure"}
    return "success" if told.event == "resolved" else kinds[told.severity]


def _with_incident(url: str, told: NotificationText) -> str:
    """A PagerDuty URL that says which incident is meant, so that it is closed when the alert is resolved."""
    parts = urlsplit(url)
    if parts.scheme.lower() != "pagerduty":
        return url
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    about = {"action": "map", "dedup": told.incident, "severity": told.severity, "source": told.source}
    return parts._replace(query=urlencode(about | given)).geturl()


def _hush() -> None:
    """Keep Apprise, and what it posts with, out of every log for good: their lines hold URLs, and those are secrets."""
    logger = logging.getLogger("apprise")
    if logger.propagate:
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
