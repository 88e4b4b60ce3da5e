"""Numbers of each source: what was read and written, how its runs ended, and what waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg.rows import class_row

from etl_assets.postgres.ledger.rebuilt import no_rebuild

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

MOST_COUNTED: Final = 100_000
"""Records that wait are counted up to this number, for each source and status."""
NEWEST_RUNS: Final = 30
"""How many runs of a source are read, newest first."""
_FEWEST_SUCCESSES: Final = 4
_SOURCES: Final = f"SELECT DISTINCT source FROM etl.partition_total WHERE {no_rebuild()}"


class Totals(NamedTuple):
    """What a source has read and written, and how its runs ended, since it is known; only grows."""

    source: str
    read: int
    rejected: int
    inserted: int
    updated: int
    deleted: int
    succeeded: int
    unchanged: int
    failed: int
    cancelled: int
    crashed: int
    seconds: float
    succeeded_at: float | None


class NewestRuns(NamedTuple):
    """What the newest runs of a source say.

    Attributes:
        source: Its name.
        under_way: How many of its runs are in progress.
        seconds: How long the newest run took that ended and had something to do; None if there is none.
        failures: How many runs failed or crashed since the newest success; counts the newest runs only.
        longest_pause: The longest time in seconds between two successes; None if there are fewer than four.
    """

    source: str
    under_way: int
    seconds: float | None
    failures: int
    longest_pause: float | None


class Waiting(NamedTuple):
    """The records of a source that wait in the quarantine.

    Attributes:
        source: Its name.
        open: How many wait for a person, at most `MOST_COUNTED`.
        parked: How many wait for a parent, at most `MOST_COUNTED`.
        oldest_at: When the oldest of them was rejected; None if none waits.
    """

    source: str
    open: int
    parked: int
    oldest_at: float | None


def totals(connection: Connection) -> list[Totals]:
    """Return the totals of every source that was ever run or loaded, by name."""
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in Totals._fields[1:11])
    with connection.cursor(row_factory=class_row(Totals)) as cursor:
        return cursor.execute(
            f"SELECT source, {sums}, sum(seconds) AS seconds, "
            "extract(epoch FROM max(succeeded_at))::double precision AS succeeded_at "
            f"FROM etl.partition_total WHERE {no_rebuild()} GROUP BY source ORDER BY source"
        ).fetchall()  # fmt: skip


def newest_runs(connection: Connection) -> list[NewestRuns]:
    """Return what the newest runs of every source say, by name of the source."""
    with connection.cursor(row_factory=class_row(NewestRuns)) as cursor:
        return cursor.execute(
            f"SELECT s.source, coalesce(u.runs, 0) AS under_way, r.* FROM ({_SOURCES}) s LEFT JOIN (SELECT source, "
            "count(*) AS runs FROM etl.run WHERE status = 'started' GROUP BY source) u USING (source) "
            "CROSS JOIN LATERAL (SELECT (array_agg(extract(epoch FROM ended_at - started_at)"
            "::double precision ORDER BY started_at DESC) FILTER (WHERE ended_at IS NOT NULL "
            "AND unchanged_since IS NULL))[1] AS seconds, "
            "count(*) FILTER (WHERE status IN ('failed', 'crashed') AND successes_after = 0) AS failures, "
            "CASE WHEN count(pause) >= %s THEN max(pause) END AS longest_pause FROM ("
            "SELECT *, count(*) FILTER (WHERE status = 'succeeded') OVER (ORDER BY started_at DESC, id DESC) "
            "AS successes_after, CASE status WHEN 'succeeded' THEN extract(epoch FROM started_at "
            "- lag(started_at) OVER (PARTITION BY status ORDER BY started_at, id))::double precision END AS pause "
            "FROM (SELECT id, status, started_at, ended_at, unchanged_since FROM etl.run WHERE source = s.source "
            "ORDER BY started_at DESC LIMIT %s) newest) one) r ORDER BY source",
            (_FEWEST_SUCCESSES - 1, NEWEST_RUNS),
        ).fetchall()  # fmt: skip


def waiting(connection: Connection) -> list[Waiting]:
    """Return how many records of every source wait, by name of the source."""
    with connection.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(
            "SELECT source, (SELECT count(*) FROM (SELECT FROM etl.rejected r WHERE r.source = s.source "
            "AND status = 'open' LIMIT %(most)s) o) AS open, (SELECT count(*) FROM (SELECT FROM etl.rejected r "
            "WHERE r.source = s.source AND status = 'parked' LIMIT %(most)s) p) AS parked, "
            "(SELECT extract(epoch FROM rejected_at)::double precision FROM etl.rejected r WHERE r.source = s.source "
            "AND status IN ('open', 'parked') ORDER BY rejected_at LIMIT 1) AS oldest_at "
            f"FROM ({_SOURCES}) s ORDER BY source",
            {"most": MOST_COUNTED},
        ).fetchall()


def open_drift(connection: Connection) -> dict[str, int]:
    """Return how many changes of what is published are open, by source; sources without any are left out."""
    rows = connection.execute(
        f"SELECT source, count(*) FROM etl.drift WHERE status = 'open' AND {no_rebuild()} GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return dict(rows)
