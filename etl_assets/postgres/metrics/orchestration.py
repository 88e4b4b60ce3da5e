"""Numbers of Dagster's storage: runs that wait or are in progress, ticks of schedules and sensors, daemons.

They are read from Dagster's own tables, because its Python interface needs the rights to create them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg.rows import class_row

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection

NEWEST_TICKS: Final = 20
"""Of how many ticks the failed ones are counted, newest first."""
UNDER_WAY: Final = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
"""The statuses of runs that did not end, in Dagster's words."""
_SENSOR_SECONDS: Final = 30
"""How often a sensor ticks that does not say so."""


class Trigger(NamedTuple):
    """A schedule or sensor that is switched on.

    Attributes:
        name: Its name.
        location: The name of its code location.
        type: ``schedule`` or ``sensor``.
        ticked_at: When its newest tick began; None if it never ticked.
        failed: Whether that tick failed.
        failures: How many of its newest ticks failed.
        lag: Of a sensor, how many seconds its next tick is late; of a schedule, how many its newest tick was late.
    """

    name: str
    location: str
    type: str
    ticked_at: float | None
    failed: bool
    failures: int
    lag: float


class Queue(NamedTuple):
    """The runs that did not end: how many of each status, and since when the oldest has been there."""

    status: str
    runs: int
    oldest_at: float | None


def queue(connection: Connection) -> list[Queue]:
    """Return the runs of each status of `UNDER_WAY`, in that order."""
    with connection.cursor(row_factory=class_row(Queue)) as cursor:
        return cursor.execute(
            "SELECT s.status, r.runs, r.oldest_at FROM unnest(%s::text[]) WITH ORDINALITY s(status, place), "
            "LATERAL (SELECT count(*) AS runs, extract(epoch FROM min(create_timestamp))::double precision "
            "AS oldest_at FROM runs WHERE runs.status = s.status) r ORDER BY s.place",
            (list(UNDER_WAY),),
        ).fetchall()


def triggers(connection: Connection) -> list[Trigger]:
    """Return every schedule and sensor that is switched on, by name."""
    with connection.cursor(row_factory=class_row(Trigger)) as cursor:
        return cursor.execute(
            "SELECT i.origin ->> 'job_name' AS name, coalesce(i.origin #>> "
            "'{external_repository_origin,repository_location_origin,location_name}', '') AS location, "
            "lower(instigator_type) AS type, extract(epoch FROM t.ticked_at)::double precision AS ticked_at, "
            "coalesce(t.failed, false) AS failed, coalesce(t.failures, 0) AS failures, "
            "coalesce(CASE instigator_type WHEN 'SENSOR' THEN greatest(extract(epoch FROM clock_timestamp()) "
            "- (data ->> 'last_tick_start_timestamp')::numeric "
            "- coalesce((data ->> 'min_interval')::numeric, %(usual)s), 0) ELSE t.late END, 0)::double precision "
            "AS lag "
            "FROM (SELECT selector_id, instigator_type, instigator_body::json -> 'origin' AS origin, "
            "instigator_body::json -> 'job_specific_data' AS data FROM instigators "
            "WHERE status IN ('RUNNING', 'DECLARED_IN_CODE')) i "
            "LEFT JOIN LATERAL (SELECT max(timestamp) AS ticked_at, count(*) FILTER (WHERE status = 'FAILURE') "
            "AS failures, (array_agg(status ORDER BY timestamp DESC))[1] = 'FAILURE' AS failed, "
            "(array_agg(greatest(extract(epoch FROM create_timestamp - timestamp), 0) ORDER BY timestamp DESC))[1] "
            "AS late FROM (SELECT timestamp, status, create_timestamp FROM job_ticks j WHERE j.selector_id = "
            "i.selector_id ORDER BY timestamp DESC LIMIT %(ticks)s) newest) t ON true ORDER BY 1, 2",
            {"usual": _SENSOR_SECONDS, "ticks": NEWEST_TICKS},
        ).fetchall()


def heartbeats(connection: Connection) -> dict[str, float]:
    """Return when each daemon was alive last, by its name in lower case."""
    rows = connection.execute(
        "SELECT lower(daemon_type), extract(epoch FROM timestamp)::double precision FROM daemon_heartbeats ORDER BY 1"
    ).fetchall()
    return dict(rows)
