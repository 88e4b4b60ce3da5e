"""What the measurements of a scenario come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.cost import HEADS, Case, Cost, Scenario, cost_grid, ratios, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.cost import Measurements, Size
    from benchmarks.lab import Lab


def _nothing(lab: Lab, size: Size) -> Measurements:  # noqa: ARG001 -- the signature of a measurement
    return iter(())


SCENARIO = Scenario("Growth", "about", _nothing)
SMALL = Case("small")
LARGE = Case("large", base="small", limits=(("ratio", 1.2),))


def cost(client: float, server: float = 0.0, seconds: float = 1.0, **counts: float) -> Cost:
    return Cost(seconds, client, server, counts)


def cells(measured: Sequence[tuple[Case, Cost]], size: Size = "usual") -> list[dict[str, str]]:
    """The rows of a scenario, by the heads of the table."""
    return [dict(zip(HEADS, row, strict=True)) for row in rows_of(SCENARIO, measured, size)]


def rounds() -> Iterator[tuple[Case, Cost]]:
    """Three rounds whose ratios are 1.1, 1.5 and 1.0; the medians of the sides are 2 and 2.2."""
    for small, large in ((2.0, 2.2), (1.0, 1.5), (4.0, 4.0)):
        yield SMALL, cost(small)
        yield LARGE, cost(large)


def test_a_ratio_is_the_median_of_the_pairs_of_each_round() -> None:
    small, large = cells([*rounds()])
    assert (large["ratio"], large["of each pair"]) == ("1.10", "1.10 1.50 1.00")
    assert (small["ratio"], small["of each pair"]) == ("", "")
    assert (small["client CPU s"], large["client CPU s"]) == ("2.00", "2.20")


def test_processor_seconds_of_client_and_server_are_compared_together() -> None:
    assert ratios(LARGE, [cost(1.0, 5.0)], [cost(2.0, 1.0)]) == [2.0]


def test_seconds_are_compared_where_a_case_says_so() -> None:
    case = Case("dlt", base="ours", by="seconds")
    assert ratios(case, [cost(1.0, seconds=9.0)], [cost(1.0, seconds=3.0)]) == [3.0]


def test_a_case_without_its_pair_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratios(LARGE, [cost(1.0)], [cost(1.0), cost(1.0)])


def test_processor_seconds_are_divided_by_the_units_of_a_case() -> None:
    [row] = cells([(Case("files", unit="file", units=1000), cost(10.0, 5.0))])
    assert row["CPU s for each"] == "0.015 a file"
    [row] = cells([(Case("records", unit="million records", units=0.001), cost(1.0, 0.5))])
    assert row["CPU s for each"] == "1,500 a million records"


def test_limits_are_judged_by_the_measures_that_they_name() -> None:
    limits = (("statements", 60.0), ("seconds", 0.5), ("each", 0.01), ("client", 3.0))
    [row] = cells([(Case("again", units=100, limits=limits), cost(3.0, statements=61))])
    assert row["limits"] == "statements 60: **above**; seconds 0.5: **above**; each 0.01: within; client 3: within"
    assert row["besides"] == "61 statements"


def test_the_ratio_to_a_slower_way_has_a_least_value() -> None:
    dlt = Case("dlt", base="small", least=5.0)
    for client, verdict in ((5.0, "reached"), (4.9, "**below**")):
        row = cells([(SMALL, cost(1.0)), (dlt, cost(client))])[1]
        assert row["limits"] == f"ratio at least 5: {verdict}"


def test_a_quick_look_judges_nothing() -> None:
    assert [row["limits"] for row in cells([*rounds()], "quick")] == ["", ""]
    assert cells([*rounds()])[1]["limits"] == "ratio 1.2: within"


def test_all_scenarios_are_in_one_table() -> None:
    other = Scenario("Backlog", "about", _nothing)
    grid = cost_grid([*rows_of(SCENARIO, rounds(), "usual"), *rows_of(other, [(SMALL, cost(1.0))], "usual")])
    assert [row[:2] for row in grid.rows] == [("Growth", "small"), ("Growth", "large"), ("Backlog", "small")]
