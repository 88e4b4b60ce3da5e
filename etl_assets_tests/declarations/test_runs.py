"""Mistakes in what decides when a source runs, on which partitions, and whom it alerts."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from etl_assets_tests.declarations.mistakes import E, assert_refused, located, source, tabled

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.declarations.mistakes import Mistake

DAY: Any = date(2024, 1, 1)


def partitions(declare: Callable[[], object]) -> Callable[[], object]:
    """Return a function that declares the source ``feed`` with partitions."""
    return lambda: located("{key}.csv", partitions=declare())


def trigger(declare: Callable[[], object], **more: Any) -> Callable[[], object]:
    """Return a function that declares the source ``feed`` with a trigger."""
    return lambda: source(trigger=declare(), **more)


def alert(declare: Callable[[], object]) -> Callable[[], object]:
    """Return a function that declares the source ``feed`` with an alert rule."""
    return lambda: source(alerts=(declare(),))


def monitor(**arguments: Any) -> Callable[[], object]:
    """Return a function that declares the source ``feed`` with monitors."""
    return lambda: source(monitors=E.Monitors(**arguments))


PARTITIONS: dict[str, Mistake] = {
    "days that end before they start": (partitions(lambda: E.Daily(DAY, end=DAY)), "partitions", "before end"),
    "days that start with a text": (lambda: E.Daily(start="2024-01-01"), "start", "Write a date"),
    "days that start with a moment": (lambda: E.Daily(datetime(2024, 1, 1, tzinfo=UTC)), "start", "Write a date"),
    "days without a start": (E.Daily, "start", "Write start=…: a date"),
    "days that never come": (partitions(lambda: E.Daily(date(9999, 1, 1))), "partitions", "Write an earlier year"),
    "days of a number": (lambda: E.Daily(DAY, column=1), "column", "Write a text or None"),
    "weeks that start on a Monday": (partitions(lambda: E.Weekly(DAY)), "partitions", "start on a Sunday"),
    "months that start on a second": (partitions(lambda: E.Monthly(date(2024, 1, 2))), "partitions", "start on day 1"),
    "no names": (partitions(lambda: E.Static(())), "partitions", "Name each partition once"),
    "a name twice": (partitions(lambda: E.Static(("a", "a"))), "partitions", "Name each partition once"),
    "a name without a tuple": (lambda: E.Static("abc"), "names", "Write ('abc',)"),
    "a name with a NUL": (partitions(lambda: E.Static(("a\0b",))), "partitions", "Leave out"),
    "a name with a tab": (partitions(lambda: E.Static(("a\tb",))), "partitions", "Leave out"),
    "an empty name": (partitions(lambda: E.Static(("a", ""))), "partitions", "Leave out"),
    "a name that is a range": (partitions(lambda: E.Static(("a...b",))), "partitions", "Leave out '...'"),
    "files ranked by a text": (lambda: E.Files(rank="name"), "rank", "Write a function or None"),
    "files with a value that is a text": (lambda: E.Files(column="a", value="x"), "value", "Write a function or None"),
}
TRIGGERS: dict[str, Mistake] = {
    "three fields": (trigger(lambda: E.Cron("* * *")), "trigger", "Write minute, hour, day of the month"),
    "no fields": (trigger(lambda: E.Cron("")), "trigger", "Write minute, hour"),
    "a minute that there is not": (trigger(lambda: E.Cron("61 0 * * *")), "trigger", "Write minute, hour"),
    "an hour that there is not": (trigger(lambda: E.Cron("0 24 * * *")), "trigger", "Write minute, hour"),
    "a step of 0": (trigger(lambda: E.Cron("*/0 * * * *")), "trigger", "Write minute, hour"),
    "a step beyond the field": (trigger(lambda: E.Cron("*/90 * * * *")), "trigger", "Write minute, hour"),
    "a month in German": (trigger(lambda: E.Cron("0 0 1 mai *")), "trigger", "Write minute, hour"),
    "a day that no month has": (trigger(lambda: E.Cron("0 0 32 * *")), "trigger", "Write minute, hour"),
    "a day that its month does not have": (trigger(lambda: E.Cron("0 0 31 4 *")), "trigger", "Write minute, hour"),
    "an empty entry": (trigger(lambda: E.Cron("0,,1 0 * * *")), "trigger", "Write minute, hour"),
    "words": (trigger(lambda: E.Cron("every day at noon please")), "trigger", "Write minute, hour"),
    "a nickname": (trigger(lambda: E.Cron("@daily")), "trigger", "Write minute, hour"),
    "fields as numbers": (lambda: E.Cron(30, 4), "expression", "Write a text"),
    "a zone that there is not": (trigger(lambda: E.Cron("0 0 * * *", zone="X")), "trigger", "'Europe/Paris'"),
    "an offset as the zone": (lambda: E.Cron("0 0 * * *", zone=UTC), "zone", "Write a text"),
    "polls every second": (trigger(lambda: E.OnChange(timedelta(seconds=1))), "trigger", "timedelta(seconds=30)"),
    "polls every number": (lambda: E.OnChange(every=5), "every", "Write a timedelta"),
    "polls without an interval": (E.OnChange, "every", "Write every=…: a timedelta"),
    "no attempt": (trigger(lambda: E.OnChange(timedelta(1), attempts=0)), "trigger", "Write attempts=1"),
    "after itself": (trigger(lambda: E.After("core/feed")), "trigger", "Name an asset of another source"),
    "after its own landing": (trigger(lambda: E.After("core/a", "landing/feed")), "trigger", "of another source"),
    "after nothing": (trigger(E.After), "trigger", "Write After('core/airlines')"),
    "after an empty key": (trigger(lambda: E.After("")), "trigger", "Write After('core/airlines')"),
    "after half a key": (trigger(lambda: E.After("core/")), "trigger", "Write After('core/airlines')"),
    "after several in a tuple": (lambda: E.After(("core/a", "core/b")), "assets", "Write a text"),
    "after a source": (lambda: E.After(source()), "assets", "Write a text"),
    "files after an asset": (
        lambda: located("*.csv", partitions=E.Files(), trigger=E.After("core/a")),
        "trigger",
        "Write OnChange",
    ),
}
ALERTS: dict[str, Mistake] = {
    "an unknown severity": (lambda: E.RunFailed(severity="bad"), "severity", "Write 'info', 'warning'"),
    "a channel without a tuple": (lambda: E.RunFailed(to="ops"), "to", "Write ('ops',)"),
    "a channel with capitals": (alert(lambda: E.RunFailed(to=("Ops",))), "alerts", "Use lower-case letters"),
    "off by a word": (lambda: E.RunFailed(off="yes"), "off", "Write True or False"),
    "a text as the quiet hours": (lambda: E.RunFailed(quiet="22-7"), "quiet", "Write a Quiet or None"),
    "quiet hours of numbers": (lambda: E.Quiet(start=22, end=7), "start", "Write a time"),
    "quiet hours without an end": (lambda: E.Quiet(start=time(22)), "end", "Write end=…: a time"),
    "quiet hours but for a text": (
        lambda: E.Quiet(start=time(22), end=time(7), but="critical"),
        "but",
        "Write ('critical',)",
    ),
    "quiet hours but for nonsense": (
        lambda: E.Quiet(start=time(22), end=time(7), but=("bad",)),
        "but",
        "Write a tuple of 'info', 'warning'",
    ),
    "quiet hours with an offset": (
        alert(lambda: E.RunFailed(quiet=E.Quiet(start=time(22, tzinfo=UTC), end=time(7)))),
        "alerts",
        "Write its zone as zone=",
    ),
    "a share that is a percentage": (alert(lambda: E.RejectedShare(above=5)), "alerts, RejectedShare", "Write a share"),
    "a share that is NaN": (lambda: E.RejectedShare(above=float("nan")), "above", "Write a number"),
    "no share": (E.RejectedShare, "above", "Write above=…: a number"),
    "half a record": (lambda: E.RejectedCount(above=0.5), "above", "Write an integer"),
    "a deadline as a text": (lambda: E.NoDelivery(by="08:00"), "by", "Write a time"),
    "a deadline with an offset": (alert(lambda: E.NoDelivery(by=time(8, tzinfo=UTC))), "alerts", "zone="),
    "a deadline in no zone": (alert(lambda: E.NoDelivery(by=time(8), zone="X")), "alerts", "'Europe/Paris'"),
    "a deadline on a day in words": (
        alert(lambda: E.NoDelivery(by=time(8), days=("monday",))),
        "alerts, NoDelivery",
        "Write 'mon' to 'sun'",
    ),
    "a day without a tuple": (lambda: E.NoDelivery(by=time(8), days="mon"), "days", "Write ('mon',)"),
    "an unknown kind of drift": (lambda: E.DriftOpened(kinds=("dropped",)), "kinds", "Write a tuple of 'added'"),
    "a check without a tuple": (lambda: E.CheckFailed(names="shape"), "names", "Write ('shape',)"),
    "a day as a number": (lambda: E.QuarantineAgeing(older_than=7), "older_than", "Write a timedelta"),
    "a time below 0": (alert(lambda: E.SlowRun(at_least=timedelta(-1))), "alerts, SlowRun", "0 or more"),
    "a misspelt severity": (lambda: E.RunFailed(severty="error"), "severty", "Write severity"),
    "a severity without a name": (lambda: E.RunFailed("error"), "arguments", "Write severity=…"),
}
MONITORS: dict[str, Mistake] = {
    "a share as the volume": (monitor(volume=0.5), "volume", "Write a Volume or None"),
    "the class of the volume": (monitor(volume=E.Volume), "volume", "Write an instance of it"),
    "deviations of 0": (lambda: source(monitors=E.Monitors(volume=E.Volume(deviations=0))), "monitors.volume", "above"),
    "deviations that are NaN": (lambda: E.Volume(deviations=float("nan")), "deviations", "Write a number"),
    "records below 0": (monitor(volume=E.Volume(at_least=-1)), "monitors.volume", "Write 0 or more"),
    "limits that exclude all": (monitor(volume=E.Volume(at_least=2, at_most=1)), "monitors.volume", "Exchange them"),
    "half a record": (lambda: E.Volume(at_most=0.5), "at_most", "Write an integer or None"),
    "a history of 0": (monitor(distribution=E.Distribution(history=0)), "monitors.distribution", "Keep 1 <="),
    "a tolerance below 0": (monitor(distribution=E.Distribution(tolerance=-1)), "monitors.distribution", "0.2"),
    "columns as a tuple": (monitor(columns=("k",)), "columns", "Write a mapping of texts to a Distribution or None"),
    "an unknown column": (monitor(columns={"z": None}), "monitors", "Use declared columns"),
    "the volume of a column": (
        monitor(columns={"k": E.Volume()}),
        "columns",
        "Write a mapping of texts to a Distribution or None",
    ),
}


@tabled(PARTITIONS)
def test_a_mistake_in_partitions_is_refused_with_its_field_and_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)


@tabled(TRIGGERS)
def test_a_mistake_in_a_trigger_is_refused_with_its_field_and_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)


@tabled(ALERTS)
def test_a_mistake_in_an_alert_rule_is_refused_with_its_field_and_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)


@tabled(MONITORS)
def test_a_mistake_in_monitors_is_refused_with_its_field_and_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)


def test_partitions_and_triggers_with_every_argument_are_accepted() -> None:
    for declared in (E.Daily(DAY), E.Weekly(date(2024, 1, 7), date(2025, 1, 5)), E.Monthly(start=DAY, end=None)):
        located("{key}.csv", partitions=declared, trigger=E.Cron("*/15 6-22 * jan,dec mon-fri", zone="Europe/Paris"))
    located("{key}.csv", partitions=E.Static(("north", "süd west")), trigger=E.OnChange(timedelta(minutes=5), 1))
    located("*.csv", partitions=E.Files(rank=str.lower), trigger=E.OnChange(every=timedelta(1), attempts=9))
    source(trigger=E.After("core/a", "marts/deep/b"))


def test_alert_rules_and_monitors_with_every_argument_are_accepted() -> None:
    quiet = E.Quiet(start=time(22), end=time(7), zone="Asia/Kolkata", but=("critical", "error"))
    rules = (
        E.RunFailed(severity="critical", to=("ops", "pager"), quiet=quiet, off=False),
        E.RejectedShare(above=0),
        E.RejectedCount(above=10),
        E.VolumeDrop(by=0.5),
        E.SlowRun(factor=2, minimum_history=3, at_least=timedelta()),
        E.NoDelivery(by=time(8), zone="UTC", days=("mon", 1)),
        E.DriftOpened(kinds=("added", "retyped")),
        E.CheckFailed(names=("shape",), blocking=True),
        E.QuarantineGrowing(by=5, within=timedelta(hours=1)),
        E.QuarantineAgeing(older_than=timedelta(days=1), to=()),
    )
    volume = E.Volume(deviations=6, tolerance=0, history=10, minimum_history=2, at_least=0, at_most=None)
    monitors = E.Monitors(volume=volume, distribution=None, columns={"k": E.Distribution(deviations=3.5)})
    assert source(alerts=rules, monitors=monitors).alerts == rules
