"""Mail has a text and an HTML part, and the end of an alert is in the thread of its opening."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_string, policy
from typing import TYPE_CHECKING

from etl_assets import RunFailed
from etl_assets.alerts.mail import html, text
from etl_assets_tests.alerts.stubs import mail_stub
from etl_assets_tests.alerts.test_message import alert, hundred, message

if TYPE_CHECKING:
    from email.message import EmailMessage

    from etl_assets_tests.alerts.office import Office
    from etl_assets_tests.alerts.stubs import MailStub

_COMMAND = "etl-assets run people --partition 2026-01"


def _url(stub: MailStub, *recipients: str) -> str:
    return f"mailto://127.0.0.1:{stub.port}?mode=insecure&from=etl@mail.test&to={','.join(recipients)}"


def _mails(stub: MailStub) -> list[EmailMessage]:
    return [message_from_string(taken, policy=policy.default) for taken in stub.taken]


def _part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    content = body.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")


def test_an_opening_and_its_end_are_one_thread_with_one_subject(office: Office) -> None:
    with mail_stub() as stub:
        office.channels["default"] = _url(stub, "ann@mail.test")
        office.fail(RunFailed(), partition="2026-01")
        assert office.send().sent == 1
        office.run(RunFailed(), partition="2026-01")
        assert office.send().sent == 1
    opened, resolved = _mails(stub)
    assert opened["Subject"] == resolved["Subject"] == "people 2026-01: run failed"
    assert opened["In-Reply-To"] is None
    assert resolved["In-Reply-To"] == resolved["References"] == opened["Message-ID"]
    assert resolved["Message-ID"] != opened["Message-ID"]
    assert opened["Message-ID"].endswith("@mail.test>")
    assert (opened["X-Etl-Assets-State"], resolved["X-Etl-Assets-State"]) == ("error", "resolved")
    assert _part(resolved, "plain").startswith("[resolved] people 2026-01: run failed\n")


def test_both_parts_say_what_happened_and_have_the_command_and_the_links(office: Office) -> None:
    with mail_stub() as stub:
        office.channels["default"] = _url(stub, "ann@mail.test")
        office.fail(RunFailed(), partition="2026-01")
        office.send()
    (mail,) = _mails(stub)
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    for kind in ("plain", "html"):
        body = _part(mail, kind)
        assert "ShapeError: A column is missing. Nothing was written." in body
        assert _COMMAND in body
        assert "http://dagster.test/runs/run-1" in body
    assert f"\n\n    {_COMMAND}\n" in _part(mail, "plain")


def test_each_recipient_gets_a_mail_and_has_it_once_when_it_is_sent_again(office: Office) -> None:
    with mail_stub() as stub:
        stub.refused = {"bo@mail.test"}
        office.channels["default"] = _url(stub, "ann@mail.test", "bo@mail.test")
        office.fail(RunFailed())
        assert office.send().sent == 0
        assert office.query("SELECT error FROM etl.notification") == [("The mail server refused 1 of the recipients.",)]
        stub.refused = set()
        assert office.send(timedelta(hours=2)).sent == 1
    mails = _mails(stub)
    assert [mail["To"] for mail in mails] == ["ann@mail.test", "ann@mail.test", "bo@mail.test"]
    assert len({mail["Message-ID"] for mail in mails}) == 1


def test_a_server_that_is_down_is_an_error_without_the_password(office: Office) -> None:
    office.channels["default"] = "mailto://etl:secretword@127.0.0.1:1?mode=insecure&from=etl@mail.test&to=ann@mail.test"
    office.fail(RunFailed())
    assert office.send().sent == 0
    assert office.query("SELECT error FROM etl.notification") == [
        ("The mail server did not take the mail: ConnectionRefusedError.",)
    ]


def test_a_password_with_any_character_logs_in(office: Office) -> None:
    with mail_stub() as stub:
        office.channels["default"] = _url(stub, "ann@mail.test").replace("//", "//etl:gr%C3%BC%C3%9Fe@")
        office.fail(RunFailed())
        assert office.send().sent == 1
        assert stub.logins == ["\0etl\0grüße"]
        stub.accepts_logins = False
        office.fail(RunFailed(), partition="2026-01")
        assert office.send(timedelta(hours=1)).sent == 0
    assert office.query("SELECT error FROM etl.notification WHERE status = 'pending'") == [
        ("The mail server refused the mail with code 535.",)
    ]


def test_a_long_name_of_a_partition_is_wrapped() -> None:
    page = html(message(alert(partition="p" * 200), alert(id=8)))
    assert "nowrap" not in page


def test_the_html_escapes_what_alerts_say_and_loads_nothing() -> None:
    page = html(message(alert(summary="<script>alert(1)</script>", partition='"><img src=x>')))
    assert "<script>" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert " src=" not in page.replace("&lt;img src=x&gt;", "")
    assert "@import" not in page


def test_a_mail_about_a_hundred_alerts_lists_the_first_twenty() -> None:
    composed = message(*hundred())
    assert "And 80 more." in html(composed)
    assert "And 80 more." in text(composed)
    assert "p19" in text(composed)


def test_a_long_summary_is_whole_in_both_parts() -> None:
    long = " ".join(f"word{number}" for number in range(400))
    composed = message(alert(summary=long))
    assert long in html(composed)
    assert long in text(composed)
