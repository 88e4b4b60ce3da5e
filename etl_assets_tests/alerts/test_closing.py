"""A person may close an alert; a new one opens only if its cause returns."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest

from etl_assets import CheckFailed, DriftOpened, FilesSetAside, NoDelivery, QuarantineAgeing, Quiet, RunFailed, alerts
from etl_assets.errors import AlertError
from etl_assets.model.drift import Change
from etl_assets_tests.alerts.stubs import http_stub

if TYPE_CHECKING:
    from etl_assets.model.alert import AlertRule
    from etl_assets_tests.alerts.office import Office

_AGEING = QuarantineAgeing(older_than=timedelta(days=7))


def _close(office: Office, *ids: int, why: str | None = None, rules: tuple[AlertRule, ...] = ()) -> None:
    alerts.close(office.connection, {"people": rules}, ids, "Ann", why)


def _statuses(office: Office) -> list[str]:
    return [status for _, _, status in office.alerts()]


def test_an_alert_is_closed_with_who_when_and_why_and_its_channels_are_notified(office: Office) -> None:
    with http_stub() as stub:
        office.channels["default"] = f"json://127.0.0.1:{stub.port}"
        office.fail(RunFailed(), partition="2026-01")
        office.send()
        _close(office, 1, why="known since Monday")
        office.send()
    assert office.query("SELECT status, closed_by, resolution, resolved_at > opened_at FROM etl.alert") == [
        ("resolved", "Ann", "Closed by Ann: known since Monday", True)
    ]
    closed = stub.taken[1].json
    assert closed["title"] == "[closed] people 2026-01: run failed"
    assert closed["resolution"] == "Closed by Ann: known since Monday"
    assert closed["alerts"][0]["closed_by"] == "Ann"


def test_no_alert_is_closed_if_one_of_them_is_not_open(office: Office) -> None:
    office.fail(RunFailed())
    with pytest.raises(AlertError, match=r"Not open: 9\. Nothing was changed"):
        _close(office, 1, 9)
    assert _statuses(office) == ["open"]


def test_a_run_that_fails_again_or_a_check_that_fails_again_returns(office: Office) -> None:
    office.fail(RunFailed())
    office.check(CheckFailed(), one=False)
    _close(office, 1, 2)
    assert _statuses(office) == ["resolved", "resolved"]
    office.fail(RunFailed())
    office.check(CheckFailed(), one=False)
    assert _statuses(office) == ["resolved", "resolved", "open", "open"]
    assert office.query("SELECT count(*) FROM etl.alert WHERE cause_stands") == [(0,)]


def test_records_that_go_on_waiting_open_no_alert_until_they_are_gone_and_others_wait(office: Office) -> None:
    office.reject(3, office.now - timedelta(days=8))
    office.time(_AGEING)
    _close(office, 1)
    office.time(_AGEING)
    office.reject(3, office.now - timedelta(days=9))
    office.time(_AGEING)
    assert _statuses(office) == ["resolved"]
    office.connection.execute("UPDATE etl.rejected SET status = 'dismissed'")
    office.time(_AGEING)
    office.connection.execute("UPDATE etl.rejected SET status = 'open'")
    office.time(_AGEING)
    assert _statuses(office) == ["resolved", "open"]
    assert office.query("SELECT resolution FROM etl.alert WHERE id = 1") == [("Closed by Ann.",)]


def test_a_missing_delivery_returns_at_the_next_deadline(office: Office) -> None:
    rule = NoDelivery(by=time(8))
    yesterday = datetime.combine(office.now.date() - timedelta(days=1), time(9), UTC)
    office.time(rule, at=yesterday)
    _close(office, 1)
    office.time(rule, at=yesterday + timedelta(minutes=1))
    assert _statuses(office) == ["resolved"]
    office.time(rule, at=yesterday + timedelta(days=2))
    assert _statuses(office) == ["resolved", "open"]


def test_names_of_files_return_when_they_have_changed(office: Office) -> None:
    rule = FilesSetAside()
    office.list_files(rule, one="is odd")
    _close(office, 1)
    office.list_files(rule, one="is odd")
    assert _statuses(office) == ["resolved"]
    office.list_files(rule, one="is odd", two="is odd too")
    assert _statuses(office) == ["resolved", "open"]


def test_a_file_a_tick_and_a_location_that_stay_broken_open_no_alert(office: Office) -> None:
    for _ in range(2):
        alerts.update_for_files(office.connection, {"people": "It is broken."}, ["people"])
        alerts.update_for_tick(office.connection, "watch", {"run 1": "It failed"})
        alerts.update_for_locations(office.connection, {"main": "It is away."})
        if ids := [id_ for (id_,) in office.query("SELECT id FROM etl.alert WHERE status = 'open' ORDER BY id")]:
            _close(office, *ids)
    assert _statuses(office) == ["resolved"] * 3
    alerts.update_for_files(office.connection, {}, ["people"])
    alerts.update_for_tick(office.connection, "watch", {})
    alerts.update_for_locations(office.connection, {})
    alerts.update_for_files(office.connection, {"people": "It is broken."}, [])
    alerts.update_for_tick(office.connection, "watch", {"run 1": "It failed"})
    alerts.update_for_locations(office.connection, {"main": "It is away."})
    assert _statuses(office) == ["resolved"] * 3 + ["open"] * 3


def test_the_change_that_a_closed_alert_is_about_stays_open_and_opens_no_other(office: Office) -> None:
    change = Change("renamed", "temp", "celsius")
    office.drift([DriftOpened()], [change])
    _close(office, 1)
    office.drift([DriftOpened()], closed=[(change, "accepted")])
    assert _statuses(office) == ["resolved"]
    assert office.query("SELECT cause_stands, closed_by FROM etl.alert") == [(False, "Ann")]


def test_what_quiet_hours_held_back_is_not_sent_when_it_is_closed(office: Office) -> None:
    now = office.now
    quiet = Quiet(start=(now - timedelta(hours=1)).time(), end=(now + timedelta(hours=1)).time())
    rule = RunFailed(quiet=quiet)
    office.fail(rule)
    _close(office, 1, rules=(rule,))
    assert office.messages() == [("opened", "default", "dropped")]
