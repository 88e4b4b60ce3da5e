"""Each notification of the outbox is sent once, in order, and later if necessary. A lost channel opens an alert."""

from __future__ import annotations

import io
import logging
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from etl_assets import RunFailed, alerts
from etl_assets.alerts.channel import SEND_SECONDS, deliver, without_secrets
from etl_assets.alerts.message import trial
from etl_assets.alerts.sender import BUDGET_SECONDS
from etl_assets.postgres.alerts import messages
from etl_assets.postgres.connection import connected
from etl_assets_tests.alerts.office import PLACES
from etl_assets_tests.alerts.stubs import http_stub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.alerts.office import Office
    from etl_assets_tests.alerts.stubs import Stub

_LATER = timedelta(hours=2)  # longer than the longest wait between two tries
_TOKEN = "vERY-sECRET-tOKEN"


@pytest.fixture
def hook(office: Office) -> Iterator[Stub]:
    """The server behind the channel ``default``."""
    with http_stub() as stub:
        office.channels["default"] = f"json://127.0.0.1:{stub.port}/hooks/{_TOKEN}"
        yield stub


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """The log of a process that logs at every level."""
    root = logging.getLogger()
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger("etl_assets_tests").debug("written")
    assert "written" in text.getvalue()
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def _titles(stub: Stub) -> list[str]:
    return [posted.json["title"] for posted in stub.taken]


def test_an_alert_is_notified_once_when_it_opens_and_once_when_it_is_resolved(office: Office, hook: Stub) -> None:
    office.fail(RunFailed())
    assert office.send().sent == 1
    assert office.send(_LATER).sent == 0
    office.run(RunFailed())
    office.send(_LATER)
    office.send(_LATER * 2)
    assert _titles(hook) == ["[error] people: run failed", "[resolved] people: run failed"]
    assert office.messages() == [("opened", "default", "sent"), ("resolved", "default", "sent")]


def test_an_alert_that_is_resolved_before_anything_was_sent_is_notified_in_order(office: Office, hook: Stub) -> None:
    office.fail(RunFailed())
    office.run(RunFailed())
    assert office.send().sent == 2
    assert _titles(hook) == ["[error] people: run failed", "[resolved] people: run failed"]


def test_a_notification_is_sent_once_and_later_if_the_channel_refuses_five_tries(office: Office, hook: Stub) -> None:
    hook.refusals = 5
    office.fail(RunFailed())
    for number in range(1, 6):
        assert office.send(_LATER * number).sent == 0
        assert office.query("SELECT status, tries, error FROM etl.notification") == [
            ("pending", number, "Failed to send JSON POST notification: Servers are overloaded., error=503.")
        ]
    assert office.send(_LATER * 6).sent == 1
    assert office.send(_LATER * 7).sent == 0
    assert len(hook.posted) == 6
    assert len(hook.taken) == 1


def test_waits_between_tries_grow_up_to_an_hour(office: Office, hook: Stub) -> None:
    hook.refusals = 100
    office.fail(RunFailed())
    waits = []
    at = office.now
    for _ in range(10):
        alerts.send(office.connection, office.channels, PLACES, at)
        (following,) = office.query("SELECT next_try_at FROM etl.notification WHERE channel = 'default'")[0]
        waits.append((following - at).total_seconds())
        at = following
    shortest = [min(messages.FIRST_WAIT * 2**tries, messages.LONGEST_WAIT) for tries in range(10)]
    assert all(
        least <= wait <= least * (1 + messages.SPREAD) + 1 for least, wait in zip(shortest, waits, strict=True)
    )  # fmt: skip


def test_the_notification_of_a_resolution_waits_until_that_of_the_opening_was_sent(office: Office, hook: Stub) -> None:
    hook.refusals = 1
    office.fail(RunFailed())
    office.send()
    office.run(RunFailed())
    assert office.send().sent == 0
    assert len(hook.posted) == 1
    assert office.send(_LATER).sent == 2
    assert _titles(hook) == ["[error] people: run failed", "[resolved] people: run failed"]


def test_a_channel_that_refuses_does_not_delay_the_others(office: Office, hook: Stub) -> None:
    office.channels["other"] = "json://127.0.0.1:1"
    for severity in ("info", "error", "critical"):
        office.fail(RunFailed(to=("other", "default"), severity=severity), partition=severity)
    assert office.send().sent == 3
    assert len(hook.taken) == 3
    assert office.query("SELECT sum(tries) FROM etl.notification WHERE channel = 'other'") == [(1,)]


def test_concurrent_senders_send_each_notification_once(office: Office, hook: Stub) -> None:
    for partition in map(str, range(12)):
        office.fail(RunFailed(), partition=partition)
    now = office.now
    begin = threading.Barrier(3)

    def sender() -> None:
        with connected(office.url) as connection:
            begin.wait()
            alerts.send(connection, office.channels, PLACES, now)

    threads = [threading.Thread(target=sender) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = [alert["partition"] for posted in hook.taken for alert in posted.json["alerts"]]
    assert sorted(sent, key=int) == [str(partition) for partition in range(12)]


def test_a_notification_that_is_being_sent_is_sent_by_no_other_sender(office: Office, hook: Stub) -> None:
    office.fail(RunFailed())
    hook.hold.clear()
    sending = threading.Thread(target=office.send)
    sending.start()
    while not hook.posted:
        assert sending.is_alive()
    with connected(office.url) as connection:
        assert alerts.send(connection, office.channels, PLACES, office.now).sent == 0
    hook.hold.set()
    sending.join()
    assert len(hook.posted) == 1


def test_if_a_sender_dies_after_its_claim_the_next_one_sends_the_notification(office: Office, hook: Stub) -> None:
    office.fail(RunFailed())
    assert messages.claim(office.connection, "default", office.now) is not None
    assert office.send().sent == 0
    assert office.send(timedelta(seconds=messages.FIRST_WAIT * 2)).sent == 1
    assert len(hook.taken) == 1


def test_a_claim_lasts_longer_than_the_longest_try() -> None:
    assert SEND_SECONDS < messages.FIRST_WAIT
    assert BUDGET_SECONDS + SEND_SECONDS < 60  # seconds after which Dagster stops a sensor


def test_a_channel_that_does_not_answer_is_given_up_in_time(office: Office, hook: Stub) -> None:
    hook.hold.clear()
    assert deliver(office.channels["default"], trial(PLACES), seconds=0.3).error is not None
    hook.hold.set()


def test_no_notification_is_begun_after_the_time_budget_is_spent(office: Office, hook: Stub) -> None:
    office.fail(RunFailed())
    assert office.send(seconds=0.0).sent == 0
    assert hook.posted == []
    assert office.send().sent == 1


def test_notifications_for_a_channel_that_is_not_configured_wait_and_are_reported(office: Office, hook: Stub) -> None:
    office.fail(RunFailed(to=("ops",)))
    dispatch = office.send()
    assert "No channel 'ops' is configured: set ETL_ASSETS_CHANNEL_OPS. 1 wait for it." in dispatch.lines
    assert office.query("SELECT status, tries FROM etl.notification") == [("pending", 0)]
    office.channels["ops"] = office.channels["default"]
    assert office.send().sent == 1
    assert len(hook.taken) == 1


def test_a_notification_is_given_up_after_a_week_with_the_reason(office: Office, hook: Stub) -> None:
    hook.refusals = 1
    office.fail(RunFailed())
    office.send()
    dispatch = office.send(timedelta(days=7, minutes=1))
    assert (dispatch.sent, dispatch.dropped) == (0, 1)
    assert any("given up" in line for line in dispatch.lines)
    ((status, error),) = office.query("SELECT status, error FROM etl.notification")
    assert status == "dropped"
    assert error.startswith("given up because of its age: Failed to send JSON POST notification")


def test_with_the_notification_of_an_opening_that_of_its_resolution_is_given_up(office: Office, hook: Stub) -> None:
    office.fail(RunFailed())
    office.query("UPDATE etl.notification SET written_at = written_at - interval '7 days' RETURNING 1")
    office.run(RunFailed())
    dispatch = office.send(timedelta(minutes=1))
    assert (dispatch.sent, dispatch.dropped, hook.posted) == (0, 2, [])


def test_the_other_channels_are_notified_when_a_channel_is_lost_and_when_it_returns(office: Office, hook: Stub) -> None:
    with http_stub() as other:
        office.channels["other"] = f"json://127.0.0.1:{other.port}"
        hook.refusals = 7
        office.fail(RunFailed())
        for number in range(1, 5):
            dispatch = office.send(_LATER * number)
        assert "has failed since" in "".join(dispatch.lines)
        assert other.posted == []
        office.send(_LATER * 5)
        office.send(_LATER * 6)
        (notification,) = other.taken
        assert notification.json["title"] == "[error] etl_assets: channel lost default"
        assert "alerts test default" in notification.json["message"]
        office.send(_LATER * 7)
        assert office.send(_LATER * 8).sent == 1
        office.send(_LATER * 9)
    assert _titles(other) == [
        "[error] etl_assets: channel lost default",
        "[resolved] etl_assets: channel lost default",
    ]
    assert len(hook.taken) == 1


def test_a_channel_that_refuses_one_notification_and_takes_others_is_not_lost(office: Office, hook: Stub) -> None:
    office.fail(RunFailed())
    office.query("UPDATE etl.notification SET tries = 9, error = 'too odd', next_try_at = 'infinity' RETURNING 1")
    office.fail(RunFailed(), partition="2026-01")
    assert office.send().sent == 1
    assert len(hook.taken) == 1
    assert [rule for rule, _, _ in office.alerts()] == ["run_failed", "run_failed"]


def test_the_error_about_a_url_that_apprise_does_not_understand_does_not_contain_it(office: Office) -> None:
    office.channels["default"] = f"nonsense://{_TOKEN}"
    office.fail(RunFailed())
    assert office.send().sent == 0
    ((error,),) = office.query("SELECT error FROM etl.notification")
    assert error.startswith("Apprise does not understand the channel's URL")
    assert _TOKEN not in error


def test_neither_logs_nor_the_database_contain_the_secrets_of_a_channel(
    office: Office, hook: Stub, logged: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    hook.refusals = 1
    office.channels["nobody"] = f"json://127.0.0.1:1/{_TOKEN}"
    office.channels["wrong"] = f"slack://{_TOKEN}"
    office.fail(RunFailed(to=("default", "nobody", "wrong")))
    lines = office.send().lines + office.send(_LATER).lines
    stored = str(office.query("SELECT * FROM etl.alert, etl.notification"))
    printed = capfd.readouterr()
    assert hook.taken
    for text in (stored, str(lines), logged.getvalue(), printed.out, printed.err):
        assert _TOKEN.lower() not in text.lower()


@pytest.mark.parametrize(
    ("url", "error", "masked"),
    [
        ("slack://TOKEN1/TOKEN2/TOKEN3", "TOKEN1 TOKEN2 TOKEN3", "*** *** ***"),
        ("mailto://me:pa%24%24word@mail.test?to=ops%40mail.test", "pa$$word pa%24%24word", "*** ***"),
        ("json://host.test/hook?token=ab%2Fcdef", "ab%2Fcdef or ab/cdef", "*** or ***"),
        ("json://host.test/hook?token=abcdef", "host.test refused abcdef at /hook", "host.test refused *** at /***"),
    ],
)
def test_everything_in_the_url_except_the_host_is_masked_in_an_error(url: str, error: str, masked: str) -> None:
    assert without_secrets(error, url) == masked
