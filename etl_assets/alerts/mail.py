"""Messages as mail: text and HTML, in one thread for the opening of an alert and its end."""

from __future__ import annotations

import re
import smtplib
import ssl
from base64 import b64encode
from contextlib import contextmanager
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from etl_assets.alerts.message import time_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.alerts.message import Message

_TEMPLATES: Final = Path(__file__).parent / "templates"
_COLOURS: Final = {
    "info": "#175cd3",
    "warning": "#b54708",
    "error": "#b42318",
    "critical": "#7a271a",
    "resolved": "#067647",
    "closed": "#475467",
    "test": "#175cd3",
}
_MOST_SHOWN: Final = 20
"""How many alerts of one message are listed."""
_LOGGED_IN: Final = 235
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.-]+")


def carries(service: Any) -> bool:
    """Whether mail of a channel has our form: not if it is to be signed or encrypted."""
    return bool(service.pgp_mode == "no" and service.targets)


def send(service: Any, message: Message, seconds: float) -> str | None:
    """Send a message to each recipient of a channel.

    A mail that is sent again has the same ``Message-ID``, so that a recipient who has it sees it once.

    Args:
        service: Apprise's service, which has understood the URL of the channel.
        message: The message.
        seconds: How long the server has for everything.

    Returns:
        The error; None when the server took the mails of all recipients.
    """
    ends = monotonic() + seconds
    try:
        with _connected(service, seconds) as server:
            refused = 0
            for name, address in service.targets:
                if server.sock is not None:
                    server.sock.settimeout(max(0.1, ends - monotonic()))
                others = sorted({*service.cc, *service.bcc} - {address})
                mail = composed(service, message, formataddr((name or "", address)))
                try:
                    refused += len(server.send_message(mail, service.from_addr[1], [address, *others]))
                except smtplib.SMTPRecipientsRefused as error:
                    refused += len(error.recipients)
    except smtplib.SMTPResponseException as error:
        return f"The mail server refused the mail with code {error.smtp_code}."
    except (OSError, smtplib.SMTPException) as error:
        return f"The mail server did not take the mail: {type(error).__name__}."
    return f"The mail server refused {refused} of the recipients." if refused else None


def composed(service: Any, message: Message, to: str) -> EmailMessage:
    """Return the mail to one recipient.

    Args:
        service: Apprise's service, with sender, copies and further headers.
        message: The message.
        to: Name and address of the recipient.
    """
    name, sender = service.from_addr
    thread = _identifier(message.incident, sender)
    mail = EmailMessage()
    mail["Subject"] = message.subject
    mail["From"] = Address(name or "etl_assets", addr_spec=sender)
    mail["To"] = to
    if service.cc:
        mail["Cc"] = ", ".join(formataddr((service.names.get(each) or "", each)) for each in sorted(service.cc))
    if service.reply_to:
        mail["Reply-To"] = ", ".join(sorted(service.reply_to))
    mail["Date"] = format_datetime(max(alert.resolved_at or alert.seen_at for alert in message.alerts))
    mail["Message-ID"] = _identifier(message.identifier, sender)
    if message.event == "resolved":
        mail["In-Reply-To"] = thread
        mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Etl-Assets-State"] = message.state
    for header, value in service.headers.items():
        if header not in mail:
            mail[header] = value
    mail.set_content(f"{message.title}\n\n{text(message)}\n")
    mail.add_alternative(html(message), subtype="html")
    return mail


def text(message: Message) -> str:
    """Return the body as plain text, in paragraphs; nothing in it is cut."""
    command = f"\n\n    {message.command}" if message.command else ""
    paragraphs = [
        message.summary,
        f"Resolved: {message.end}" if message.end else "",
        f"To do: {message.remedy}{command}" if message.remedy else "",
        "\n".join(f"{label}: {fact}" for label, fact in facts(message).items()),
    ]
    if len(message.alerts) > 1:
        own = [alert.summary if alert.summary != message.summary else "" for alert in message.alerts[:_MOST_SHOWN]]
        listed = [
            f"{alert.id}  {alert.partition}  {summary}".rstrip()
            for alert, summary in zip(message.alerts, own, strict=False)
        ]
        more = len(message.alerts) - _MOST_SHOWN
        paragraphs.append("\n".join([*listed, *([f"And {more:,} more."] if more > 0 else [])]))
    paragraphs.append("\n".join(f"{label}: {url}" for label, url in message.links.items()))
    return "\n\n".join(filter(None, paragraphs))


def html(message: Message) -> str:
    """Return the body as HTML; it loads nothing from elsewhere."""
    templates = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    return templates.get_template("mail.html").render(
        message=message, facts=facts(message), colour=_COLOURS[message.tone], most=_MOST_SHOWN
    )


def facts(message: Message) -> dict[str, str]:
    """Return the text of each fact, by its label."""
    counts = ", ".join(f"{number:,} {name}" for name, number in message.background.counts.items() if number)
    found = {
        "Where": message.where,
        "Severity": message.severity,
        "Since": message.since,
        "Still open": f"{message.still_open:,} of {message.together:,}" if message.event == "resolved" else "",
        "Records": counts,
        "Owner": message.background.owner,
        "Downstream": ", ".join(message.background.downstream),
        "Acknowledged by": message.acknowledged_by,
        "Alert": str(message.alerts[0].id) if len(message.alerts) == 1 and message.alerts[0].id else "",
        "Sent about": time_text(message.alerts[-1].seen_at) if message.event == "test" else "",
    }
    return {label: fact for label, fact in found.items() if fact}


def _identifier(of: str, sender: str) -> str:
    """Return a ``Message-ID`` for a message of a sender."""
    return f"<{_UNSAFE.sub('.', of)}@{sender.rpartition('@')[2]}>"


@contextmanager
def _connected(service: Any, seconds: float) -> Iterator[smtplib.SMTP]:
    """Connect to the server of a channel, as its URL says: with TLS from the start, after STARTTLS, or without."""
    context = ssl.create_default_context()
    if not service.verify_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    server: smtplib.SMTP
    if service.secure_mode == "ssl":
        server = smtplib.SMTP_SSL(service.smtp_host, service.port, timeout=seconds, context=context)
    else:
        server = smtplib.SMTP(service.smtp_host, service.port, timeout=seconds)
    with server:
        if service.secure_mode == "starttls":
            server.starttls(context=context)
        if service.user and service.password:
            _log_in(server, service.user, service.password)
        yield server


def _log_in(server: smtplib.SMTP, user: str, password: str) -> None:
    """Log in; ``smtplib`` does so by ASCII alone, so that other characters are sent as RFC 4616 has them."""
    if (user + password).isascii():
        server.login(user, password)
        return
    server.ehlo_or_helo_if_needed()
    login = b64encode(f"\0{user}\0{password}".encode()).decode()
    code, reply = server.docmd("AUTH", f"PLAIN {login}")
    if code != _LOGGED_IN:
        raise smtplib.SMTPAuthenticationError(code, reply)
