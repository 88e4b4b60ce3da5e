"""Slack gets blocks of the shape that it documents; a bot updates its message when the alerts are resolved.

Slack has fixed hosts, and is reached through a proxy that answers in its place.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.x509 import load_pem_x509_certificate
from hypothesis import given
from hypothesis import strategies as st

from etl_assets import RunFailed
from etl_assets.alerts.channel import deliver
from etl_assets.alerts.message import Background
from etl_assets.alerts.slack import blocks
from etl_assets_tests.alerts.stubs import proxy_stub
from etl_assets_tests.alerts.test_message import alert, hundred, message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets_tests.alerts.office import Office
    from etl_assets_tests.alerts.stubs import Stub

_HOOK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7/#ops"
_BOT = "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#ops"


@pytest.fixture
def slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A proxy that answers in the place of Slack."""
    with proxy_stub(tmp_path, "hooks.slack.com", "slack.com") as stub:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{stub.port}")
        for name in ("NO_PROXY", "no_proxy", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        yield stub


def _is_text(value: Any, most: int, *types: str) -> bool:
    return value["type"] in types and 0 < len(value["text"]) <= most


def check_blocks(found: list[dict[str, Any]]) -> None:
    """Check blocks against the limits that Slack documents in its reference of Block Kit."""
    assert 0 < len(found) <= 50
    for block in found:
        match block["type"]:
            case "header":
                assert _is_text(block["text"], 150, "plain_text")
            case "section":
                assert ("text" in block) != ("fields" in block)
                assert "text" not in block or _is_text(block["text"], 3000, "plain_text", "mrkdwn")
                fields = block.get("fields", [])
                assert len(fields) <= 10
                assert all(_is_text(each, 2000, "plain_text", "mrkdwn") for each in fields)
            case "context":
                assert 0 < len(block["elements"]) <= 10
                assert all(_is_text(each, 3000, "plain_text", "mrkdwn") for each in block["elements"])
            case "actions":
                assert 0 < len(block["elements"]) <= 25
                assert all(each["type"] == "button" for each in block["elements"])
                assert all(_is_text(each["text"], 75, "plain_text") for each in block["elements"])
                assert all(each["url"].startswith("http") and len(each["url"]) <= 3000 for each in block["elements"])
                actions = [each["action_id"] for each in block["elements"]]
                assert len(set(actions)) == len(actions)
            case other:
                pytest.fail(f"no block of a message: {other}")


def _name_of_hash(authority: Path) -> str:
    """Return the name under which OpenSSL looks for a certificate in a folder."""
    subject = load_pem_x509_certificate(authority.read_bytes()).subject.public_bytes()
    return f"{int.from_bytes(sha1(subject[2:], usedforsecurity=False).digest()[:4], 'little'):08x}.0"


def _fail_and_recover(office: Office, url: str) -> None:
    office.channels["default"] = url
    office.fail(RunFailed(), partition="2026-01")
    assert office.send().lines == ["1 sent, 0 waiting."]
    office.run(RunFailed(), partition="2026-01")
    assert office.send().lines == ["1 sent, 0 waiting."]


def test_a_hook_receives_header_summary_fields_command_context_and_links_and_a_second_message_at_the_end(
    office: Office, slack: Stub
) -> None:
    _fail_and_recover(office, _HOOK)
    opened, resolved = slack.taken
    assert (opened.host, opened.path) == ("hooks.slack.com", "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7")
    assert opened.json["channel"] == "#ops"
    header, summary, fields, to_do, context, actions = opened.json["blocks"]
    check_blocks(opened.json["blocks"])
    assert header["text"]["text"] == "🔴 [error] people 2026-01: run failed"
    assert summary["text"]["text"] == "ShapeError: A column is missing. Nothing was written."
    assert fields["fields"][0]["text"] == "*Where*\npeople 2026-01"
    assert "```etl-assets run people --partition 2026-01```" in to_do["text"]["text"]
    assert context["elements"][0]["text"] == "etl_assets · alert 1 · run_failed"
    assert [each["text"]["text"] for each in actions["elements"]] == ["Run", "Asset", "Status", "Help"]
    assert opened.json["text"].startswith("[error] people 2026-01: run failed")
    check_blocks(resolved.json["blocks"])
    assert resolved.json["blocks"][0]["text"]["text"] == "🟢 [resolved] people 2026-01: run failed"
    assert resolved.json["text"].startswith("[resolved]")


def test_a_bot_updates_the_message_that_told_of_the_opening(office: Office, slack: Stub) -> None:
    slack.answers = [{"ok": True, "channel": "C123", "ts": "1700.0001"}, {"ok": True}]
    _fail_and_recover(office, _BOT)
    opened, resolved = slack.taken
    assert (opened.host, opened.path, opened.json["channel"]) == ("slack.com", "/api/chat.postMessage", "#ops")
    assert resolved.path == "/api/chat.update"
    assert (resolved.json["channel"], resolved.json["ts"]) == ("C123", "1700.0001")
    assert resolved.json["blocks"][0]["text"]["text"] == "🟢 [resolved] people 2026-01: run failed"


def test_a_bot_replies_to_a_message_that_cannot_be_updated_any_more(office: Office, slack: Stub) -> None:
    posted = {"ok": True, "channel": "C123", "ts": "1700.0001"}
    slack.answers = [posted, {"ok": False, "error": "edit_window_closed"}, {"ok": True}]
    _fail_and_recover(office, _BOT)
    reply = slack.taken[-1]
    assert (reply.path, reply.json["thread_ts"]) == ("/api/chat.postMessage", "1700.0001")


def test_an_error_of_slack_is_entered_without_the_token_and_the_message_sent_later(office: Office, slack: Stub) -> None:
    slack.answers = [{"ok": False, "error": "not_in_channel"}]
    office.channels["default"] = _BOT
    office.fail(RunFailed())
    assert office.send().sent == 0
    assert office.query("SELECT status, error FROM etl.notification") == [
        ("pending", "Slack did not take the message: not_in_channel.")
    ]
    slack.refusals, slack.refusal = 1, json.dumps({"error": "xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d"}).encode()
    office.connection.execute("UPDATE etl.notification SET next_try_at = clock_timestamp()")
    assert office.send().sent == 0
    assert office.query("SELECT error FROM etl.notification") == [("Slack did not take the message: error=503.",)]


def test_a_login_of_the_proxy_with_special_characters_is_sent_as_it_is(
    office: Office, slack: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://etl:p%40ss%2Fword@127.0.0.1:{slack.port}")
    office.channels["default"] = _HOOK
    office.fail(RunFailed())
    assert office.send().lines == ["1 sent, 0 waiting."]
    assert slack.logins == [f"Basic {b64encode(b'etl:p@ss/word').decode()}"]


def test_the_environment_names_a_folder_of_certificates_too(
    office: Office, slack: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority = tmp_path / "authority.pem"
    authority.rename(folder / _name_of_hash(authority))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder))
    _fail_and_recover(office, _HOOK)
    assert len(slack.taken) == 2


def test_a_proxy_that_does_not_answer_is_an_error(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    office.channels["default"] = _HOOK
    office.fail(RunFailed())
    assert office.send().sent == 0
    ((error,),) = office.query("SELECT error FROM etl.notification")
    assert error.startswith("Slack did not take the message: no answer (")


def test_what_a_service_raises_is_an_error_of_its_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "gopher://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    error = deliver(_HOOK, message(alert())).error
    assert error == "The service for the channel's URL failed with ProxySchemeUnknown."


@given(text=st.text(max_size=4000))
def test_no_text_breaks_a_limit_of_slack(text: str) -> None:
    odd = alert(
        summary=text, remedy=text, source=text, partition=text, subject=text, command=text, acknowledged_by=text
    )
    check_blocks(blocks(message(odd, odd, background=Background(text, (text, text)))))


def test_a_message_about_a_hundred_alerts_has_few_blocks_and_names_the_first_ids() -> None:
    found = blocks(message(*hundred()))
    check_blocks(found)
    assert len(found) == 6
    assert "and 90 more" in found[4]["elements"][0]["text"]


def test_a_message_about_the_end_of_some_of_many_is_green_when_none_is_open() -> None:
    some = message(alert(), event="resolved", together=2, still_open=1)
    assert blocks(some)[0]["text"]["text"].startswith("🔴 [resolved] people: run failed, 2 alerts: 1 of them")
    assert blocks(replace(some, still_open=0))[0]["text"]["text"].startswith("🟢 ")


def test_what_slack_interprets_is_escaped() -> None:
    found = blocks(message(alert(partition="<!channel> & <@U1>", remedy="<x>")))
    assert found[2]["fields"][0]["text"] == "*Where*\npeople &lt;!channel&gt; &amp; &lt;@U1&gt;"
    assert "&lt;x&gt;" in found[3]["text"]["text"]
