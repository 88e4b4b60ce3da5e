"""Messages in Slack: blocks, and for a bot the update of the message when its alerts are resolved.

A bot updates the message that reported the opening; its token needs the scope ``chat:write``. An incoming webhook
cannot, and gets a second message.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from etl_assets.alerts.message import cut_words, one_line
from etl_assets.alerts.posting import post

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.alerts.message import Message
    from etl_assets.alerts.posting import Answer

_HOOKS: Final = {"hook": "https://hooks.slack.com/services", "gov-hook": "https://hooks.slack-gov.com/services"}
_API: Final = "https://slack.com/api"
_TARGET: Final = re.compile(r"[#@+]?[A-Za-z0-9_-]+")
_ERROR: Final = re.compile(r"[a-z_]{1,60}")
_GONE: Final = frozenset({"message_not_found", "channel_not_found", "cant_update_message", "edit_window_closed"})
"""Errors of an update after which a new message is posted."""
_HEADER: Final = 150
_TEXT: Final = 3000
_FIELD: Final = 2000
_CONTEXT: Final = 2000
_MARKS: Final = {
    "info": "🔵",
    "warning": "🟡",
    "error": "🔴",
    "critical": "🔴",
    "resolved": "🟢",
    "closed": "⚪",
    "test": "🔵",
}


def carries(service: Any) -> bool:
    """Whether messages to a channel have blocks: not for workflows, templates, threads and e-mail addresses."""
    known = service.mode == "bot" or service.mode in _HOOKS
    return known and not service.template and all(name is None or _TARGET.fullmatch(name) for name in service.channels)


def send(service: Any, message: Message, receipt: str | None, seconds: float) -> tuple[str | None, str | None]:
    """Send a message, or update the one that reported the opening.

    Args:
        service: Apprise's service, which has understood the URL of the channel.
        message: The message.
        receipt: What an earlier call returned for the message that reported the opening; None if there is none.
        seconds: How long to wait for each answer.

    Returns:
        The error, None when the channel took it; and the receipt, None when the message cannot be updated.
    """
    body = {"text": escaped(f"{message.title}\n{message.summary}"), "blocks": blocks(message)}
    if service.user:
        body["username"] = service.user
    if service.mode != "bot":
        return _post_to_hook(service, body, seconds), None
    if receipt is not None and message.event == "resolved":
        return _update(service, body, json.loads(receipt), seconds), None
    taken = []
    for name in service.channels:
        answer = _call(service, "chat.postMessage", {**body, "channel": _channel(name)}, seconds)
        if (error := _error_of_call(answer)) is not None:
            return f"Slack did not take the message: {error}.", None
        taken.append({"channel": answer.json.get("channel"), "ts": answer.json.get("ts")})
    return None, json.dumps(taken)


def blocks(message: Message) -> list[dict[str, Any]]:
    """Return the blocks of a message: header, what happened, fields, what to do, context and links."""
    header = cut_words(f"{_MARKS[message.tone]} {message.title}", _HEADER)
    fields = {
        "Where": message.where,
        "Severity": message.severity,
        "Since": message.since,
        "Resolved": message.end,
        "Owner": message.background.owner,
        "Downstream": message.downstream,
        "Acknowledged by": message.acknowledged_by,
    }
    shown = [
        _mrkdwn(f"*{label}*\n{escaped(cut_words(one_line(text), _FIELD // 8))}")
        for label, text in fields.items()
        if text
    ]
    found: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(header)},
        {"type": "section", "text": _plain(cut_words(message.summary or message.subject, _TEXT))},
        {"type": "section", "fields": shown},
    ]
    if message.remedy:
        command = f"\n```{escaped(message.command)}```" if message.command else ""
        to_do = f"*To do*\n{escaped(cut_words(message.remedy, _TEXT // 8))}{command}"
        found.append({"type": "section", "text": _mrkdwn(to_do)} if len(to_do) <= _TEXT else _section_to_do(message))
    ids = ", ".join(str(alert.id) for alert in message.alerts[:10] if alert.id)
    more = f" and {len(message.alerts) - 10:,} more" if len(message.alerts) > 10 else ""  # noqa: PLR2004 -- as above
    about = f"etl_assets · alert {ids}{more} · {message.first.rule}" if ids else "etl_assets"
    found.append({"type": "context", "elements": [_plain(cut_words(about, _CONTEXT))]})
    buttons = [
        {"type": "button", "text": _plain(label), "url": url, "action_id": f"open_{label.lower()}"}
        for label, url in message.links.items()
        if len(url) <= _TEXT
    ]
    return [*found, {"type": "actions", "elements": buttons}] if buttons else found


def escaped(text: str) -> str:
    """Escape the characters that Slack interprets."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section_to_do(message: Message) -> dict[str, Any]:
    """Return what to do without a command, which would be too long."""
    return {"type": "section", "text": _mrkdwn(f"*To do*\n{escaped(cut_words(message.remedy, _TEXT // 8))}")}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _channel(name: str | None) -> str:
    """Return the name of a channel as Slack knows it; Apprise writes ids with a plus sign."""
    if name is None:
        return "#general"
    return name[1:] if name[0] == "+" else name if name[0] in "#@" else f"#{name}"


def _post_to_hook(service: Any, body: Mapping[str, Any], seconds: float) -> str | None:
    url = f"{_HOOKS[service.mode]}/{service.token_a}/{service.token_b}/{service.token_c}"
    for name in service.channels:
        channel = {} if name is None else {"channel": _channel(name)}
        answer = post(url, {**body, **channel}, {}, seconds, verify=service.verify_certificate)
        if answer.status != 200 or answer.body != b"ok":  # noqa: PLR2004 -- OK
            return f"Slack did not take the message: {_reason(answer)}."
    return None


def _update(service: Any, body: Mapping[str, Any], posted: Sequence[Mapping[str, str]], seconds: float) -> str | None:
    """Update the message in each channel that has it; where Slack refuses to change it, reply to it."""
    for place in posted:
        error = _error_of_call(_call(service, "chat.update", {**body, **place}, seconds))
        if error in _GONE:
            reply = {**body, "channel": place["channel"], "thread_ts": place["ts"]}
            error = _error_of_call(_call(service, "chat.postMessage", reply, seconds))
        if error is not None:
            return f"Slack did not update the message: {error}."
    return None


def _call(service: Any, method: str, body: Mapping[str, Any], seconds: float) -> Answer:
    token = {"Authorization": f"Bearer {service.access_token}"}
    return post(f"{_API}/{method}", body, token, seconds, verify=service.verify_certificate)


def _error_of_call(answer: Answer) -> str | None:
    if answer.status == 200 and answer.json.get("ok") is True:  # noqa: PLR2004 -- OK
        return None
    error = answer.json.get("error")
    return error if isinstance(error, str) and _ERROR.fullmatch(error) else _reason(answer)


def _reason(answer: Answer) -> str:
    """Return what an answer says of a refusal: one of Slack's words for errors, the status, or that there was none."""
    text = answer.body.decode("ascii", "replace")
    if not answer.status:
        return f"no answer ({text})"
    return f"{text}, error={answer.status}" if _ERROR.fullmatch(text) else f"error={answer.status}"
