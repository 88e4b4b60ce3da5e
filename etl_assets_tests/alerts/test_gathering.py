"""Notifications that are alike are sent as one message; none is lost, and none is in two messages."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets import CheckFailed, DriftOpened, RunFailed, alerts
from etl_assets.alerts.channel import deliver
from etl_assets.alerts.message import Background, message_of
from etl_assets.model.drift import Change
from etl_assets.postgres.alerts import messages
from etl_assets.postgres.connection import connected
from etl_assets_tests.alerts.office import PLACES
from etl_assets_tests.alerts.stubs import http_stub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.alerts.office import Office
    from etl_assets_tests.alerts.stubs import Posted, Stub

_LATER = timedelta(hours=2)  # longer than the longest wait between two tries


@pytest.fixture
def hook(office: Office) -> Iterator[Stub]:
    """The server behind the channel ``default``."""
    with http_stub() as stub:
        office.channels["default"] = f"json://127.0.0.1:{stub.port}"
        yield stub


def _fail(office: Office, *partitions: int) -> None:
    for number in partitions:
        office.fail(RunFailed(), partition=f"p{number:03}")


def _reported(posted: Posted) -> tuple[str, list[str]]:
    """What a message reports: the event, and the partitions."""
    return posted.json["event"], [alert["partition"] for alert in posted.json["alerts"]]


def test_a_hundred_partitions_that_fail_alike_are_one_message_and_their_recovery_is_one(
    office: Office, hook: Stub
) -> None:
    _fail(office, *range(100))
    assert office.send().sent == 100
    for number in range(100):
        office.run(RunFailed(), partition=f"p{number:03}")
    assert office.send().sent == 100
    opened, resolved = (posted.json for posted in hook.taken)
    assert opened["title"] == "[error] people: run failed, 100 alerts"
    assert "100 partitions: p000, p001, p002 and 97 more" in opened["message"]
    assert resolved["title"] == "[resolved] people: run failed, 100 alerts"
    assert (resolved["thread_id"], resolved["counts"]["still_open"]) == (opened["thread_id"], 0)
    assert office.query("SELECT status, count(*) FROM etl.notification GROUP BY 1") == [("sent", 200)]
    assert office.query("SELECT count(DISTINCT partition), count(*) FROM etl.alert") == [(100, 100)]


def test_all_changes_that_a_delivery_brings_are_one_message_and_so_is_their_end(office: Office, hook: Stub) -> None:
    changes = [Change("added", f"column_{number}") for number in range(40)]
    office.drift([DriftOpened()], changes)
    assert office.send().sent == 40
    office.drift([DriftOpened()], closed=[(change, "resolved") for change in changes])
    assert office.send().sent == 40
    opened, resolved = (posted.json for posted in hook.taken)
    assert opened["title"] == "[warning] people: drift opened, 40 alerts"
    assert opened["to_do"]["command"] == "etl-assets drift list --source people"
    assert "39 more like it." in opened["summary"]
    assert (resolved["thread_id"], resolved["counts"]["still_open"]) == (opened["thread_id"], 0)


def test_one_change_is_named_in_the_title(office: Office, hook: Stub) -> None:
    office.drift([DriftOpened()], [Change("added", "fare")])
    assert office.send().sent == 1
    assert hook.taken[0].json["title"] == "[warning] people: drift opened added fare"


def test_the_first_is_sent_at_once_and_those_of_the_next_minutes_together(office: Office, hook: Stub) -> None:
    _fail(office, 1)
    assert office.send().sent == 1
    _fail(office, 2)
    assert office.send().sent == 0
    _fail(office, 3)
    assert office.send(timedelta(seconds=messages.GATHER_SECONDS - 30)).sent == 0
    assert office.send(timedelta(seconds=messages.GATHER_SECONDS + 30)).sent == 2
    assert [_reported(posted) for posted in hook.taken] == [("opened", ["p001"]), ("opened", ["p002", "p003"])]


def test_other_rules_subjects_and_severities_wait_for_nobody(office: Office, hook: Stub) -> None:
    office.fail(RunFailed(), partition="p1")
    office.fail(RunFailed(severity="critical"), partition="p2")
    office.check(CheckFailed(), partition="p1", one=False, two=False)
    assert office.send().sent == 4
    assert len(hook.taken) == 4


def test_recoveries_are_reported_by_the_message_that_reported_the_failures(office: Office, hook: Stub) -> None:
    _fail(office, 1)
    office.send()
    _fail(office, 2, 3)
    office.send(_LATER)
    for number in (1, 2):
        office.run(RunFailed(), partition=f"p{number:03}")
    office.send(_LATER)
    office.send(_LATER * 2)
    first, second, *ends = (posted.json for posted in hook.taken)
    assert [end["thread_id"] for end in ends] == [first["thread_id"], second["thread_id"]]
    assert [end["counts"]["still_open"] for end in ends] == [0, 1]
    assert ends[1]["title"] == "[resolved] people: run failed, 2 alerts: 1 of them"


def test_a_message_that_was_refused_is_tried_again_with_the_same_notifications(office: Office, hook: Stub) -> None:
    hook.refusals = 1
    _fail(office, 1, 2)
    assert office.send().sent == 0
    _fail(office, 3)
    assert office.send(_LATER).sent >= 2
    office.send(_LATER * 2)
    refused, again, *_ = hook.posted
    assert refused.json["message_id"] == again.json["message_id"]
    assert _reported(refused) == _reported(again) == ("opened", ["p001", "p002"])
    assert [_reported(posted)[1] for posted in hook.taken] == [["p001", "p002"], ["p003"]]


def _die(office: Office, later: timedelta, *, after: bool) -> None:
    """Do what a sender does that is killed in its first message, before or after the channel takes it."""
    claim = messages.claim(office.connection, "default", office.now + later)
    if claim is not None and after:
        deliver(office.channels["default"], message_of(claim, Background(), PLACES), claim.receipt)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("fail"), st.integers(0, 5)),
            st.tuples(st.just("recover"), st.integers(0, 5)),
            st.sampled_from([("send", 0), ("refuse", 0), ("kill before", 0), ("kill after", 0)]),
        ),
        max_size=16,
    )
)
def test_however_often_senders_are_killed_nothing_is_lost_and_only_their_last_message_comes_twice(
    office: Office, hook: Stub, steps: list[tuple[str, int]]
) -> None:
    office.connection.execute("TRUNCATE etl.alert, etl.notification")
    hook.taken.clear()
    later, killed_after = timedelta(), 0
    for step, number in steps:
        later += _LATER
        if step == "fail":
            _fail(office, number)
        elif step == "recover":
            office.run(RunFailed(), partition=f"p{number:03}")
        elif step.startswith("kill"):
            taken = len(hook.taken)
            _die(office, later, after=step == "kill after")
            killed_after += len(hook.taken) - taken
        else:
            hook.refusals = int(step == "refuse")
            office.send(later)
            hook.refusals = 0
    for _ in range(12):
        later += _LATER
        office.send(later)
    written = office.query("SELECT a.id, m.event FROM etl.notification m JOIN etl.alert a ON a.id = m.alert_id")
    reported = [(alert["id"], posted.json["event"]) for posted in hook.taken for alert in posted.json["alerts"]]
    assert set(reported) == set(written)
    identifiers = [posted.json["message_id"] for posted in hook.taken]
    assert len(identifiers) - len(set(identifiers)) <= killed_after
    once = {posted.json["message_id"]: posted for posted in hook.taken}.values()
    each = [(alert["id"], posted.json["event"]) for posted in once for alert in posted.json["alerts"]]
    assert sorted(each) == sorted(written)
    assert office.query("SELECT count(*) FROM etl.notification WHERE status <> 'sent'") == [(0,)]


def test_a_process_that_is_killed_while_it_sends_repeats_one_message_with_the_same_identifier(
    office: Office, hook: Stub
) -> None:
    _fail(office, *range(20))
    office.check(CheckFailed(), one=False)
    hook.hold.clear()
    work = (
        "import sys; from etl_assets import alerts; from etl_assets.alerts.message import Places\n"
        "from etl_assets.postgres.connection import connected; from etl_assets.postgres.alerts.alerts import clock\n"
        "with connected(sys.argv[1]) as c: alerts.send(c, {'default': sys.argv[2]}, Places('http://ui'), clock(c))"
    )
    command = [sys.executable, "-c", work, office.url, office.channels["default"]]
    with subprocess.Popen(command) as process:
        while not hook.posted:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    hook.hold.set()
    assert office.send().sent == 1  # the check; the message that the killed process claimed waits
    assert office.send(_LATER).sent == 20
    assert office.send(_LATER * 2).sent == 0
    first, check, again = (posted.json for posted in hook.posted)
    assert first["message_id"] == again["message_id"] != check["message_id"]
    assert [each["partition"] for each in first["alerts"]] == [each["partition"] for each in again["alerts"]]


def test_concurrent_senders_put_no_notification_into_two_messages(office: Office, hook: Stub) -> None:
    now = office.now
    begin = threading.Barrier(4)

    def send() -> None:
        with connected(office.url) as connection:
            begin.wait()
            for _ in range(3):
                alerts.send(connection, office.channels, PLACES, now + _LATER)

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    begin.wait()
    _fail(office, *range(40))
    for thread in threads:
        thread.join()
    office.send(_LATER * 2)
    reported = [partition for posted in hook.taken for partition in _reported(posted)[1]]
    assert sorted(reported) == [f"p{number:03}" for number in range(40)]
