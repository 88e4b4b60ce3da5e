"""What people read: what happened, where, how bad, since when, what to do, and where to look. No record contents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from datetime import datetime

    from etl_assets.model.alert import Severity
    from etl_assets.postgres.alerts.alerts import Alert, Event

_SUMMARY: Final = 360
_REMEDY: Final = 160
_NAME: Final = 80
"""Characters at most, so that a whole message has less than the 1,000 that a Teams card or a page may have."""
_MARKED: Final = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")


@dataclass(frozen=True)
class NotificationText:
    """A message, ready to be sent.

    Attributes:
        title: One line.
        lines: Label and text.
        links: Label and URL.
        severity: How bad it is.
        event: ``resolved`` when it is over.
        incident: The same for all that is said of one alert, and of no other.
        source: Whom it is about.
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
        lines = [f"**{label}:** {_unmarked(text)}" for label, text in self.lines]
        links = [f"[{label}]({url})" for label, url in self.links]
        return "\n\n".join([*lines, " · ".join(links)])


def text_of(alert: Alert, event: Event, ui_url: str) -> NotificationText:
    """What is said of an alert.

    Args:
        alert: As it stands now.
        event: What is told: that it opened, or that it was resolved.
        ui_url: Of the Dagster UI.
    """
    where = _line(f"{alert.source} {alert.partition}".strip(), _NAME) or "etl_assets"
    what = _line(f"{alert.rule.replace('_', ' ')} {alert.subject}".strip(), _NAME)
    standing = alert.severity if event == "opened" else "resolved"
    lines = {
        "What": _line(alert.summary, _SUMMARY),
        "Where": where,
        "Severity": alert.severity,
        "Since": _since(alert),
        "To do": _line(alert.remedy, _REMEDY) if event == "opened" else "",
        "Resolved": f"{_moment(alert.resolved_at)}. {alert.resolution}" if alert.resolved_at else "",
        "Acknowledged by": alert.acknowledged_by or "",
    }
    return NotificationText(
        title=f"[{standing}] {where}: {what}",
        lines=tuple((label, text) for label, text in lines.items() if text),
        links=tuple(_links(alert, ui_url)),
        severity=alert.severity,
        event=event,
        incident=f"etl_assets {alert.id} {alert.opened_at:%Y%m%dT%H%M%S}",
        source=alert.source or "etl_assets",
    )


def trial(ui_url: str) -> NotificationText:
    """A message by which a channel is tried."""
    return NotificationText(
        title="[test] etl_assets: a channel is tried",
        lines=(("What", "Somebody tries this channel. Nothing has happened."), ("To do", "Nothing.")),
        links=(("Dagster", ui_url),),
        severity="info",
        event="opened",
        incident="etl_assets test",
        source="etl_assets",
    )


def asset_path(source: str) -> str:
    """The path of an asset in the Dagster UI: of a source's table, or of an asset that was written by hand."""
    schema, dot, table = source.partition(".")
    parts = ("core", source) if not dot else (table,) if schema == "public" else (schema, table)
    return "/".join(quote(part, safe="") for part in parts)


def _unmarked(text: str) -> str:
    """Text in which Markdown sees nothing to act upon."""
    return _MARKED.sub(r"\\\1", text)


def _links(alert: Alert, ui_url: str) -> list[tuple[str, str]]:
    links = [("Run", f"{ui_url}/runs/{quote(alert.run_id, safe='')}")] if alert.run_id else []
    if alert.source:
        chosen = f"?view=partitions&partition={quote(alert.partition, safe='')}" if alert.partition else ""
        links.append(("Asset", f"{ui_url}/assets/{asset_path(alert.source)}{chosen}"))
    return links


def _since(alert: Alert) -> str:
    opened = _moment(alert.opened_at)
    return opened if alert.times == 1 else f"{opened}; seen {alert.times} times, last {_moment(alert.seen_at)}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _line(text: str, length: int) -> str:
    """Text in one line of printable characters, shortened to a length."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
