"""The usual numbers are those of most of the history, by weekday, without anomalous entries."""

from __future__ import annotations

from datetime import date, timedelta
from statistics import median
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.watch.history_statistics import Point, compare, compare_numbers, least_spread, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.watch.history_statistics import Usual

MONDAY = date(2024, 1, 1)
MINIMUM = 5


def far(value: float, usual: Sequence[float]) -> bool:
    return abs(value - median(usual)) > max(10, 6 * spread(usual))


def comparison(now: float, history: Sequence[float], first: date | None = None) -> Usual:
    """Compare a number with a history; if a first day is given, with one delivery a day."""
    points = [Point(value, first and first + timedelta(days=number)) for number, value in enumerate([*history, now])]
    return compare(points[-1], points[:-1], far, MINIMUM)


def anomalous(history: Sequence[float], first: date | None = None) -> list[int]:
    """Return the places in a history whose numbers are anomalous, compared with the numbers before them."""
    return [place for place in range(len(history)) if comparison(history[place], history[:place], first).anomalous]


@given(st.lists(st.floats(-1e9, 1e9), max_size=MINIMUM - 1), st.floats(-1e9, 1e9))
def test_nothing_is_anomalous_without_a_history(history: list[float], now: float) -> None:
    found = comparison(now, history)
    assert (found.anomalous, found.values) == (False, ())
    assert f"{MINIMUM} are needed" in found.compared


@given(st.floats(-1e9, 1e9), st.permutations(range(10)))
def test_one_outlier_in_the_history_changes_nothing(outlier: float, order: list[int]) -> None:
    history = [100.0 + number for number in order]
    assert not comparison(104, [*history[:7], outlier, *history[7:]]).anomalous
    assert comparison(1000, [*history[:7], outlier, *history[7:]]).anomalous


def test_a_fault_that_comes_twice_is_found_twice() -> None:
    assert anomalous([100] * 8 + [500, 500, 500] + [100] * 3) == [8, 9, 10]


def test_anomalous_numbers_become_usual_when_as_many_in_a_row_as_a_history_needs_have_come() -> None:
    assert anomalous([100] * 8 + [500] * 12) == [8, 9, 10, 11, 12]
    assert anomalous([100] * 8 + [500] * 12 + [100]) == [8, 9, 10, 11, 12, 20]


def test_anomalous_numbers_that_do_not_follow_each_other_never_become_usual() -> None:
    assert anomalous([100] * 8 + [500, 100] * 8) == list(range(8, 24, 2))


def test_the_description_has_the_number_of_entries_left_out() -> None:
    assert comparison(100, [100] * 6 + [500]).compared == "6 deliveries before it, 1 anomalous one left out"
    assert comparison(100, [100] * 6 + [500] * 2).compared == "6 deliveries before it, 2 anomalous ones left out"


def test_an_entry_known_to_be_anomalous_is_left_out_even_of_a_short_history() -> None:
    history = [Point(100), Point(0, anomalous=True), *[Point(100)] * 3]
    assert compare(Point(100), history, far, MINIMUM).compared.startswith("4 deliveries before it, 5 are needed")


WEEK = [100, 102, 99, 101, 100, 20, 10]


def test_the_weekends_of_a_daily_feed_are_not_anomalous() -> None:
    assert anomalous(WEEK * 10, MONDAY) == []


def test_weekends_are_anomalous_if_the_days_are_unknown() -> None:
    assert 5 in anomalous(WEEK * 10)


def test_a_daily_feed_is_compared_by_weekday_once_there_are_enough_deliveries() -> None:
    sixth_saturday = comparison(20, (WEEK * 6)[:-2], MONDAY)
    assert (sixth_saturday.values, sixth_saturday.compared) == ((20.0,) * 5, "5 Saturdays before it")
    assert comparison(100, (WEEK * 6)[:-2], MONDAY).anomalous, "as many on a Saturday as on other days"


def test_a_daily_feed_is_compared_with_all_days_until_there_are_enough_of_a_weekday() -> None:
    third_saturday = comparison(20, (WEEK * 3)[:-2], MONDAY)
    assert third_saturday.compared == "19 deliveries before it"
    assert not third_saturday.anomalous
    assert comparison(400, (WEEK * 3)[:-2], MONDAY).anomalous


def test_a_daily_feed_is_quiet_until_it_has_covered_a_week() -> None:
    assert comparison(20, WEEK[:5], MONDAY).compared == "5 deliveries before it, 7 are needed"


def test_weekends_that_change_for_good_are_found_a_few_times() -> None:
    before, after = WEEK * 8, [*WEEK[:5], 100, 100]
    places = anomalous(before + after * 8, MONDAY)
    saturdays = [place for place in places if (MONDAY + timedelta(days=place)).weekday() == 5]
    assert saturdays == [place for place in range(len(before), 1000) if place % 7 == 5][:MINIMUM]


@pytest.mark.parametrize("gap", [7, 30])
def test_a_feed_that_is_not_daily_has_no_weekdays(gap: int) -> None:
    points = [Point(100, MONDAY + timedelta(days=gap * number)) for number in range(40)]
    assert compare(points[-1], points[:-1], far, MINIMUM).compared == "39 deliveries before it"


def test_a_daily_feed_with_a_gap_is_daily() -> None:
    days = [MONDAY + timedelta(days=number) for number in range(60) if number not in range(20, 27)]
    points = [Point(WEEK[day.weekday()], day) for day in days]
    assert compare(points[-1], points[:-1], far, MINIMUM).compared.endswith("days before it")


def _expected(now: Point, history: Sequence[Point], *, daily: bool) -> tuple[bool, list[Point]]:
    """Compute plainly what `compare` finds: whether a number is anomalous, and the history that counts."""
    entries: list[tuple[Point, bool]] = []
    for point in history:
        entries.append((point, point.anomalous or _expected_of(point, entries, daily=daily)[0]))
        if not entries[-1][1]:
            continue
        entries = _accepted(entries, [point for point, _ in entries])
        if daily:
            weekday = point.day and point.day.weekday()
            entries = _accepted(
                entries, [other for other, _ in entries if other.day and other.day.weekday() == weekday]
            )
    return _expected_of(now, entries, daily=daily)


def _expected_of(now: Point, entries: Sequence[tuple[Point, bool]], *, daily: bool) -> tuple[bool, list[Point]]:
    usual = [point for point, anomalous in entries if not anomalous]
    same_day = [
        point for point in usual if daily and now.day and point.day and now.day.weekday() == point.day.weekday()
    ]
    if len(same_day) >= MINIMUM:
        return far(now.value, [point.value for point in same_day]), same_day
    if len(usual) < (7 if daily else MINIMUM):
        return False, []
    values = [point.value for point in usual]
    anomalous = far(now.value, values)
    if anomalous and daily:
        anomalous = far(now.value, [min(max(now.value, min(values)), max(values))])
    return anomalous, usual


def _accepted(entries: list[tuple[Point, bool]], season: Sequence[Point]) -> list[tuple[Point, bool]]:
    newest = season[-MINIMUM:]
    if len(newest) < MINIMUM or not all(anomalous for point, anomalous in entries if point in newest):
        return entries
    kept = [(point, anomalous and point not in newest) for point, anomalous in entries]
    return [entry for entry in kept if entry[0] not in season[:-MINIMUM]]


@given(st.lists(st.sampled_from([0.0, 100.0, 105.0, 130.0, 131.0, 500.0]), max_size=50), st.booleans())
def test_random_histories_are_compared_as_written(values: list[float], daily: bool) -> None:  # noqa: FBT001
    days = [MONDAY + timedelta(days=number) for number in range(len(values) + 1)]
    points = [
        Point(value + place / 1000, day) for place, (value, day) in enumerate(zip([*values, 130.0], days, strict=True))
    ]
    if not daily:
        points = [Point(point.value) for point in points]
    found = compare(points[-1], points[:-1], far, MINIMUM)
    anomalous, usual = _expected(points[-1], points[:-1], daily=daily and len(points) > 2)
    assert (found.anomalous, found.values) == (anomalous, tuple(sorted(point.value for point in usual)))
    assert numbers_compared(points) == found


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40))
def test_the_least_spread_is_at_most_the_spread(values: list[float]) -> None:
    assert 0 <= least_spread(sorted(values)) <= spread(values)


@given(st.lists(st.sampled_from([100.0, 103.0, 109.0, 110.0, 130.0, 500.0]), max_size=40), st.booleans())
def test_steady_numbers_are_compared_as_others_are(values: list[float], daily: bool) -> None:  # noqa: FBT001
    points = [Point(value, MONDAY + timedelta(days=day) if daily else None) for day, value in enumerate([*values, 101])]
    assert numbers_compared(points, steady=10) == compare(points[-1], points[:-1], far, MINIMUM)


def numbers_compared(points: Sequence[Point], steady: float = 0.0) -> Usual:
    numbers, days = [point.value for point in points[:-1]], [point.day for point in points[:-1]]
    return compare_numbers(points[-1], numbers, days, far, MINIMUM, steady=steady)
