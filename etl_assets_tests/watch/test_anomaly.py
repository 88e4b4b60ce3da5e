"""Numbers of a delivery are anomalous where a person would say so, and are described without contents."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.model.monitors import Distribution, Monitors, Volume
from etl_assets.model.profile import RANKS, ColumnProfile
from etl_assets.schema import Column, Schema
from etl_assets.watch.anomaly import Profiled, check_distribution, check_volume
from etl_assets.watch.history_statistics import Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.comparison import Comparison

COLUMN = Column("delay", "float")
SCHEMA = Schema(
    columns=(
        Column("id", "integer", required=True),
        COLUMN,
        Column("name", "text"),
        Column("late", "boolean"),
        Column("at", "timestamp"),
        Column("salary", "integer", sensitive=True),
        Column("hour", "integer"),
    ),
    key=("id",),
)


def volume(now: float, history: Sequence[float], **thresholds: Any) -> bool:
    """Whether a number of records passes."""
    return check_volume(Point(now), [Point(past) for past in history], Volume(**thresholds)).passed


@pytest.mark.parametrize("now", [76, 100, 124])
def test_within_the_tolerance_nothing_is_anomalous(now: int) -> None:
    assert volume(now * 100, [10_000] * 20)


@pytest.mark.parametrize("now", [0, 1, 50, 74, 126, 200, 100_000])
def test_a_number_beyond_the_tolerance_of_a_steady_feed_is_anomalous(now: int) -> None:
    assert not volume(now * 100, [10_000] * 20)


def test_a_feed_that_varied_before_may_continue_to_vary() -> None:
    history = [700, 1500, 900, 1200, 400, 1100, 1000, 1300, 600]
    assert volume(2500, history)
    assert volume(250, history)
    assert not volume(9000, history)


def test_a_delivery_that_lacks_nearly_all_records_is_anomalous_even_if_the_feed_varies_much() -> None:
    assert not volume(5, [700, 1500, 900, 1200, 400, 1100, 1000, 1300, 600])


def test_a_difference_of_a_few_records_is_not_anomalous() -> None:
    assert volume(3, [1, 2, 1, 2, 1, 1, 1])
    assert not volume(30, [1, 2, 1, 2, 1, 1, 1])


def test_a_feed_that_grew_before_may_continue_to_grow() -> None:
    history = [1000 * 1.02**number for number in range(60)]
    assert all(volume(history[place], history[:place]) for place in range(60))


@given(st.lists(st.integers(0, 10**9), max_size=4), st.integers(1, 10**9))
def test_volume_passes_without_history(history: list[int], now: int) -> None:
    assert volume(now, history)


def test_an_empty_delivery_after_one_that_was_not_is_anomalous_whatever_the_history() -> None:
    result = check_volume(Point(0), [Point(445)], Volume())
    assert not result.passed
    assert result.description == "0 records; the delivery before it had 445."
    assert volume(0, [])
    assert volume(0, [0, 0])


@pytest.mark.parametrize(
    ("now", "text"), [(9, "9 records; at least 10 are expected."), (10, ""), (20, ""), (21, "most")]
)
def test_limits_apply_whatever_the_history(now: int, text: str) -> None:
    result = check_volume(Point(now), [], Volume(at_least=10, at_most=20))
    assert result.passed == (text == "")
    assert text in result.description


def test_a_number_that_broke_a_limit_is_left_out_of_the_history() -> None:
    history = [Point(100), Point(9000), Point(9000), Point(100), Point(9000), Point(100), Point(100), Point(100)]
    result = check_volume(Point(100), history, Volume(at_most=1000))
    assert (result.passed, result.facts[0]["expected"]) == (True, "70 to 130")


def test_the_description_of_volume_has_the_usual_range_and_its_deliveries() -> None:
    monday = date(2024, 1, 1)
    history = [Point(100 + number % 7, monday + timedelta(days=number)) for number in range(56)]
    result = check_volume(Point(400, monday + timedelta(days=56)), history, Volume())
    assert result.description == "400 records, expected 70 to 130 (8 Mondays before it)."
    assert (
        check_volume(Point(1234), [], Volume()).description == "1,234 records (0 deliveries before it, 5 are needed)."
    )


def test_only_the_newest_of_the_history_count() -> None:
    history = [Point(value) for value in [10_000] * 4 + [100] * 4 + [10_000] * 52]
    assert check_volume(Point(10_000), history, Volume(history=55)).facts[0]["expected"] == "7,500 to 12,500"


def profile(column: str = "delay", **changes: Any) -> ColumnProfile:
    """Return the usual profile of a column of a hundred thousand rows, with some changes."""
    quantiles = {rank: 10 + 5 * (rank - 0.5) for rank in RANKS}
    usual = ColumnProfile(column, 100_000, 2500, 800.0, mean=10.0, deviation=5.0, quantiles=quantiles)
    return replace(usual, **changes)


def wobbling(number: int, column: str = "delay") -> ColumnProfile:
    """Return the usual profile with small differences that depend on a number."""
    wobble = (number * 7 % 5 - 2) / 100
    return profile(column, nulls=2500 + int(1000 * wobble), mean=10 + wobble, deviation=5 + wobble)


HISTORY = [wobbling(number) for number in range(20)]


def compared(
    now: ColumnProfile, history: Sequence[ColumnProfile] = HISTORY, monitors: Monitors | None = None
) -> dict[str, Comparison]:
    """Return the comparisons of one column, by statistic."""
    earlier = [Profiled({past.column: past}) for past in history]
    found = check_distribution(SCHEMA, Profiled({now.column: now}), earlier, monitors or Monitors())
    return {fact.statistic: fact for fact in found.comparisons}


def anomalous(*args: Any, **kwargs: Any) -> set[str]:
    return {name for name, fact in compared(*args, **kwargs).items() if fact.anomalous}


def test_a_column_that_is_as_usual_is_not_anomalous() -> None:
    assert anomalous(wobbling(21)) == set()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"nulls": 31_200}, {"null share"}),
        ({"nulls": 0}, {"null share"}),
        ({"distinct": 80.0}, {"distinct values"}),
        ({"distinct": 80_000.0}, {"distinct values"}),
        ({"mean": 13.0}, {"mean"}),
        ({"deviation": 50.0}, {"deviation"}),
        ({"deviation": 0.0}, {"deviation"}),
        ({"quantiles": {**profile().quantiles, 1.0: 1000.0}}, {"largest value"}),
        ({"quantiles": {**profile().quantiles, 0.0: -1000.0}}, {"smallest value"}),
        ({"quantiles": {**profile().quantiles, 0.5: 30.0}}, {"median"}),
        ({"nulls": 100_000, "distinct": 0.0, "mean": None, "deviation": None, "quantiles": {}}, {"null share"}),
    ],
)
def test_only_the_statistic_that_moved_is_anomalous(changes: dict[str, Any], found: set[str]) -> None:
    expected = found | ({"distinct values"} if changes.get("nulls") == 100_000 else set())
    assert anomalous(profile(**changes)) == expected


@pytest.mark.parametrize("changes", [{"nulls": 3000}, {"distinct": 850.0}, {"mean": 10.5}, {"deviation": 5.8}])
def test_a_statistic_that_moved_a_little_is_not_anomalous(changes: dict[str, Any]) -> None:
    assert anomalous(profile(**changes)) == set()


@pytest.mark.parametrize(("median", "found"), [(12.0, set()), (14.0, set()), (11.0, {"median"}), (15.0, {"median"})])
def test_a_median_of_whole_numbers_that_moved_by_one_is_not_anomalous(median: float, found: set[str]) -> None:
    hour = profile("hour", mean=13.0, deviation=4.0, quantiles={0.5: 13.0})
    assert anomalous(replace(hour, quantiles={0.5: median}), [hour] * 20) == found


def test_distribution_is_not_compared_without_history() -> None:
    assert compared(profile(nulls=90_000), HISTORY[:7]) == {}
    assert anomalous(profile(nulls=90_000), HISTORY[:8]) == {"null share"}


def test_small_differences_in_few_rows_are_not_anomalous() -> None:
    few = [profile(rows=12, nulls=0) for _ in range(20)]
    assert anomalous(profile(rows=12, nulls=1), few) == set()


def test_one_anomalous_delivery_in_the_history_changes_nothing() -> None:
    history = [*HISTORY, profile(nulls=90_000, mean=1000.0)]
    assert anomalous(wobbling(3), history) == set()
    assert anomalous(profile(nulls=90_000, mean=1000.0), history) == {"null share", "mean"}


def test_twice_the_rows_with_the_same_distribution_are_not_anomalous() -> None:
    assert anomalous(profile(rows=200_000, nulls=5000)) == set()


def test_a_key_may_have_as_many_distinct_values_as_rows() -> None:
    history = [profile("id", nulls=0, rows=rows, distinct=rows * 1.0) for rows in range(100_000, 110_000, 500)]
    assert anomalous(profile("id", nulls=0, rows=300_000, distinct=300_000.0), history) == set()
    assert anomalous(profile("id", nulls=0, rows=105_000, distinct=1000.0), history) == {"distinct values"}


@pytest.mark.parametrize("column", ["id", "at", "salary"])
def test_only_counts_are_compared_for_keys_moments_and_sensitive_columns(column: str) -> None:
    hidden: dict[str, Any] = {"mean": None, "deviation": None, "quantiles": {}} if column == "salary" else {}
    history = [profile(column, **hidden) for _ in range(20)]
    assert set(compared(profile(column, **hidden), history)) == {"null share", "distinct values"}


def test_a_boolean_is_compared_by_its_share_of_true() -> None:
    history = [profile("late", mean=0.3, distinct=2.0) for _ in range(20)]
    fact = compared(profile("late", mean=0.9, distinct=2.0), history)["share of true"]
    assert (fact.anomalous, fact.now, fact.expected) == (True, "90.0%", "21.3% to 39.5%")


def test_a_text_is_compared_by_its_length() -> None:
    history = [profile("name", quantiles={}) for _ in range(20)]
    assert anomalous(profile("name", quantiles={}, mean=25.0), history) == {"mean length"}


def test_how_much_the_lengths_of_a_text_vary_is_no_anomaly() -> None:
    history = [profile("name", quantiles={}) for _ in range(20)]
    assert anomalous(profile("name", quantiles={}, deviation=50.0), history) == set()


def test_texts_that_differ_only_in_how_much_their_lengths_vary_look_swapped() -> None:
    schema = Schema(columns=(Column("id", "integer"), Column("city", "text"), Column("note", "text")), key=("id",))

    def delivery(city: float, note: float) -> Profiled:
        deviations = {"city": city, "note": note}
        return Profiled({name: profile(name, quantiles={}, deviation=value) for name, value in deviations.items()})

    found = check_distribution(schema, delivery(50.0, 5.0), [delivery(5.0, 50.0)] * 20, Monitors())
    assert [(change.column, change.swapped_with) for change in found.changes] == [("city", "note")]


def test_numbers_at_the_limits_of_a_float_can_be_compared() -> None:
    history = [profile(mean=1e-300, deviation=1e-300, quantiles={}) for _ in range(20)]
    facts = compared(profile(mean=1e300, deviation=1e300, quantiles={}), history)
    assert (facts["deviation"].anomalous, facts["deviation"].now) == (True, "1,000.00 times the usual")


def test_a_column_without_deviation_is_compared_relative_to_its_mean() -> None:
    history = [profile(mean=7.0, deviation=0.0, quantiles={}) for _ in range(20)]
    assert anomalous(profile(mean=7.0, deviation=0.0, quantiles={}), history) == set()
    assert "mean" in anomalous(profile(mean=14.0, deviation=0.0, quantiles={}), history)


def test_an_unknown_number_of_distinct_values_is_not_compared() -> None:
    assert "distinct values" not in compared(profile(distinct=None))
    assert anomalous(profile(), [*HISTORY, profile(distinct=None)]) == set()


def test_columns_that_are_not_watched_are_not_compared() -> None:
    gone = profile(nulls=100_000)
    assert anomalous(gone, monitors=Monitors(distribution=None)) == set()
    assert anomalous(gone, monitors=Monitors(columns={"delay": None})) == set()
    assert anomalous(gone, monitors=Monitors(columns={"delay": Distribution(tolerance=4.0)})) == set()
    assert anomalous(gone, monitors=Monitors(distribution=None, columns={"delay": Distribution()})) != set()


def test_a_column_that_the_schema_no_longer_has_is_left_out() -> None:
    assert compared(profile("former"), [profile("former")] * 20) == {}


def test_comparisons_are_described_by_shares_counts_and_movements_but_never_by_values() -> None:
    values: dict[str, Any] = {"mean": 31_337.5, "deviation": 5.0, "quantiles": dict.fromkeys(RANKS, 31_337.5)}
    texts = {name: str(fact) for name, fact in compared(profile(nulls=31_200, **values)).items()}
    assert texts["null share"] == "null share of delay 31.2%, expected 0.3% to 6.6%"
    assert texts["distinct values"] == "distinct values of delay 800, expected 624 to 1,025"
    assert texts["deviation"] == "deviation of delay 1.00 times the usual, expected 0.82 to 1.22"
    assert texts["mean"] == "mean of delay +6,265.5 deviations, expected -0.2 to +0.2"
    assert "31,337" not in " ".join(texts.values())
    assert "31337" not in " ".join(texts.values())
