"""What the page of a table shows of its past: deliveries, numbers of columns, changes, alerts, causes of rejection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg.rows import class_row

from etl_assets.postgres.metrics.sources import MOST_COUNTED

if TYPE_CHECKING:
    from datetime import datetime

    from etl_assets.postgres.connection import Connection

MOST_DELIVERIES: Final = 366
"""A year of daily deliveries."""
_MOST_PROFILES: Final = 60
_MOST_CHANGES: Final = 10


class PastDelivery(NamedTuple):
    """A delivery of the last year, with how many of its records were rejected when it was read."""

    partition: str
    status: str
    fetched_at: datetime
    records: int
    rejected: int

    @property
    def rejected_share(self) -> float:
        """The share of its records that were rejected; 0.0 if it has none."""
        return self.rejected / self.records if self.records else 0.0


class ColumnNumbers(NamedTuple):
    """Numbers of a column in one delivery; those of sensitive columns are counts alone."""

    column: str
    rows: int
    nulls: int
    distinct: float | None
    mean: float | None


class PastChange(NamedTuple):
    """A change of what is published, without the names that it is about."""

    id: int
    kind: str
    status: str
    opened_at: datetime


class OpenAlert(NamedTuple):
    """An alert that is open."""

    id: int
    severity: str
    summary: str
    opened_at: datetime


class Cause(NamedTuple):
    """How many records that broke a rule wait, of those that were counted."""

    rule: str
    status: str
    records: int


def deliveries(connection: Connection, source: str) -> list[PastDelivery]:
    """Return the newest deliveries of a source that were fetched within a year, oldest first."""
    with connection.cursor(row_factory=class_row(PastDelivery)) as cursor:
        newest = cursor.execute(
            "SELECT d.partition, d.status, d.fetched_at, d.records, b.rejected FROM (SELECT * FROM etl.delivery "
            "WHERE source = %s ORDER BY rank DESC, id DESC LIMIT %s) d CROSS JOIN LATERAL ("
            "SELECT coalesce(sum(rejected), 0)::bigint AS rejected FROM etl.batch WHERE delivery_id = d.id "
            "AND generation = d.generation AND kind = 'ingest') b "
            "WHERE d.fetched_at > clock_timestamp() - interval '1 year' ORDER BY d.rank DESC, d.id DESC",
            (source, MOST_DELIVERIES),
        ).fetchall()
    return newest[::-1]


def columns(connection: Connection, source: str) -> dict[str, list[ColumnNumbers]]:
    """Return the numbers of each column in the newest complete deliveries of a source, oldest first."""
    with connection.cursor(row_factory=class_row(ColumnNumbers)) as cursor:
        numbers = cursor.execute(
            "SELECT p.column_name AS column, p.rows, p.nulls, p.distinct_estimate AS distinct, p.mean FROM (SELECT id, "
            "rank FROM etl.delivery WHERE source = %s AND status = 'complete' ORDER BY rank DESC, id DESC LIMIT %s) d "
            "JOIN etl.profile p ON p.delivery_id = d.id ORDER BY d.rank, d.id",
            (source, _MOST_PROFILES),
        ).fetchall()
    by_column: dict[str, list[ColumnNumbers]] = {}
    for number in numbers:
        by_column.setdefault(number.column, []).append(number)
    return by_column


def changes(connection: Connection, source: str) -> list[PastChange]:
    """Return the newest changes of what is published, newest first."""
    with connection.cursor(row_factory=class_row(PastChange)) as cursor:
        return cursor.execute(
            "SELECT id, kind, status, opened_at FROM etl.drift WHERE source = %s ORDER BY id DESC LIMIT %s",
            (source, _MOST_CHANGES),
        ).fetchall()


def open_alerts(connection: Connection, source: str) -> list[OpenAlert]:
    """Return the newest open alerts of a source, newest first."""
    with connection.cursor(row_factory=class_row(OpenAlert)) as cursor:
        return cursor.execute(
            "SELECT id, severity, summary, opened_at FROM etl.alert WHERE source = %s AND status = 'open' "
            "ORDER BY id DESC LIMIT %s",
            (source, _MOST_CHANGES),
        ).fetchall()


def causes(connection: Connection, source: str) -> list[Cause]:
    """Return how many of the records that wait broke each rule, most first; at most `MOST_COUNTED` are counted."""
    with connection.cursor(row_factory=class_row(Cause)) as cursor:
        return cursor.execute(
            "SELECT rule, status, count(*) AS records FROM (SELECT rules, status FROM etl.rejected WHERE source = %s "
            "AND status IN ('open', 'parked') LIMIT %s) r CROSS JOIN unnest(rules) rule "
            "GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
            (source, MOST_COUNTED),
        ).fetchall()
