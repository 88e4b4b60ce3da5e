"""The processor seconds of the loads, as a table."""

from __future__ import annotations

import pytest

from benchmarks.ingest_run import Report
from benchmarks.measure import Process
from benchmarks.outcome import Measured
from benchmarks.processor_outcome import processor_grid
from benchmarks.scenarios import SCENARIOS, Ingest, Pair, Reference


def pair(client: float, server: float, psql_client: float, psql_server: float) -> Pair:
    ours = Ingest(Process(9.0, client + 1.0, 1, ""), Report(8.0, client), server)
    return Pair(ours, Reference(Process(9.0, psql_client, 1, ""), {}, psql_server), same=True)


def row(records: int, *pairs: Pair) -> dict[str, str]:
    grid = processor_grid([Measured(SCENARIOS[0], records, pairs)])
    return dict(zip(grid.heads, grid.rows[0], strict=True))


def test_processor_seconds_are_given_for_each_million_records() -> None:
    found = row(2_000_000, pair(3.0, 4.0, 1.0, 8.0))
    sides = [found[name] for name in ("our client", "our server", "psql's client", "psql's server")]
    assert sides == ["1.50", "2.00", "0.50", "4.00"]


def test_the_ratio_of_both_sides_is_the_median_of_pairs() -> None:
    found = row(1_000_000, pair(1.0, 1.0, 1.0, 3.0), pair(3.0, 3.0, 1.0, 1.0), pair(2.0, 2.0, 1.0, 3.0))
    assert (found["ratio of the sums"], found["of each pair"]) == ("1.00", "0.50 3.00 1.00")


@pytest.mark.parametrize(("client", "verdict"), [(2.0, "within"), (2.1, "**above**")])
def test_the_client_has_a_limit(client: float, verdict: str) -> None:
    assert row(1_000_000, pair(client, 1.0, 1.0, 1.0))[""] == verdict


def test_a_small_feed_has_no_limit() -> None:
    assert row(999_999, pair(9.0, 1.0, 1.0, 1.0))[""] == ""
