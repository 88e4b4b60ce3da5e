"""Composes the texts of notifications: what happened, where, how bad, since when, what to do, and links.

They never contain record contents.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from datetime import datetime

    from etl_assets.model.alert import Severity
    from etl_assets.postgres.alerts.alerts import Alert, Event

_SUMMARY_LENGTH: Final = 360
_REMEDY_LENGTH: Final = 160
_NAME_LENGTH: Final = 80
"""The most characters of each part, so that a whole notification stays below the 1,000 of a Teams card or a page."""
_MARKDOWN_SYNTAX: Final = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")


@dataclass(frozen=True)
class NotificationText:
    """The text of a notification, ready to be sent.

    Attributes:
        title: One line.
        lines: Label and text of each line.
        links: Label and URL of each link.
        severity: Of the alert.
        event: Whether the alert opened or was resolved.
        incident: Identifier that all notifications of one alert share, and no other alert has.
        source: Name of the source concerned, or ``etl_assets``.
    """

    title: str
    lines: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    severity: Severity
    event: Event
    incident: str
    source: str

    @property
    def text(self) -> str:
        """The body as plain text."""
        return "\n".join(f"{label}: {text}" for label, text in (*self.lines, *self.links))

    @property
    def markdown(self) -> str:
        """The body as Markdown, for services that understand nothing else."""
        lines = [f"**{label}:** {_escape_markdown(text)}" for label, text in self.lines]
        links = [f"[{label}]({url})" for label, url in self.links]
        return "\n\n".join([*lines, " · ".join(links)])


def text_of(alert: Alert, event: Event, ui_url: str) -> NotificationText:
    """Compose the notification of an alert.

    Args:
        alert: In its current state.
        event: Whether to report that it opened, or that it was resolved.
        ui_url: Of the Dagster UI.
    """
    where = _one_line(f"{alert.source} {alert.partition}".strip(), _NAME_LENGTH) or "etl_assets"
    topic = _one_line(f"{alert.rule.replace('_', ' ')} {alert.subject}".strip(), _NAME_LENGTH)
    state = alert.severity if event == "opened" else "resolved"
    lines = {
        "What": _one_line(alert.summary, _SUMMARY_LENGTH),
        "Where": where,
        "Severity": alert.severity,
        "Since": _since_text(alert),
        "To do": _one_line(alert.remedy, _REMEDY_LENGTH) if event == "opened" else "",
        "Resolved": f"{_time_text(alert.resolved_at)}. {alert.resolution}" if alert.resolved_at else "",
        "Acknowledged by": alert.acknowledged_by or "",
    }
    return NotificationText(
        title=f"[{state}] {where}: {topic}",
        lines=tuple((label, text) for label, text in lines.items() if text),
        links=tuple(_links(alert, ui_url)),
        severity=alert.severity,
        event=event,
        incident=f"etl_assets {alert.id} {alert.opened_at:%Y%m%dT%H%M%S}",
        source=alert.source or "etl_assets",
    )


def trial(ui_url: str) -> NotificationText:
    """Compose the notification that tests a channel."""
    return NotificationText(
        title="[test] etl_assets: test of a channel",
        lines=(("What", "This is a test of the channel. Nothing has happened."), ("To do", "Nothing.")),
        links=(("Dagster", ui_url),),
        severity="info",
        event="opened",
        incident="etl_assets test",
        source="etl_assets",
    )


def asset_path(source: str) -> str:
    """Return the path in the Dagster UI of the asset of a source, or of an asset that was written by hand."""
    schema, dot, table = source.partition(".")
    parts = ("core", source) if not dot else (table,) if schema == "public" else (schema, table)
    return "/".join(quote(part, safe="") for part in parts)


def _escape_markdown(text: str) -> str:
    """Escape the characters that Markdown would interpret."""
    return _MARKDOWN_SYNTAX.sub(r"\\\1", text)


def _links(alert: Alert, ui_url: str) -> list[tuple[str, str]]:
    links = [("Run", f"{ui_url}/runs/{quote(alert.run_id, safe='')}")] if alert.run_id else []
    if alert.source:
        query = f"?view=partitions&partition={quote(alert.partition, safe='')}" if alert.partition else ""
        links.append(("Asset", f"{ui_url}/assets/{asset_path(alert.source)}{query}"))
    return links


def _since_text(alert: Alert) -> str:
    opened = _time_text(alert.opened_at)
    return opened if alert.times == 1 else f"{opened}; seen {alert.times} times, last {_time_text(alert.seen_at)}"


def _time_text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _one_line(text: str, length: int) -> str:
    """Put a text into one line of printable characters, shortened to a length."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
