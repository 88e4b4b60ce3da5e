"""Sends the notifications of the outbox, as messages, to the channels that the environment names.

A message is sent at least once. It is sent twice only if the sender dies after sending it and before marking it, if the
channel's answer is lost, or if one of several places that a URL names refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final

from etl_assets.alerts.channel import deliver
from etl_assets.alerts.commands import typed
from etl_assets.alerts.lifecycle import Evaluation, update_alerts
from etl_assets.alerts.message import Background, message_of
from etl_assets.model.alert import ChannelLost, Reason
from etl_assets.postgres.alerts import background, messages, notifications

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from etl_assets.alerts.message import Places
    from etl_assets.postgres.alerts.messages import Claim
    from etl_assets.postgres.alerts.notifications import ChannelState
    from etl_assets.postgres.connection import Connection

BUDGET_SECONDS: Final = 40.0
"""After this time a call begins no further message; the next call sends the rest."""
GIVEN_UP_AFTER: Final = timedelta(days=7)


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
    places: Places,
    now: datetime,
    *,
    seconds: float = BUDGET_SECONDS,
) -> Dispatch:
    """Send the notifications that are due, and open or resolve the alerts about lost channels.

    Channels with the fewest failed tries come first. After a channel refuses a message, it gets no other one until the
    next call. Concurrent callers send different messages.

    Args:
        connection: To the warehouse, outside a transaction.
        channels: Apprise URLs by name.
        places: Where the links lead.
        now: The current time, by the database's clock.
        seconds: After which no further message is begun.
    """
    began = monotonic()
    dropped = notifications.drop_written_before(connection, now - GIVEN_UP_AFTER)
    tries = {state.channel: state.tries for state in notifications.channel_states(connection)}
    sent = 0
    for channel in sorted(channels.keys() & tries.keys(), key=lambda name: (tries[name], name)):
        while (spent := monotonic() - began) < seconds:
            claim = messages.claim(connection, channel, now + timedelta(seconds=spent))
            if claim is None:
                break
            message = message_of(claim, _background(connection, claim), places)
            outcome = deliver(channels[channel], message, claim.receipt)
            if outcome.error is not None:
                notifications.mark_failed(connection, claim.ids, outcome.error)
                break
            notifications.mark_sent(connection, claim.ids, outcome.receipt)
            sent += len(claim.ids)
    states = notifications.channel_states(connection)
    _alert_of_lost_channels(connection, states, channels, now)
    return Dispatch(sent, dropped, states, frozenset(state.channel for state in states) - channels.keys())


def _background(connection: Connection, claim: Claim) -> Background:
    """Return what is known besides the alerts of a claim."""
    declared = background.of_source(connection, claim.first.source)
    return Background(declared.owner, declared.downstream, background.counts_of(connection, claim.alerts))


def _alert_of_lost_channels(
    connection: Connection, states: Sequence[ChannelState], channels: Mapping[str, str], now: datetime
) -> None:
    """Open or resolve the alerts about lost channels; they are sent to the other channels."""
    reasons = [
        Reason(
            ChannelLost(to=tuple(sorted(channels.keys() - {state.channel}))),
            f"It took nothing since {state.failing_since:%Y-%m-%d %H:%M} UTC; {state.waiting} wait. {state.error}",
            f"Correct ETL_ASSETS_CHANNEL_{state.channel.upper()}, then try it.",
            state.channel,
            command=typed("alerts", "test", state.channel),
        )
        for state in states
        if state.lost
    ]
    evaluation = Evaluation({ChannelLost.kind: None}, reasons, "It takes notifications again.", again=False)
    with connection.transaction():
        update_alerts(connection, (), "", "", evaluation, now)
