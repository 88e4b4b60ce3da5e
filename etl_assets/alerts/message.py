"""Messages: what is sent at once to a channel, about one alert or about many that are alike.

A message says what happened, where, how bad, since when, what to do, and where to look. It never contains contents of
records.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

from etl_assets.alerts.commands import asset_parts, common_command, typed
from etl_assets.model.alert import DriftOpened
from etl_assets.postgres.alerts.alerts import Alert

if TYPE_CHECKING:
    from etl_assets.model.alert import Severity
    from etl_assets.postgres.alerts.messages import Claim

DOCUMENTS: Final = "https://github.com/etl-assets/etl-assets/blob/main/docs/alerts.md"
_SUMMARY_LENGTH: Final = 280
_REMEDY_LENGTH: Final = 120
_NAME_LENGTH: Final = 80
_COMMAND_LENGTH: Final = 140
"""The most characters of each part, so that a whole text stays below the 1,000 of a Teams card or a page."""
_MOST_NAMED: Final = 3
"""How many partitions, and assets downstream, are named."""
_MARKDOWN_SYNTAX: Final = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")


@dataclass(frozen=True)
class Places:
    """Where links lead.

    Attributes:
        ui: URL of the Dagster UI.
        status: URL of the pages of ``etl-assets status``; empty if they are not served.
    """

    ui: str
    status: str = ""


@dataclass(frozen=True)
class Background:
    """What is known besides the alerts.

    Attributes:
        owner: Who is responsible for the source; empty if it is unknown.
        downstream: Assets that are made from its table.
        counts: Numbers of records of the runs concerned, by what became of them.
    """

    owner: str = ""
    downstream: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """A message, ready to be put into the form of a channel.

    Attributes:
        event: Whether its alerts opened or were resolved, or the message only tests a channel.
        alerts: Its alerts, oldest first.
        first: The first alert of the message that reported the opening.
        together: How many alerts that message reported.
        still_open: How many of them are open.
        number: The first notification of this message, which no other message has.
        background: What is known besides.
        places: Where links lead.
    """

    event: Literal["opened", "resolved", "test"]
    alerts: tuple[Alert, ...]
    first: Alert
    together: int
    still_open: int
    number: int
    background: Background
    places: Places

    @property
    def severity(self) -> Severity:
        """The severity of all its alerts."""
        return self.first.severity

    @property
    def source(self) -> str:
        """Name of the source concerned, or ``etl_assets``."""
        return self.first.source or "etl_assets"

    @property
    def incident(self) -> str:
        """Identifier that the message about an opening and those about its end share, and no other message has."""
        return f"etl_assets {self.first.id} {self.first.opened_at:%Y%m%dT%H%M%S}"

    @property
    def identifier(self) -> str:
        """Identifier of this message; the same whenever it is tried."""
        return self.incident if self.event != "resolved" else f"{self.incident} resolved {self.number}"

    @property
    def state(self) -> str:
        """The severity of what opened; ``closed`` if people closed all of it, otherwise ``resolved``."""
        if self.event != "resolved":
            return self.severity if self.event == "opened" else "test"
        return "closed" if all(alert.closed_by for alert in self.alerts) else "resolved"

    @property
    def tone(self) -> str:
        """The state, for colours: the severity for as long as any of the alerts that opened together is open."""
        return self.severity if self.still_open else self.state

    @property
    def subject(self) -> str:
        """What it is about, in a line that is the same for the opening and its end."""
        about = "" if self.together > 1 and self.first.rule == DriftOpened.kind else self.first.subject
        topic = one_line(f"{self.first.rule.replace('_', ' ')} {about}".strip(), _NAME_LENGTH)
        if self.together == 1:
            return f"{_place(self.first)}: {topic}"
        return f"{one_line(self.source, _NAME_LENGTH)}: {topic}, {self.together:,} alerts"

    @property
    def title(self) -> str:
        """The state and the subject; of an end of some alerts of many, how many they are."""
        some = self.event == "resolved" and self.together > len(self.alerts)
        return f"[{self.state}] {self.subject}{f': {len(self.alerts):,} of them' if some else ''}"

    @property
    def summary(self) -> str:
        """What happened; of many alerts, what most of them say, and how many say something else."""
        kinds: dict[str, list[str]] = {}
        for alert in self.alerts:
            kinds.setdefault(_kind(alert.summary), []).append(alert.summary)
        most, *others = sorted(kinds.values(), key=len, reverse=True)
        first, number, same = most[0], len(self.alerts) - len(most), len(set(most)) == 1
        if same and not number:
            return one_line(first)
        if not number or (len(most) == 1 and _kind(first) == first):
            return one_line(f"{first} {len(self.alerts) - 1:,} more like it.")
        alike = f"{len(most):,} {'times' if same else 'like it'}; " if len(most) > 1 else ""
        differ = f"{number:,} {'says' if number == 1 else 'say'} something else, the first of them: {others[0][0]}"
        return one_line(f"{first} ({alike}{differ})")

    @property
    def where(self) -> str:
        """The source, and its partition or the first ones and the number of the others."""
        partitions = self.partitions
        if len(partitions) <= 1:
            return _place(self.alerts[0])
        named = ", ".join(one_line(key, _NAME_LENGTH) for key in partitions[:_MOST_NAMED])
        more = f" and {len(partitions) - _MOST_NAMED:,} more" if len(partitions) > _MOST_NAMED else ""
        return f"{one_line(self.source, _NAME_LENGTH)}, {len(partitions):,} partitions: {named}{more}"

    @property
    def partitions(self) -> list[str]:
        """The partitions of its alerts, each once, in their order."""
        return list(dict.fromkeys(alert.partition for alert in self.alerts if alert.partition))

    @property
    def since(self) -> str:
        """When the first of its alerts opened, and how often their reasons were seen, if more than once."""
        opened = time_text(min(alert.opened_at for alert in self.alerts))
        times = sum(alert.times for alert in self.alerts)
        if times == len(self.alerts):
            return opened
        return f"{opened}; seen {times:,} times, last {time_text(max(alert.seen_at for alert in self.alerts))}"

    @property
    def remedy(self) -> str:
        """What to do, in words; empty when nothing is left to do."""
        return one_line(self.alerts[0].remedy) if self.event != "resolved" else ""

    @property
    def command(self) -> str:
        """What to type next; empty when nothing is left to do."""
        commands = {alert.command for alert in self.alerts}
        if self.event == "resolved" or commands == {""}:
            return ""
        return common_command(self.first.rule, self.first.source, commands)

    @property
    def end(self) -> str:
        """When and how its alerts ended; empty if they opened."""
        ends = [alert for alert in self.alerts if alert.resolved_at is not None]
        if self.event != "resolved" or not ends:
            return ""
        last = max(ends, key=lambda alert: alert.resolved_at or alert.opened_at)
        rest = f" {self.still_open:,} of {self.together:,} are open." if self.still_open else ""
        return one_line(f"{time_text(last.resolved_at or last.opened_at)}. {last.resolution}{rest}")

    @property
    def acknowledged_by(self) -> str:
        """Who takes care of it; empty if nobody is known."""
        return ", ".join(dict.fromkeys(alert.acknowledged_by for alert in self.alerts if alert.acknowledged_by))

    @property
    def downstream(self) -> str:
        """The first assets downstream, and the number of the others."""
        assets = self.background.downstream
        more = f" and {len(assets) - _MOST_NAMED:,} more" if len(assets) > _MOST_NAMED else ""
        return one_line(f"{', '.join(assets[:_MOST_NAMED])}{more}", _NAME_LENGTH)

    @property
    def links(self) -> dict[str, str]:
        """The URL of each link, by its label: the newest run, the asset, the status page, and the documents."""
        ui, source, status = self.places.ui, self.first.source, self.places.status
        links = {}
        if (run_id := self.alerts[-1].run_id) is not None:
            links["Run"] = f"{ui}/runs/{quote(run_id, safe='')}"
        if source:
            key = self.partitions[0] if len(self.partitions) == 1 else ""
            query = f"?view=partitions&partition={quote(key, safe='')}" if key else ""
            links["Asset"] = f"{ui}/assets/{asset_path(source)}{query}"
        if status:
            has_page = source and "." not in source
            links["Status"] = f"{status}/tables/{quote(source, safe='')}.html" if has_page else f"{status}/"
        return {**links, "Help": f"{DOCUMENTS}#{self.first.rule}"} if self.event != "test" else {"Dagster": ui}

    @property
    def lines(self) -> dict[str, str]:
        """The text of each line, by its label, short enough for the smallest message; a command is never cut."""
        command = self.command
        if len(command) > _COMMAND_LENGTH:
            command = typed("alerts", "list")
        lines = {
            "What": cut_words(self.summary, _SUMMARY_LENGTH),
            "Where": cut_words(self.where, _REMEDY_LENGTH),
            "Severity": self.severity,
            "Since": self.since,
            "To do": cut_words(self.remedy, _REMEDY_LENGTH),
            "Command": command,
            "Resolved": cut_words(self.end, _REMEDY_LENGTH),
            "Acknowledged by": one_line(self.acknowledged_by, _NAME_LENGTH),
            "Owner": one_line(self.background.owner, _NAME_LENGTH),
            "Downstream": self.downstream,
        }
        return {label: text for label, text in lines.items() if text}

    @property
    def text(self) -> str:
        """The body as plain text."""
        return "\n".join(f"{label}: {text}" for label, text in {**self.lines, **self.links}.items())

    @property
    def markdown(self) -> str:
        """The body as Markdown, for services that understand nothing else."""
        lines = [f"**{label}:** {_MARKDOWN_SYNTAX.sub(_ESCAPED, text)}" for label, text in self.lines.items()]
        links = [f"[{label}]({url})" for label, url in self.links.items()]
        return "\n\n".join([*lines, " · ".join(links)])


_ESCAPED: Final = r"\\\1"


def message_of(claim: Claim, background: Background, places: Places) -> Message:
    """Compose the message about claimed notifications.

    Args:
        claim: The notifications and their alerts.
        background: What is known besides.
        places: Where links lead.
    """
    return Message(
        event=claim.event,
        alerts=claim.alerts,
        first=claim.first,
        together=claim.together,
        still_open=claim.still_open,
        number=claim.ids[0],
        background=background,
        places=places,
    )


def trial(places: Places) -> Message:
    """Compose the message that tests a channel."""
    now = datetime.now(UTC)
    alert = Alert(
        id=0,
        source="",
        partition="",
        rule="test",
        subject="of a channel",
        severity="info",
        status="open",
        summary="This is a test of the channel. Nothing has happened.",
        remedy="Nothing.",
        command="",
        run_id=None,
        delivery_id=None,
        times=1,
        opened_at=now,
        seen_at=now,
        acknowledged_at=None,
        acknowledged_by=None,
        note=None,
        resolved_at=None,
        resolution=None,
    )
    return Message("test", (alert,), alert, 1, 0, 0, Background(), places)


def asset_path(source: str) -> str:
    """Return the path in the Dagster UI of the asset of a source, or of an asset that was written by hand."""
    return "/".join(quote(part, safe="") for part in asset_parts(source))


def one_line(text: str, most: int | None = None) -> str:
    """Put a text into one line of printable characters, cut between words to a length, if there is one."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if most is None else cut_words(line, most)


def cut_words(line: str, most: int) -> str:
    """Cut a line to a length, between two words; a word that is longer than the line is cut itself."""
    if len(line) <= most:
        return line
    whole = line[:most].rpartition(" ")[0].rstrip(" ,;:(")
    return f"{whole or line[: most - 1]}…"


def time_text(at: datetime) -> str:
    """Return a time to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _kind(summary: str) -> str:
    """The class of the error with which a summary begins; else the summary."""
    name, _, text = summary.partition(": ")
    return name if text and name.isidentifier() else summary


def _place(alert: Alert) -> str:
    return one_line(f"{alert.source} {alert.partition}".strip(), _NAME_LENGTH) or "etl_assets"
