"""Sends one message over one channel, in the form of its service.

Apprise understands the URLs of all services, and carries the messages of most. A webhook gets fields besides the text,
Slack gets blocks, and mail has a thread.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from etl_assets.alerts.webhook import payload

if TYPE_CHECKING:
    from etl_assets.alerts.message import Message

SEND_SECONDS: Final = 10.0
"""How long a channel has to take a message; shorter than the first wait between two tries."""
_SHORTEST_SECRET: Final = 4
_VERSION: Final = "1.0"
_TYPES: Final = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure", "test": "info"}
"""Apprise's type for each state; it is a success for the others."""


@dataclass(frozen=True)
class Outcome:
    """What became of a message.

    Attributes:
        error: Why the channel did not take it, without secrets; None when it did.
        receipt: What the channel needs to change it later; None for nothing.
    """

    error: str | None = None
    receipt: str | None = None


def deliver(url: str, message: Message, receipt: str | None = None, seconds: float = SEND_SECONDS) -> Outcome:
    """Send a message over a channel. Whatever its service raises is an error of the outcome.

    Args:
        url: Apprise's URL of the channel.
        message: The message.
        receipt: The one of the message that reported the opening; None for none.
        seconds: How long to wait for an answer.
    """
    try:
        return _delivered(url, message, receipt, seconds)
    except Exception as error:  # noqa: BLE001 -- a service may raise anything, and its text may contain secrets
        return Outcome(f"The service for the channel's URL failed with {type(error).__name__}.")


def _delivered(url: str, message: Message, receipt: str | None, seconds: float) -> Outcome:
    _silence_loggers()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # raised by modules that Apprise's services import
        from apprise import Apprise, AppriseAsset

        asset = AppriseAsset(
            app_id="etl_assets", app_desc="etl_assets", async_mode=False, service_timeout=seconds, storage_mode="memory"
        )
        # a new instance each time: a kept one would sleep for seconds between two, and the outbox has waits of its own
        service = Apprise.instantiate(_with_incident(url, message), asset=asset)
    if service is None:
        return Outcome("Apprise does not understand the channel's URL; see https://appriseit.com/services")
    outcome = _sent(service, message, receipt, seconds)
    return Outcome(None if outcome.error is None else without_secrets(outcome.error, url), outcome.receipt)


def without_secrets(text: str, url: str) -> str:
    """Mask every part of a channel's URL in a text, except its scheme and the name of a host."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    tokens = credentials if "." in host else f"{credentials}:{host}"
    secrets = [*tokens.split(":"), *parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    secrets += [pair.partition("=")[2] for pair in parts.query.split("&")]
    secrets += [unquote(part) for part in secrets]
    for secret in sorted({part for part in secrets if len(part) >= _SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _sent(service: Any, message: Message, receipt: str | None, seconds: float) -> Outcome:
    """Send a message over a service in its form."""
    name = type(service).__name__
    if name == "NotifySlack":
        from etl_assets.alerts import slack  # noqa: PLC0415 -- what it imports, every run would load

        if slack.carries(service):
            return Outcome(*slack.send(service, message, receipt, seconds))
    if name == "NotifyEmail":
        from etl_assets.alerts import mail  # noqa: PLC0415 -- what it imports, every run would load

        if mail.carries(service):
            return Outcome(mail.send(service, message, seconds))
    if name == "NotifyPagerDuty" and message.event == "resolved" and message.still_open:
        return Outcome()  # an incident is resolved with the last of its alerts
    if name == "NotifyJSON":
        # an empty text leaves a field of Apprise's out
        service.payload_extras = {**payload(message), "attachments": "", **service.payload_extras}
        service.json_version = _VERSION
    return Outcome(_notify(service, message))


def _notify(service: Any, message: Message) -> str | None:
    """Send a message by Apprise; return the error."""
    from apprise import Apprise

    apprise = Apprise(asset=service.asset)
    apprise.add(service)
    only_markdown = service.notify_format == "markdown"
    result = apprise.notify(
        title=message.title,
        body=message.markdown if only_markdown else message.text,
        body_format="markdown" if only_markdown else "text",
        notify_type=_TYPES.get(message.state, "success"),
    )
    if result:
        return None
    return "; ".join(entry.message for entry in result.logs()) or "The channel did not take the message."


def _with_incident(url: str, message: Message) -> str:
    """Add its incident to a PagerDuty URL, so that a resolved alert closes it; return any other URL unchanged."""
    parts = urlsplit(url)
    if parts.scheme.lower() != "pagerduty":
        return url
    declared = dict(parse_qsl(parts.query, keep_blank_values=True))
    incident = {"action": "map", "dedup": message.incident, "severity": message.severity, "source": message.source}
    return parts._replace(query=urlencode(incident | declared)).geturl()


def _silence_loggers() -> None:
    """Keep Apprise, and the debug lines of ``urllib3``, out of every log for good: they contain URLs, thus secrets."""
    logger = logging.getLogger("apprise")
    if logger.propagate:
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
