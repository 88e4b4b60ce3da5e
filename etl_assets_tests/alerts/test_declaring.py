"""Declared alert rules: which are valid, which hours are quiet, when deadlines are, which rules a source has."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets import (
    CheckFailed,
    Column,
    Csv,
    FileExtractor,
    NoDelivery,
    QuarantineAgeing,
    QuarantineGrowing,
    Quiet,
    RejectedCount,
    RejectedShare,
    RunFailed,
    Schema,
    SlowRun,
    Source,
    VolumeDrop,
)
from etl_assets.errors import DeclarationError
from etl_assets.model.alert import DEFAULT_ALERTS

if TYPE_CHECKING:
    from etl_assets.model.alert import AlertRule

_PARIS = Quiet(start=time(22), end=time(7), zone="Europe/Paris")
_ZONES = st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
_CLOCKS = st.times().map(lambda at: at.replace(microsecond=0))
_MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    "rule",
    [
        RunFailed(to=("Ops",)),
        RunFailed(to=("",)),
        RunFailed(quiet=Quiet(start=time(7), end=time(7))),
        RunFailed(quiet=Quiet(start=time(7), end=time(8), zone="Paris")),
        RunFailed(quiet=Quiet(start=time(7), end=time(8, tzinfo=UTC))),
        RejectedShare(above=1.5),
        RejectedCount(above=-1),
        VolumeDrop(by=2),
        SlowRun(factor=1.0),
        SlowRun(minimum_history=0),
        SlowRun(at_least=timedelta(minutes=-1)),
        NoDelivery(by=time(8), zone="../etc"),
        NoDelivery(by=time(8, tzinfo=UTC)),
        NoDelivery(by=time(8), days=("monday",)),
        NoDelivery(by=time(8), days=(29,)),
        QuarantineGrowing(by=0),
        QuarantineAgeing(older_than=timedelta()),
    ],
    ids=repr,
)
def test_an_invalid_rule_is_refused_when_the_source_is_declared(rule: AlertRule) -> None:
    with pytest.raises(DeclarationError, match="source 'people': alerts"):
        _people(alerts=(rule,))


def test_a_declared_rule_replaces_the_default_rule_of_its_class() -> None:
    assert _people().alert_rules == DEFAULT_ALERTS
    paged = RunFailed(severity="critical", to=("pager",))
    rules = _people(alerts=(paged, NoDelivery(by=time(8)))).alert_rules
    assert [rule for rule in rules if isinstance(rule, RunFailed)] == [paged]
    assert {type(rule) for rule in DEFAULT_ALERTS} | {NoDelivery} == {type(rule) for rule in rules}


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-01-10T20:59:59+00:00", "2026-01-10T20:59:59+00:00"),
        ("2026-01-10T21:00:00+00:00", "2026-01-11T06:00:00+00:00"),
        ("2026-01-11T05:59:59+00:00", "2026-01-11T06:00:00+00:00"),
        ("2026-01-11T06:00:00+00:00", "2026-01-11T06:00:00+00:00"),
        ("2026-03-28T22:00:00+00:00", "2026-03-29T05:00:00+00:00"),  # the night in which clocks go forward
    ],
)
def test_quiet_hours_end_by_the_clock_of_their_zone(at: str, until: str) -> None:
    assert _PARIS.until(datetime.fromisoformat(at), "error") == datetime.fromisoformat(until)
    assert _PARIS.until(datetime.fromisoformat(at), "critical") == datetime.fromisoformat(at)


@given(start=_CLOCKS, end=_CLOCKS, zone=_ZONES, at=_MOMENTS)
def test_a_notification_waits_no_longer_after_quiet_hours_ended(
    start: time, end: time, zone: str, at: datetime
) -> None:
    if start == end:
        return
    quiet = Quiet(start=start, end=end, zone=zone)
    until = quiet.until(at, "error")
    assert at <= until <= at + timedelta(hours=26)
    assert quiet.until(until, "error") - until <= timedelta(hours=1)  # an hour that a clock shows twice


@given(by=_CLOCKS, zone=_ZONES, at=_MOMENTS)
def test_daily_deadlines_are_a_day_apart_and_the_last_one_is_past(by: time, zone: str, at: datetime) -> None:
    last, before = NoDelivery(by=by, zone=zone).deadlines(at)
    assert before < last <= at < last + timedelta(hours=26)
    assert last.astimezone(ZoneInfo(zone)).date() - before.astimezone(ZoneInfo(zone)).date() == timedelta(days=1)


def test_deadlines_are_on_the_declared_days() -> None:
    at = datetime(2026, 3, 9, 12, tzinfo=UTC)  # a Monday
    workdays = NoDelivery(by=time(8), days=("mon", "tue", "wed", "thu", "fri"))
    assert [deadline.date() for deadline in workdays.deadlines(at)] == [date(2026, 3, 9), date(2026, 3, 6)]
    monthly = NoDelivery(by=time(8), days=(5,))
    assert [deadline.date() for deadline in monthly.deadlines(at)] == [date(2026, 3, 5), date(2026, 2, 5)]


def _people(alerts: tuple[AlertRule, ...] = ()) -> Source:
    return Source(
        name="people",
        description="People.",
        owner="team:people",
        extractor=FileExtractor(location="people.csv", format=Csv()),
        schema=Schema((Column("id", "integer", required=True),), ("id",)),
        alerts=alerts,
    )


def test_the_default_rules_are_valid() -> None:
    assert _people(alerts=DEFAULT_ALERTS).alert_rules == DEFAULT_ALERTS
    assert any(isinstance(rule, CheckFailed) for rule in DEFAULT_ALERTS)
