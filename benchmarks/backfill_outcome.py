"""Judges a backfill: the table, the run history, Dagster's statuses, and the three errors."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from benchmarks.backfill_feed import MAXIMUM, SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import psycopg

    from benchmarks.backfill_feed import BackfillFeed

_REMEDY: Final = {
    "ShapeError": "station",
    "TooManyRejectedError": "max_rejected",
    "DeliveryIncompleteError": "cut short",
    "DeliveryError": "no member",
}
"""What the message of each error must name."""


def violations(
    connection: psycopg.Connection[Any],
    feed: BackfillFeed,
    maximum: float,
    status: str,
    runs: Mapping[str, Sequence[str]],
) -> Iterator[str]:
    """Find what is not as it must be after a backfill, in sentences.

    Args:
        connection: To the warehouse.
        feed: What was loaded.
        maximum: The highest temperature that the present declaration accepts.
        status: Dagster's status of the backfill.
        runs: Dagster's statuses of its runs, by partition.
    """
    if status != "COMPLETED_FAILED":
        yield f"Dagster says that the backfill is {status}."
    for key in feed.partitions:
        expected = ["SUCCESS"] if feed.bad.keys().isdisjoint(feed.together(key)) else ["FAILURE"]
        if list(runs.get(key, ())) != expected:
            yield f"Dagster's runs of {key} are {runs.get(key)}, not {expected}."
    yield from _table(connection, feed, maximum)
    yield from _history(connection, feed, backfills=1 if maximum == MAXIMUM else 2)
    yield from _deliveries(connection, feed, readings=1 if maximum == MAXIMUM else 3)


def _table(connection: psycopg.Connection[Any], feed: BackfillFeed, maximum: float) -> Iterator[str]:
    """Compare the table with the rows that plain Python computes."""
    query = f"SELECT reading_id, day, station, temperature FROM core.{SOURCE}"
    rows, expected = Counter(connection.execute(query).fetchall()), Counter(feed.table(maximum))
    if missing := expected - rows:
        yield f"The table lacks {missing.total()} of {expected.total()} rows."
    if surplus := rows - expected:
        yield f"The table has {surplus.total()} rows that it should not have."


def _history(connection: psycopg.Connection[Any], feed: BackfillFeed, backfills: int) -> Iterator[str]:
    """Check that each partition has one run for each backfill, and that the bad ones failed with their errors."""
    query = "SELECT partition, status, coalesce(error_class, ''), coalesce(error, '') FROM etl.run WHERE source = %s"
    ends: dict[str, list[tuple[str, str]]] = {key: [] for key in feed.partitions}
    for partition, status, error_class, error in connection.execute(query, (SOURCE,)).fetchall():
        ends[partition].append((status, error_class))
        if error_class and _REMEDY.get(error_class, "") not in error:
            yield f"The error of {partition} does not say {_REMEDY.get(error_class)!r}: {error}"
    for key, found in ends.items():
        expected = [("failed", feed.bad[key])] if key in feed.bad else [("succeeded", "")]
        if found != expected * backfills:
            yield f"The run history of {key} is {found}, not {expected * backfills}."


def _deliveries(connection: psycopg.Connection[Any], feed: BackfillFeed, readings: int) -> Iterator[str]:
    """Check that good deliveries are complete and not stale, and were read so often at most."""
    rows = connection.execute(
        "SELECT partition, status, generation, needs_reload FROM etl.delivery WHERE source = %s", (SOURCE,)
    ).fetchall()
    good = {partition: rest for partition, *rest in rows if partition not in feed.bad}
    for key in feed.partitions:
        if key in feed.bad:
            continue
        if key not in good:
            yield f"There is no delivery of {key}."
            continue
        status, generation, needs_reload = good[key]
        if status != "complete" or needs_reload:
            yield f"The delivery of {key} is {status}{', and must be reloaded' if needs_reload else ''}."
        if generation > readings:
            yield f"The delivery of {key} was read {generation} times, not {readings} at most."
