"""The usual numbers are those of most of the history, by weekday, without anomalous entries."""

from __future__ import annotations

from datetime import date, timedelta
from statistics import median
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.watch.history_statistics import Point, Scale, compare, compare_numbers, least_spread, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.watch.history_statistics import Usual

MONDAY = date(2024, 1, 1)
MINIMUM = 5


def far(value: float, usual: Sequence[float]) -> bool:
    return abs(value - median(usual)) > max(10, 6 * spread(sorted(usual)))


def limits(usual: Sequence[float]) -> tuple[float, float]:
    allowed = max(10, 6 * spread(sorted(usual)))
    return median(usual) - allowed, median(usual) + allowed


SCALE = Scale(far, limits)


def comparison(now: float, history: Sequence[float], first: date | None = None) -> Usual:
    """Compare a number with a history; if a first day is given, with one delivery a day."""
    points = [Point(value, first and first + timedelta(days=number)) for number, value in enumerate([*history, now])]
    return compare(points[-1], points[:-1], SCALE, MINIMUM)


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


def test_what_came_on_three_occasions_is_no_exception_any_more() -> None:
    assert anomalous([100] * 8 + [500, 100] * 8) == [8, 10, 12]


def test_what_is_further_from_the_usual_than_on_three_occasions_is_anomalous() -> None:
    assert anomalous([100] * 8 + [500, 100] * 4 + [900, 100]) == [8, 10, 12, 16]


def test_the_description_has_the_number_of_entries_left_out() -> None:
    assert comparison(100, [100] * 6 + [500]).compared == "6 deliveries before it, 1 anomalous one left out"
    assert comparison(100, [100] * 6 + [500] * 2).compared == "6 deliveries before it, 2 anomalous ones left out"


def test_an_entry_known_to_be_anomalous_is_left_out_even_of_a_short_history() -> None:
    history = [Point(100), Point(0, anomalous=True), *[Point(100)] * 3]
    assert compare(Point(100), history, SCALE, MINIMUM).compared.startswith("4 deliveries before it, 5 are needed")


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
    assert saturdays == [place for place in range(len(before), 1000) if place % 7 == 5][:3]


@pytest.mark.parametrize("gap", [7, 30])
def test_a_feed_that_is_not_daily_has_no_weekdays(gap: int) -> None:
    points = [Point(100, MONDAY + timedelta(days=gap * number)) for number in range(40)]
    assert compare(points[-1], points[:-1], SCALE, MINIMUM).compared == "39 deliveries before it"


def test_a_daily_feed_with_a_gap_is_daily() -> None:
    days = [MONDAY + timedelta(days=number) for number in range(60) if number not in range(20, 27)]
    points = [Point(WEEK[day.weekday()], day) for day in days]
    assert compare(points[-1], points[:-1], SCALE, MINIMUM).compared.endswith("days before it")


def began(history: Sequence[float], first: date | None = None) -> list[int | None]:
    """Return for each number of a history the place where its level began; None where it is not anomalous."""
    return [comparison(history[place], history[:place], first).began for place in range(len(history))]


def test_every_number_at_a_new_level_shows_the_change_that_the_first_brought() -> None:
    assert began([100, 101, 99] * 3 + [500, 505, 498])[9:] == [9, 9, 9]


def test_a_jump_away_from_a_new_level_is_another_change() -> None:
    assert began([100] * 8 + [500, 500, 900, 900])[8:] == [8, 8, 10, 10]


def test_a_number_that_returns_to_a_new_level_shows_its_change_again() -> None:
    assert began([100] * 8 + [500, 900, 500])[8:] == [8, 9, 8]


def test_a_change_of_level_of_a_daily_feed_is_one_change_on_all_weekdays() -> None:
    week = [100, 102, 99, 101, 100, 20, 10]
    history = week * 8 + [value + 300 for value in week[:3]]
    assert began(history, MONDAY)[56:] == [56, 56, 56]


def test_a_level_that_lasted_is_the_usual_one_and_the_place_where_it_began_is_known() -> None:
    found = comparison(500, [100] * 8 + [500] * 5)
    assert (found.anomalous, found.settled) == (False, 8)


def accepted(now: float, history: Sequence[float], baseline: int) -> Usual:
    return compare(Point(now), list(map(Point, history)), SCALE, MINIMUM, baseline=baseline)


def test_an_accepted_level_is_the_usual_one_at_once() -> None:
    history = [100, 101, 99] * 3 + [500]
    assert comparison(501, history).began == 9
    assert accepted(501, history, 9).began is None


@pytest.mark.parametrize("now", [100, 900])
def test_what_leaves_an_accepted_level_is_a_change_even_if_it_is_where_it_was_before(now: float) -> None:
    assert accepted(now, [100, 101, 99] * 3 + [500], 9).began == 10


def test_a_number_that_brought_an_accepted_level_is_not_anomalous_when_it_is_compared_again() -> None:
    assert accepted(500, [100] * 8, 8).began is None


def test_the_history_before_an_accepted_level_is_forgotten_once_there_are_enough_deliveries_at_it() -> None:
    assert len(accepted(500, [100] * 20 + [500] * MINIMUM, 20).values) == MINIMUM


def test_a_feed_that_grows_steadily_is_never_anomalous() -> None:
    assert anomalous([100 * 1.05**number for number in range(80)]) == []


def test_a_jump_of_a_feed_that_grows_is_anomalous() -> None:
    growing = [100.0 + 10 * number for number in range(40)]
    assert comparison(growing[-1] + 10, growing).began is None
    assert comparison(growing[-1] + 1000, growing).began == 40


def test_a_month_is_compared_with_the_same_month_of_the_year_before() -> None:
    year = [100, 100, 105, 103, 100, 98, 400, 420, 104, 100, 99, 700]
    months = [date(2018 + number // 12, number % 12 + 1, 1) for number in range(48)]
    points = [Point(year[number % 12] + number // 12, day) for number, day in enumerate(months)]
    found = [place for place in range(24, 48) if compare(points[place], points[:place], SCALE, MINIMUM).anomalous]
    assert found == []
    assert compare(Point(1500, months[-1]), points[:-1], SCALE, MINIMUM).anomalous


@given(st.lists(st.sampled_from([0.0, 100.0, 105.0, 130.0, 500.0, 900.0]), min_size=1, max_size=40), st.booleans())
def test_the_limits_are_those_that_decided(values: list[float], daily: bool) -> None:  # noqa: FBT001
    now = Point(values[-1], MONDAY + timedelta(days=len(values)) if daily else None)
    history = [Point(value, MONDAY + timedelta(days=day) if daily else None) for day, value in enumerate(values[:-1])]
    found = compare(now, history, SCALE, MINIMUM)
    if found.limits is not None and found.anomalous:
        assert not found.limits[0] <= now.value <= found.limits[1]


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40))
def test_the_least_spread_is_at_most_the_spread(values: list[float]) -> None:
    assert 0 <= least_spread(sorted(values)) <= spread(sorted(values))


@given(st.lists(st.sampled_from([100.0, 103.0, 109.0, 110.0, 130.0, 500.0]), max_size=40), st.booleans())
def test_steady_numbers_are_compared_as_others_are(values: list[float], daily: bool) -> None:  # noqa: FBT001
    points = [Point(value, MONDAY + timedelta(days=day) if daily else None) for day, value in enumerate([*values, 101])]
    assert numbers_compared(points, steady=10) == compare(points[-1], points[:-1], SCALE, MINIMUM)


def numbers_compared(points: Sequence[Point], steady: float = 0.0) -> Usual:
    numbers, days = [point.value for point in points[:-1]], [point.day for point in points[:-1]]
    return compare_numbers(points[-1], numbers, days, SCALE, MINIMUM, steady=steady)
