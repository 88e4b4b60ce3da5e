"""Sends the notifications of the outbox, by Apprise, to the channels that the environment names.

A notification is sent at least once. It is sent twice only if the sender dies after sending it and before marking it.
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
"""How long a channel has to take a notification; shorter than the first wait between two tries."""
BUDGET_SECONDS: Final = 40.0
"""After this time a call begins no further notification; the next call sends the rest."""
GIVEN_UP_AFTER: Final = timedelta(days=7)
_SHORTEST_SECRET: Final = 4


@dataclass(frozen=True)
class Dispatch:
    """The result of sending the outbox.

    Attributes:
        sent: How many notifications were sent.
        dropped: How many were given up because they were too old.
        channels: State of the channels that have waiting notifications.
        unconfigured: Those of them that no setting names.
    """

    sent: int
    dropped: int
    channels: Sequence[ChannelState]
    unconfigured: frozenset[str]

    @property
    def lines(self) -> list[str]:
        """A summary to show, with a line for each channel that fails or is not configured."""
        lines = [f"{self.sent} sent, {sum(state.waiting for state in self.channels)} waiting."]
        if self.dropped:
            lines.append(f"{self.dropped} given up after they had waited for {GIVEN_UP_AFTER.days} days.")
        for state in self.channels:
            if state.channel in self.unconfigured:
                lines.append(f"{unconfigured(state.channel)} {state.waiting} wait for it.")
            elif state.failing_since is not None:
                lines.append(
                    f"Channel '{state.channel}' has failed since {state.failing_since:%Y-%m-%d %H:%M} UTC "
                    f"({state.tries} tries): {state.error}"
                )
        return lines


def unconfigured(channel: str) -> str:
    """Return the text that a channel is not configured, and how to configure it."""
    return f"No channel '{channel}' is configured: set ETL_ASSETS_CHANNEL_{channel.upper()}."


def send(
    connection: Connection,
    channels: Mapping[str, str],
    ui_url: str,
    now: datetime,
    *,
    seconds: float = BUDGET_SECONDS,
) -> Dispatch:
    """Send the notifications that are due, and open or resolve the alerts about lost channels.

    Channels with the fewest failed tries come first. After a channel refuses a notification, it gets no other one
    until the next call. Concurrent callers send different notifications.

    Args:
        connection: To the warehouse, outside a transaction.
        channels: Apprise URLs by name.
        ui_url: Of the Dagster UI, for the links.
        now: The current time, by the database's clock.
        seconds: After which no further notification is begun.
    """
    began = monotonic()
    dropped = notifications.drop_written_before(connection, now - GIVEN_UP_AFTER)
    tries = {state.channel: state.tries for state in notifications.channel_states(connection)}
    sent = 0
    for channel in sorted(channels.keys() & tries.keys(), key=lambda name: (tries[name], name)):
        while (spent := monotonic() - began) < seconds:
            claimed = notifications.claim(connection, channel, now + timedelta(seconds=spent))
            if claimed is None:
                break
            notification, alert = claimed
            if (error := _try(channels[channel], text_of(alert, notification.event, ui_url))) is not None:
                notifications.mark_failed(connection, notification.id, error)
                break
            notifications.mark_sent(connection, notification.id)
            sent += 1
    states = notifications.channel_states(connection)
    _alert_of_lost_channels(connection, states, channels, now)
    return Dispatch(sent, dropped, states, frozenset(state.channel for state in states) - channels.keys())


def _try(url: str, notification: NotificationText) -> str | None:
    """Send one notification; return the class of an error that the service raises, whose text may contain secrets."""
    try:
        return deliver(url, notification)
    except Exception as error:  # noqa: BLE001 -- a service may raise anything, and another channel must get its own
        return f"The service for the channel's URL failed with {type(error).__name__}."


def deliver(url: str, notification: NotificationText, seconds: float = SEND_SECONDS) -> str | None:
    """Send one notification over one channel.

    Args:
        url: Apprise's URL of the channel.
        notification: Its text.
        seconds: How long to wait for an answer.

    Returns:
        None when the channel took it; otherwise the error, without the secrets of the URL.
    """
    _silence_loggers()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # raised by modules that Apprise's services import
        from apprise import Apprise, AppriseAsset

        asset = AppriseAsset(
            app_id="etl_assets", app_desc="etl_assets", async_mode=False, service_timeout=seconds, storage_mode="memory"
        )
        # a new instance each time: a kept one would sleep for seconds between two, and the outbox has waits of its own
        service = Apprise.instantiate(_with_incident(url, notification), asset=asset)
    if service is None:
        return "Apprise does not understand the channel's URL; see https://appriseit.com/services"
    apprise = Apprise(asset=asset)
    apprise.add(service)
    only_markdown = service.notify_format == "markdown"
    result = apprise.notify(
        title=notification.title,
        body=notification.markdown if only_markdown else notification.text,
        body_format="markdown" if only_markdown else "text",
        notify_type=_apprise_type(notification),
    )
    if result:
        return None
    error = "; ".join(entry.message for entry in result.logs()) or "The channel did not take the message."
    return without_secrets(error, url)


def without_secrets(text: str, url: str) -> str:
    """Mask every part of a channel's URL in a text, except its scheme and the name of a host."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    tokens = credentials if "." in host else f"{credentials}:{host}"
    secrets = [*tokens.split(":"), *parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    secrets += [unquote(part) for part in secrets]
    for secret in sorted({part for part in secrets if len(part) >= _SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _alert_of_lost_channels(
    connection: Connection, states: Sequence[ChannelState], channels: Mapping[str, str], now: datetime
) -> None:
    """Open or resolve the alerts about lost channels; they are sent to the other channels."""
    reasons = [
        Reason(
            ChannelLost(to=tuple(sorted(channels.keys() - {state.channel}))),
            f"It took nothing since {state.failing_since:%Y-%m-%d %H:%M} UTC; {state.waiting} wait. {state.error}",
            f"Try it: etl-assets alerts test {state.channel}. Correct ETL_ASSETS_CHANNEL_{state.channel.upper()}.",
            state.channel,
        )
        for state in states
        if state.lost
    ]
    evaluation = Evaluation({ChannelLost.kind: None}, reasons, "It takes notifications again.", again=False)
    with connection.transaction():
        update_alerts(connection, (), "", "", evaluation, now)


def _apprise_type(text: NotificationText) -> str:
    """Return Apprise's type for a notification."""
    kinds = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure"}
    return "success" if text.event == "resolved" else kinds[text.severity]


def _with_incident(url: str, text: NotificationText) -> str:
    """Add its incident to a PagerDuty URL, so that a resolved alert closes it; return any other URL unchanged."""
    parts = urlsplit(url)
    if parts.scheme.lower() != "pagerduty":
        return url
    declared = dict(parse_qsl(parts.query, keep_blank_values=True))
    incident = {"action": "map", "dedup": text.incident, "severity": text.severity, "source": text.source}
    return parts._replace(query=urlencode(incident | declared)).geturl()


def _silence_loggers() -> None:
    """Keep Apprise, and the debug lines of ``urllib3``, out of every log for good: they contain URLs, thus secrets."""
    logger = logging.getLogger("apprise")
    if logger.propagate:
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
