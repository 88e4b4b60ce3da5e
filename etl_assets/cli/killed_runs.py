"""What became of the partitions of a run whose process ended before it could say so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from etl_assets.cli.outcome import Failure, Outcome
from etl_assets.graph.runs.one_by_one import Failures
from etl_assets.graph.runs.reaper import GONE, reap
from etl_assets.graph.runs.unchanged import UNCHANGED
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.runs import results
from etl_assets.postgres.runs.history import CRASHED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import dagster as dg

    from etl_assets.source import Source

_WAIT_SECONDS: Final = 5.0
"""How long the server may take to find that a process is gone, and to release its lock."""
_BEGUN: Final = "What it had committed of this partition stays, and nothing else was written. Run it again."
_NOT_BEGUN: Final = f"{GONE} It had not begun with this partition, of which nothing was written. Run it again."


def outcomes_of_killed(
    instance: dg.DagsterInstance,
    url: str,
    sources: Mapping[str, Source],
    name: str,
    partitions: Sequence[str],
    run_id: str,
) -> list[Outcome]:
    """Enter that the process of a run is gone; return what the run history has of each partition.

    Args:
        instance: Dagster's instance.
        url: URL of the warehouse.
        sources: All known sources, by name.
        name: Name of the source, or of the deliveries of an asset.
        partitions: The partitions of the run.
        run_id: The id of the run.
    """
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        reap(instance, url, sources, Failures())
        summaries = in_session(
            url, lambda session: [results.run_summary(session, run_id, name, partition) for partition in partitions]
        )
        if time.monotonic() > until or not any(summary and summary.status == "started" for summary in summaries):
            return [_outcome(name, *pair) for pair in zip(partitions, summaries, strict=True)]
        time.sleep(0.1)


def _outcome(name: str, partition: str, summary: results.RunSummary | None) -> Outcome:
    if summary is None:
        return Outcome(name, partition or None, None, "failed", error=Failure(CRASHED, _NOT_BEGUN))
    if summary.status == "succeeded":
        error = None
    elif summary.status == "failed":
        error = Failure(summary.error_class or "Failure", summary.error or "")
    else:
        error = Failure(summary.error_class or CRASHED, f"{summary.error or GONE} {_BEGUN}")
    since = summary.unchanged_since
    return Outcome(
        source=name,
        partition=partition or None,
        delivery=summary.delivery_id,
        status="failed" if error else "loaded" if since is None else UNCHANGED,
        counts=summary.counts,
        seconds=summary.seconds,
        error=error,
        since=since,
    )
