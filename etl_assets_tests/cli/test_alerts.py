"""The command `alerts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.alerts.stubs import http_stub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.alerts.stubs import Stub
    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

_ALERT = (
    "INSERT INTO etl.alert (source, partition, rule, severity, summary) "
    "VALUES ('readings', '{}', 'run_failed', 'error', 'It failed.')"
)
_MESSAGE = "INSERT INTO etl.notification (alert_id, event, channel) VALUES ({}, 'opened', '{}')"


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    """Alert 1 has a notification for the channel default, alert 2 one for ops."""
    return prepared(prepare_alerts)


def prepare_alerts(desk: Desk) -> None:
    desk.succeed("migrate")
    for id_, (partition, channel) in enumerate((("2013-01-01", "default"), ("2013-01-02", "ops")), start=1):
        desk.execute(_ALERT.format(partition))
        desk.execute(_MESSAGE.format(id_, channel))


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """The server behind the channel ``default``."""
    with http_stub() as stub:
        monkeypatch.setenv("ETL_ASSETS_CHANNEL_DEFAULT", f"json://127.0.0.1:{stub.port}/secret-word")
        yield stub


def test_the_list_shows_open_alerts_their_notifications_and_missing_channels(ready: Desk, hook: Stub) -> None:
    assert "1 sent, 1 waiting." in ready.succeed("alerts", "send")
    assert len(hook.taken) == 1
    text = ready.succeed("alerts", "list")
    assert "default, opened: sent" in text
    assert "ops, opened: no such channel" in text
    assert "It failed." in text
    assert "No channel 'ops' is configured: set ETL_ASSETS_CHANNEL_OPS." in text
    assert "secret-word" not in text


def test_the_list_as_json_has_every_notification(ready: Desk) -> None:
    (output,) = ready.lines("alerts", "list", "--source", "readings", "--json")
    assert [(alert["id"], alert["partition"]) for alert in output["alerts"]] == [(2, "2013-01-02"), (1, "2013-01-01")]
    assert [message["channel"] for message in output["alerts"][0]["messages"]] == ["ops"]
    assert output["unconfigured"] == ["default", "ops"]


def test_an_empty_list_is_a_sentence(ready: Desk) -> None:
    assert "No alert is resolved." in ready.succeed("alerts", "list", "--status", "resolved")


def test_an_alert_is_acknowledged_by_name_and_stays_open(ready: Desk) -> None:
    assert "2 alerts acknowledged" in ready.succeed("alerts", "ack", "1", "2", "--note", "on it", "--reviewer", "Ann")
    assert ready.query("SELECT DISTINCT status, acknowledged_by, note FROM etl.alert") == [("open", "Ann", "on it")]
    assert "open, acknowledged by Ann" in ready.succeed("alerts", "list")


def test_no_alert_is_acknowledged_if_one_of_them_is_not_open(ready: Desk) -> None:
    result = ready.type("alerts", "ack", "1", "9")
    assert result.exit_code == 1
    assert "Not open: 9. Nothing was changed." in result.stderr
    assert ready.query("SELECT count(*) FROM etl.alert WHERE acknowledged_at IS NOT NULL") == [(0,)]


def test_an_alert_is_closed_by_name_and_the_list_says_by_whom(ready: Desk) -> None:
    assert "1 alert closed" in ready.succeed("alerts", "close", "1", "--reason", "known", "--reviewer", "Ann")
    assert ready.query("SELECT status, closed_by, resolution FROM etl.alert WHERE id = 1") == [
        ("resolved", "Ann", "Closed by Ann: known")
    ]
    text = ready.succeed("alerts", "list", "--status", "resolved")
    assert "closed by Ann" in text
    assert "Closed by Ann: known" in text
    result = ready.type("alerts", "close", "1")
    assert result.exit_code == 1
    assert "Not open: 1. Nothing was changed." in result.stderr


def test_a_channel_is_tested_without_a_database(desk: Desk, hook: Stub) -> None:
    assert "took the message" in desk.succeed("alerts", "test")
    (posted,) = hook.taken
    assert posted.json["title"] == "[test] etl_assets: test of a channel"


def test_a_failed_test_of_a_channel_shows_the_error(desk: Desk, hook: Stub) -> None:
    hook.refusals = 1
    result = desk.type("alerts", "test", "default")
    assert result.exit_code == 1
    assert "Channel 'default' did not take the message: Failed to send JSON POST notification" in result.stderr
    assert "secret-word" not in result.output


def test_a_channel_that_is_not_configured_cannot_be_tested(desk: Desk) -> None:
    result = desk.type("alerts", "test", "ops")
    assert result.exit_code == 1
    assert "set ETL_ASSETS_CHANNEL_OPS. Nothing was sent." in result.stderr


def test_send_prints_its_counts_as_json(ready: Desk, hook: Stub) -> None:
    (output,) = ready.lines("alerts", "send", "--json")
    assert (output["sent"], output["dropped"], len(hook.taken)) == (1, 0, 1)
    assert [(state["channel"], state["waiting"]) for state in output["channels"]] == [("ops", 1)]
