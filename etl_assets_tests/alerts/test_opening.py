"""Each rule opens an alert and resolves it when the reason is gone; both write notifications."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from etl_assets import (
    CheckFailed,
    DriftOpened,
    FilesSetAside,
    NoDelivery,
    QuarantineAgeing,
    QuarantineGrowing,
    Quiet,
    RejectedCount,
    RejectedShare,
    RunFailed,
    SlowRun,
)
from etl_assets.model.alert import DEFAULT_ALERTS
from etl_assets.model.check_result import CheckResult
from etl_assets.model.drift import Change
from etl_assets.postgres.alerts.alerts import acknowledge

if TYPE_CHECKING:
    from etl_assets_tests.alerts.office import Office

_AT = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday


def test_a_failed_run_opens_an_alert_and_the_next_successful_run_resolves_it(office: Office) -> None:
    office.fail(RunFailed())
    assert office.query("SELECT rule, status, severity, run_id, summary FROM etl.alert") == [
        ("run_failed", "open", "error", "run-1", "ShapeError: A column is missing. Nothing was written.")
    ]
    office.run(RunFailed(), run_id="run-2")
    assert office.query("SELECT status, resolution FROM etl.alert") == [("resolved", "Run run-2 succeeded.")]
    assert office.messages() == [("opened", "default", "pending"), ("resolved", "default", "pending")]


def test_a_crash_opens_an_alert_and_a_cancellation_changes_no_alert(office: Office) -> None:
    office.run(RunFailed(), status="cancelled")
    assert office.alerts() == []
    office.run(RunFailed(), status="crashed")
    office.run(RunFailed(), status="cancelled")
    assert office.alerts() == [("run_failed", "", "open")]


def test_a_run_that_fails_again_is_notified_once_and_counted(office: Office) -> None:
    for run in ("run-1", "run-2", "run-3"):
        office.fail(RunFailed(), run_id=run)
    assert office.query("SELECT times, seen_at > opened_at, run_id FROM etl.alert") == [(3, True, "run-3")]
    assert office.messages() == [("opened", "default", "pending")]


def test_a_failure_after_a_resolution_is_a_new_alert(office: Office) -> None:
    office.fail(RunFailed())
    office.run(RunFailed())
    office.fail(RunFailed())
    assert [status for _, _, status in office.alerts()] == ["resolved", "open"]


def test_each_partition_has_alerts_of_its_own(office: Office) -> None:
    office.fail(RunFailed(), partition="2026-01")
    office.fail(RunFailed(), partition="2026-02")
    office.run(RunFailed(), partition="2026-01")
    assert [status for _, _, status in office.alerts()] == ["resolved", "open"]


def test_a_successful_replay_does_not_resolve_the_failure_of_a_feed(office: Office) -> None:
    office.fail(RunFailed())
    office.fail(RunFailed(), replay=True)
    office.run(RunFailed(), replay=True)
    assert office.alerts() == [("run_failed", "", "open"), ("run_failed", "replay", "resolved")]


def test_no_alert_is_left_when_the_transaction_of_the_cause_is_rolled_back(office: Office) -> None:
    with office.connection.transaction(force_rollback=True):
        office.fail(RunFailed())
        assert office.alerts()
    assert office.alerts() == []
    assert office.messages() == []


def test_a_rule_that_is_off_or_has_no_channels_sends_no_notification(office: Office) -> None:
    office.fail(RunFailed(off=True))
    assert office.alerts() == []
    office.fail(RunFailed(to=()))
    assert office.alerts() == [("run_failed", "", "open")]
    assert office.messages() == []


def test_two_rules_of_a_class_make_one_alert_of_the_higher_severity_for_the_channels_of_both(
    office: Office,
) -> None:
    office.fail(RunFailed(severity="info", to=("log",)), RunFailed(severity="critical", to=("pager", "log")))
    assert office.query("SELECT severity, times FROM etl.alert") == [("critical", 1)]
    assert {channel for _, channel, _ in office.messages()} == {"pager", "log"}


def test_a_rejected_share_opens_above_its_threshold_and_is_resolved_below_it(office: Office) -> None:
    rules = RejectedShare(above=0.01), RejectedShare(above=0.1, severity="critical")
    office.read(*rules, records=100, rejected=1)
    assert office.alerts() == []
    office.read(*rules, records=100, rejected=2)
    office.read(*rules, records=100, rejected=11)
    assert office.query("SELECT subject, severity, times, summary FROM etl.alert ORDER BY id") == [
        ("above 0.01", "warning", 2, "11 of 100 records were rejected."),
        ("above 0.1", "critical", 1, "11 of 100 records were rejected."),
    ]
    office.read(*rules, records=100, rejected=5)
    assert [status for _, _, status in office.alerts()] == ["open", "resolved"]


def test_a_rejected_count_opens_above_its_threshold_and_is_resolved_below_it(office: Office) -> None:
    office.read(RejectedCount(above=10), records=100, rejected=11)
    assert office.alerts() == [("rejected_count", "above 10", "open")]
    office.read(RejectedCount(above=10), records=100, rejected=10)
    assert office.alerts() == [("rejected_count", "above 10", "resolved")]


def test_a_run_that_read_nothing_does_not_resolve_alerts_about_rejected_records(office: Office) -> None:
    office.read(RejectedCount(above=10), records=100, rejected=11)
    office.read(RejectedCount(above=10), records=0)
    assert office.alerts() == [("rejected_count", "above 10", "open")]


def test_the_next_evaluation_resolves_alerts_of_a_rule_that_is_not_declared_any_more(office: Office) -> None:
    office.read(RejectedCount(above=10), records=100, rejected=11)
    office.read(records=100, rejected=11)
    assert office.alerts() == [("rejected_count", "above 10", "resolved")]


def test_a_run_is_slow_compared_with_its_history_but_not_if_it_read_more_in_proportion(office: Office) -> None:
    rule = SlowRun(factor=3.0, minimum_history=5)
    office.earlier_runs(4, seconds=100, read=1000)
    office.read(rule, records=1000, seconds=500)
    assert office.alerts() == []
    office.earlier_runs(1, seconds=100, read=1000)
    office.read(rule, records=5000, seconds=500)
    assert office.alerts() == []
    office.read(rule, records=1000, seconds=500)
    assert office.query("SELECT status, summary FROM etl.alert") == [
        ("open", "The run took 500 s; 100 s are usual for this number of records.")
    ]
    office.read(rule, records=1000, seconds=299)
    assert [status for _, _, status in office.alerts()] == ["resolved"]


def test_a_run_that_is_only_seconds_longer_is_not_slow(office: Office) -> None:
    office.earlier_runs(5, seconds=1, read=10)
    office.read(SlowRun(), records=10, seconds=50)
    assert office.alerts() == []


def test_a_failed_check_opens_an_alert_although_the_run_succeeds(office: Office) -> None:
    office.check(CheckFailed(), distribution=False, audit=True)
    office.run(RunFailed())
    assert office.alerts() == [("check_failed", "distribution", "open")]
    office.check(CheckFailed(), audit=True)
    assert office.alerts() == [("check_failed", "distribution", "open")]
    office.check(CheckFailed(), distribution=True)
    assert office.alerts() == [("check_failed", "distribution", "resolved")]


def test_records_that_are_rejected_by_consent_open_no_alert_by_default(office: Office) -> None:
    maximum, own = (CheckResult(name, passed=False, by_consent=True) for name in ("age__maximum", "own"))
    office.check(*DEFAULT_ALERTS, age__maximum=maximum, own=own)
    office.read(*DEFAULT_ALERTS, records=100, rejected=99)
    office.time(*DEFAULT_ALERTS)
    assert office.alerts() == []


def test_a_broken_rule_without_consent_opens_an_alert(office: Office) -> None:
    rule = CheckResult("age__maximum", passed=False, by_consent=False)
    office.check(*DEFAULT_ALERTS, age__maximum=rule)
    assert office.alerts() == [("check_failed", "age__maximum", "open")]


def test_a_named_check_opens_an_alert_whatever_it_is(office: Office) -> None:
    office.check(CheckFailed(names=("age__maximum",)), age__maximum=False, distribution=False)
    assert office.alerts() == [("check_failed", "age__maximum", "open")]


def test_a_blocking_check_opens_no_alert_of_its_own_unless_the_rule_includes_it(office: Office) -> None:
    shape = CheckResult("shape", passed=False, blocking=True, description="No column 'id'.")
    office.check(CheckFailed(), shape=shape)
    assert office.alerts() == []
    office.check(CheckFailed(blocking=True), shape=shape)
    assert office.alerts() == [("check_failed", "shape", "open")]


def test_drift_opens_an_alert_for_each_change_and_is_resolved_when_it_is_closed(office: Office) -> None:
    renamed = Change("renamed", "age", "years")
    added = Change("added", "height")
    office.drift([DriftOpened()], [renamed, added], partition="2026-01")
    assert office.alerts() == [
        ("drift_opened", "renamed age to years", "open"),
        ("drift_opened", "added height", "open"),
    ]
    office.drift([DriftOpened()], closed=[(renamed, "accepted")], partition="2026-02")
    assert office.query("SELECT subject, resolution FROM etl.alert WHERE status = 'resolved'") == [
        ("renamed age to years", "The drift is accepted by Ann.")
    ]


def test_an_alert_about_drift_says_first_what_changed_and_how_to_see_it(office: Office) -> None:
    office.drift([DriftOpened()], [Change("renamed", "age", "years"), Change("reordered", "")], partition="2026-01")
    assert office.query("SELECT summary, command FROM etl.alert ORDER BY id") == [
        (
            "'age' was renamed to 'years'. First seen in partition 2026-01. No delivery is refused because of it.",
            "etl-assets drift show 1",
        ),
        (
            "The columns were reordered. First seen in partition 2026-01. No delivery is refused because of it.",
            "etl-assets drift show 2",
        ),
    ]


def test_only_the_declared_kinds_of_drift_open_alerts(office: Office) -> None:
    office.drift([DriftOpened(kinds=("removed",))], [Change("added", "height"), Change("removed", "age")])
    assert office.alerts() == [("drift_opened", "removed age", "open")]


def test_an_alert_does_not_contain_new_members_of_a_category(office: Office) -> None:
    office.drift([DriftOpened()], [Change("category", "name", detail={"new": ["Ada"]}, proposal="allowed=('Ada',)")])
    assert "Ada" not in str(office.query("SELECT * FROM etl.alert"))


def test_a_missed_deadline_opens_an_alert_and_the_delivery_resolves_it(office: Office) -> None:
    rule = NoDelivery(by=time(8), zone="Europe/Paris")
    office.delivery(at=_AT - timedelta(days=1))
    office.time(rule, at=datetime(2026, 3, 4, 6, 59, tzinfo=UTC))
    assert office.alerts() == []
    office.time(rule, at=datetime(2026, 3, 5, 7, 0, tzinfo=UTC))
    office.time(rule, at=datetime(2026, 3, 5, 7, 1, tzinfo=UTC))
    assert office.query("SELECT subject, times, summary FROM etl.alert") == [
        (
            "by 08:00 Europe/Paris",
            1,
            (
                "No new delivery was taken by 2026-03-05 08:00 Europe/Paris. "
                "The newest one was fetched at 2026-03-03 12:00 UTC."
            ),
        )
    ]
    office.delivery(at=datetime(2026, 3, 5, 7, 30, tzinfo=UTC), status="refused")
    office.time(rule, at=datetime(2026, 3, 5, 7, 31, tzinfo=UTC))
    assert [status for _, _, status in office.alerts()] == ["open"]
    office.delivery(at=datetime(2026, 3, 5, 7, 40, tzinfo=UTC))
    office.time(rule, at=datetime(2026, 3, 5, 7, 41, tzinfo=UTC))
    assert [status for _, _, status in office.alerts()] == ["resolved"]


def test_a_growing_quarantine_opens_an_alert_until_the_records_are_closed(office: Office) -> None:
    rule = QuarantineGrowing(by=10, within=timedelta(hours=1))
    office.reject(20, office.now - timedelta(hours=2))
    office.reject(9, office.now)
    office.time(rule)
    assert office.alerts() == []
    office.reject(1, office.now, "parked")
    office.time(rule)
    assert office.alerts() == [("quarantine_growing", "by 10 within 1 hour", "open")]
    office.query("UPDATE etl.rejected SET status = 'dismissed' RETURNING 1")
    office.time(rule)
    assert office.alerts() == [("quarantine_growing", "by 10 within 1 hour", "resolved")]


def test_an_ageing_quarantine_opens_an_alert_until_it_is_emptied(office: Office) -> None:
    office.reject(3, office.now - timedelta(days=8))
    office.time(QuarantineAgeing())
    office.time(QuarantineAgeing())
    assert office.query("SELECT subject, times, summary FROM etl.alert") == [
        ("for more than 7 days", 1, "3 records have waited for more than 7 days.")
    ]
    office.query("UPDATE etl.rejected SET status = 'replayed' RETURNING 1")
    office.time(QuarantineAgeing())
    assert [status for _, _, status in office.alerts()] == ["resolved"]


def test_names_that_are_set_aside_are_one_alert_which_counts_only_changes(office: Office) -> None:
    for _ in range(3):
        office.list_files(FilesSetAside(), a="is not UTF-8")
    office.list_files(FilesSetAside(), a="is not UTF-8", b="is empty")
    assert office.query("SELECT times, status, remedy LIKE '%%rename%%' FROM etl.alert") == [(2, "open", True)]
    office.list_files(FilesSetAside())
    office.list_files(FilesSetAside())
    assert office.alerts() == [("files_set_aside", "", "resolved")]
    assert [event for event, _, _ in office.messages()] == ["opened", "resolved"]


def test_of_many_names_that_are_set_aside_the_first_are_listed(office: Office) -> None:
    office.list_files(FilesSetAside(), **{f"n{number:02}": "is empty" for number in range(30)})
    ((summary,),) = office.query("SELECT summary FROM etl.alert")
    assert summary.startswith("Files that are not loaded, because of their names: 30. 'n00' is empty; 'n01'")
    assert summary.endswith("'n19' is empty; and 10 more.")


def test_names_are_set_aside_without_an_alert_if_its_rule_is_off(office: Office) -> None:
    office.list_files(FilesSetAside(off=True), a="is empty")
    assert office.alerts() == []


def _quiet_now(office: Office) -> Quiet:
    hour = timedelta(hours=1)
    return Quiet(start=(office.now - hour).time(), end=(office.now + hour).time())


def test_notifications_wait_until_quiet_hours_end_unless_they_are_critical(office: Office) -> None:
    quiet = _quiet_now(office)
    office.fail(RunFailed(quiet=quiet))
    office.fail(RunFailed(quiet=quiet, severity="critical"), partition="2026-01")
    waits = office.query("SELECT next_try_at - clock_timestamp() FROM etl.notification ORDER BY id")
    assert timedelta(minutes=58) < waits[0][0] <= timedelta(hours=1)
    assert waits[1][0] <= timedelta()


def test_an_alert_that_is_resolved_within_quiet_hours_sends_no_notification(office: Office) -> None:
    rule = RunFailed(quiet=_quiet_now(office))
    office.fail(rule)
    office.run(rule)
    assert office.messages() == [("opened", "default", "dropped")]
    assert office.alerts() == [("run_failed", "", "resolved")]


def test_a_resolution_waits_for_the_quiet_hours_of_no_other_rule_of_its_class(office: Office) -> None:
    rules = CheckFailed(names=("a",)), CheckFailed(names=("b",), quiet=_quiet_now(office))
    office.check(*rules, a=False)
    office.check(*rules, a=True)
    assert office.messages() == [("opened", "default", "pending"), ("resolved", "default", "pending")]
    assert office.query("SELECT max(next_try_at) <= clock_timestamp() FROM etl.notification") == [(True,)]


def test_an_acknowledged_alert_shows_by_whom_and_is_still_resolved(office: Office) -> None:
    office.fail(RunFailed())
    acknowledge(office.connection, [1], "Ann", "asked the publisher")
    office.fail(RunFailed())
    assert office.query("SELECT status, acknowledged_by, note, times FROM etl.alert") == [
        ("open", "Ann", "asked the publisher", 2)
    ]
    office.run(RunFailed())
    assert office.messages() == [("opened", "default", "pending"), ("resolved", "default", "pending")]
