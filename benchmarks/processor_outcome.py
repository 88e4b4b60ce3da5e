"""The processor seconds of the loads, as a table: those of the client and of the server, for each million records.

A machine that others use at the same time changes seconds more than processor seconds.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.outcome import LIMITS_FROM, Grid, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.outcome import Measured
    from benchmarks.scenarios import Pair

CLIENT_LIMIT: Final = 2.0
"""Processor seconds of our client for each million records that are aimed at."""


def processor_grid(measured: Sequence[Measured]) -> Grid:
    """Processor seconds for each million records of our ingest and of psql, and the ratio of their sums."""
    heads = (
        "scenario",
        "records",
        "our client",
        "our server",
        "psql's client",
        "psql's server",
        "ratio of the sums",
        "of each pair",
        "limit of our client",
        "",
    )
    rows = []
    for one in measured:
        millions = one.records / 1_000_000
        client = median(ingest.report.cpu_seconds for ingest in one.ours) / millions
        spent = (
            client,
            median(ingest.server_seconds for ingest in one.ours) / millions,
            median(pair.psql.process.cpu_seconds for pair in one.pairs) / millions,
            median(pair.psql.server_seconds for pair in one.pairs) / millions,
        )
        ratios = [_ratio(pair) for pair in one.pairs]
        rows.append(
            (
                one.scenario.title,
                f"{one.records:,}",
                *(f"{seconds:.2f}" for seconds in spent),
                f"{median(ratios):.2f}",
                " ".join(f"{ratio:.2f}" for ratio in ratios),
                *verdict(client, CLIENT_LIMIT if one.records >= LIMITS_FROM else None),
            )
        )
    return Grid(
        "Processor seconds for each million records, inside the ingest and of psql (medians)", heads, tuple(rows)
    )


def _ratio(pair: Pair) -> float:
    """Our processor seconds, of client and server, over those of the load by psql."""
    if pair.ours is None:
        return float("nan")
    psql = pair.psql.process.cpu_seconds + pair.psql.server_seconds
    return (pair.ours.report.cpu_seconds + pair.ours.server_seconds) / psql
