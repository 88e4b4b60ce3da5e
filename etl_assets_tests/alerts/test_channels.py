"""Each kind of channel, over Apprise's own client, against a local server.

A webhook and Teams are addressed by host. PagerDuty has a fixed host, and is reached through a proxy that answers in
its place, with a certificate that the client is configured to trust.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from etl_assets import RunFailed
from etl_assets.postgres.alerts.alerts import acknowledge
from etl_assets_tests.alerts.stubs import http_stub, https_stub, proxy_stub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets.model.alert import Severity
    from etl_assets_tests.alerts.office import Office
    from etl_assets_tests.alerts.stubs import Stub

_RUN = "http://dagster.test/runs/run-1"
_ASSET = "http://dagster.test/assets/core/people?view=partitions&partition=2026-01"
_ERROR = "ShapeError: A column is missing. Nothing was written."


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A proxy that answers in the place of PagerDuty."""
    with proxy_stub(tmp_path, "events.pagerduty.com") as stub:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{stub.port}")
        for name in ("NO_PROXY", "no_proxy", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        yield stub


def _fail_and_recover(office: Office, url: str, severity: Severity = "error") -> None:
    """Let a run fail and then succeed, and send the notifications of both."""
    office.channels["default"] = url
    rule = RunFailed(severity=severity)
    office.fail(rule, partition="2026-01")
    assert office.send().lines == ["1 sent, 0 waiting."]
    office.run(rule, partition="2026-01")
    assert office.send().lines == ["1 sent, 0 waiting."]


def test_a_webhook_receives_what_happened_where_how_bad_since_when_and_what_to_do(office: Office) -> None:
    with http_stub() as stub:
        _fail_and_recover(office, f"json://127.0.0.1:{stub.port}")
    opened, resolved = (posted.json for posted in stub.taken)
    since = office.query("SELECT to_char(opened_at, 'YYYY-MM-DD HH24:MI') FROM etl.alert")[0][0]
    assert opened["title"] == "[error] people 2026-01: run failed"
    assert opened["type"] == "failure"
    assert opened["message"].splitlines() == [
        f"What: {_ERROR}",
        "Where: people 2026-01",
        "Severity: error",
        f"Since: {since} UTC",
        "To do: Correct what the error names, then run it again.",
        "Command: etl-assets run people --partition 2026-01",
        f"Run: {_RUN}",
        f"Asset: {_ASSET}",
        "Status: http://status.test/tables/people.html",
        "Help: https://github.com/etl-assets/etl-assets/blob/main/docs/alerts.md#run_failed",
    ]
    assert resolved["title"] == "[resolved] people 2026-01: run failed"
    assert resolved["type"] == "success"
    assert "Run run-1 succeeded." in resolved["message"]
    assert "To do" not in resolved["message"]


def test_teams_receives_a_card_with_links(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    with https_stub(tmp_path, "127.0.0.1") as stub:
        _fail_and_recover(office, f"workflows://127.0.0.1:{stub.port}/WORKFLOW/SIGNATURE?image=no")
    opened, _ = stub.taken
    assert opened.path.startswith("/workflows/WORKFLOW/triggers/manual/paths/invoke?")
    title, body = opened.json["attachments"][0]["content"]["body"]
    assert title["text"] == "[error] people 2026-01: run failed"
    assert f"[Run]({_RUN}) · [Asset]({_ASSET}) · [Status](" in body["text"]
    assert "**What:** ShapeError: A column is missing. Nothing was written." in body["text"]


@pytest.mark.parametrize("severity", ["warning", "critical"])
def test_a_page_is_triggered_and_resolved_as_one_incident(office: Office, proxy: Stub, severity: Severity) -> None:
    _fail_and_recover(office, "pagerduty://ROUTING-KEY@API-KEY", severity)
    opened, resolved = (posted.json for posted in proxy.taken)
    assert {posted.host for posted in proxy.taken} == {"events.pagerduty.com"}
    assert (opened["event_action"], resolved["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == resolved["dedup_key"]
    assert opened["routing_key"] == resolved["routing_key"] == "ROUTING-KEY"
    assert opened["payload"]["severity"] == severity
    assert opened["payload"]["source"] == "people"
    assert opened["payload"]["summary"].startswith(f"[{severity}] people 2026-01: run failed")


def test_an_incident_of_several_alerts_is_resolved_with_the_last_of_them(office: Office, proxy: Stub) -> None:
    office.channels["default"] = "pagerduty://ROUTING-KEY@API-KEY"
    for partition in ("a", "b"):
        office.fail(RunFailed(), partition=partition)
    office.send()
    office.run(RunFailed(), partition="a")
    assert office.send().sent == 1
    assert len(proxy.taken) == 1
    office.run(RunFailed(), partition="b")
    assert office.send(timedelta(hours=1)).sent == 1
    assert [posted.json["event_action"] for posted in proxy.taken] == ["trigger", "resolve"]


def test_a_notification_names_the_person_who_acknowledged_the_alert(office: Office) -> None:
    with http_stub() as stub:
        office.channels["default"] = f"json://127.0.0.1:{stub.port}"
        office.fail(RunFailed())
        acknowledge(office.connection, [1], "Ann", None)
        office.send()
    assert "Acknowledged by: Ann" in stub.taken[0].json["message"]
