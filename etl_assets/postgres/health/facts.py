"""The facts about every source that its health is judged by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg.rows import class_row

from etl_assets.model.alert import RunFailed
from etl_assets.postgres.ledger.rebuilt import no_rebuild
from etl_assets.postgres.metrics.sources import waiting
from etl_assets.postgres.runs.due import NEWEST_RUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from etl_assets.postgres.connection import Connection


class PartitionState(NamedTuple):
    """The newest run of a partition that ended, and its newest complete delivery.

    Attributes:
        source: Name of the source.
        partition: Key of the partition.
        row: Id of the run in the history, which orders runs; None if none ended that counts.
        run_id: Of that run.
        verdict: The run whose check results stand.
        status: ``succeeded``, ``failed`` or ``crashed``.
        started_at: When the run started.
        error_class: Class of the error that the run failed with.
        error: Its text.
        loaded_at: When the delivery was complete; None if none is.
    """

    source: str
    partition: str
    row: int | None
    run_id: str | None
    verdict: str | None
    status: str | None
    started_at: datetime | None
    error_class: str | None
    error: str | None
    loaded_at: datetime | None


class Open(NamedTuple):
    """How many things of one kind are open, and since when the oldest is."""

    number: int
    since: datetime | None


NONE_OPEN: Final = Open(0, None)


class FailedCheck(NamedTuple):
    """A check that failed in the newest verdict of a source."""

    source: str
    name: str
    blocking: bool
    description: str
    at: datetime


@dataclass(frozen=True)
class Facts:
    """What the database says of one source.

    Attributes:
        partitions: Every partition that was ever run or loaded.
        open: Records that wait for a person.
        parked: Records that wait for a parent.
        waiting_since: When the oldest record was rejected that waits.
        drift: Changes of what is published that are open.
        alerts: Alerts that are open.
        failed_checks: Those of the newest verdict.
        under_way_since: When the first of the runs in progress started.
        unfinished: Partitions with a delivery that is not loaded to its end, and without a run in progress.
        rows: Of the table.
    """

    partitions: tuple[PartitionState, ...] = ()
    open: int = 0
    parked: int = 0
    waiting_since: float | None = None
    drift: Open = NONE_OPEN
    alerts: Open = NONE_OPEN
    failed_checks: tuple[FailedCheck, ...] = ()
    under_way_since: datetime | None = None
    unfinished: tuple[str, ...] = ()
    rows: int = 0

    @cached_property
    def newest(self) -> PartitionState | None:
        """The partition of the newest run that ended; None if none did."""
        ran = [state for state in self.partitions if state.row is not None]
        return max(ran, key=lambda state: state.row or 0, default=None)

    @cached_property
    def loaded_at(self) -> datetime | None:
        """When the newest delivery was complete; None if none is."""
        return max((state.loaded_at for state in self.partitions if state.loaded_at is not None), default=None)


def facts(connection: Connection) -> dict[str, Facts]:
    """Return the facts about every source that was ever run or loaded, or is for the first time, by its name."""
    under_way, unfinished, rows = _under_way(connection), _unfinished(connection), _rows(connection)
    by_source = dict.fromkeys([*under_way, *unfinished], Facts()) | {
        source: Facts(tuple(states))
        for source, states in groupby(partition_states(connection), key=lambda state: state.source)
    }
    drift, alerts = _open(connection, "drift"), _open(connection, "alert")
    waits = {found.source: found for found in waiting(connection)}
    checks = _failed_checks(connection, (known.newest for known in by_source.values() if known.newest is not None))
    for source, known in by_source.items():
        wait = waits.get(source)
        by_source[source] = replace(
            known,
            open=wait.open if wait else 0,
            parked=wait.parked if wait else 0,
            waiting_since=wait.oldest_at if wait else None,
            drift=drift.get(source, NONE_OPEN),
            alerts=alerts.get(source, NONE_OPEN),
            failed_checks=tuple(check for check in checks if check.source == source),
            under_way_since=under_way.get(source),
            unfinished=tuple(unfinished.get(source, ())),
            rows=rows.get(source, 0),
        )
    return by_source


def partition_states(connection: Connection) -> list[PartitionState]:
    """Return the state of every partition that was ever run or loaded: for each, two or three searches of an index.

    A run that failed is left out if a person closed its alert: if it fails again, another alert opens.
    """
    with connection.cursor(row_factory=class_row(PartitionState)) as cursor:
        return cursor.execute(
            "SELECT p.source, p.partition, r.id AS row, r.run_id, r.verdict, r.status, r.started_at, "
            "r.error_class, CASE WHEN r.status <> 'succeeded' THEN r.error END AS error, d.completed_at AS loaded_at "
            "FROM etl.partition_total p LEFT JOIN LATERAL (SELECT id, run_id, coalesce(verdict_run_id, run_id) "
            f"AS verdict, status, started_at, error_class, error {NEWEST_RUN}) r ON r.status = 'succeeded' "
            "OR NOT EXISTS (SELECT FROM etl.alert WHERE source = p.source AND partition = p.partition AND rule = %s "
            "AND cause_stands) "
            "LEFT JOIN LATERAL (SELECT completed_at FROM etl.delivery WHERE source = p.source "
            "AND partition = p.partition AND status = 'complete' ORDER BY id DESC LIMIT 1) d ON true "
            f"WHERE {no_rebuild('p.source')} ORDER BY p.source, p.partition",
            (RunFailed.kind,),
        ).fetchall()  # fmt: skip


def _failed_checks(connection: Connection, verdicts: Iterable[PartitionState]) -> list[FailedCheck]:
    """Return the checks that failed in some verdicts; of one that was evaluated again in its run, the last result."""
    runs = [(state.verdict, state.source, state.partition) for state in verdicts]
    with connection.cursor(row_factory=class_row(FailedCheck)) as cursor:
        return cursor.execute(
            "SELECT source, name, blocking, description, at FROM (SELECT DISTINCT ON (c.source, c.name) c.* "
            "FROM unnest(%s::text[], %s::text[], %s::text[]) v(run_id, source, partition) "
            "JOIN etl.check_result c USING (run_id, source, partition) ORDER BY c.source, c.name, c.id DESC) last "
            "WHERE NOT passed ORDER BY source, blocking DESC, name",
            tuple(map(list, zip(*runs, strict=True))) or ([], [], []),
        ).fetchall()


def _open(connection: Connection, table: str) -> Mapping[str, Open]:
    query = f"SELECT source, count(*), min(opened_at) FROM etl.{table} WHERE status = 'open' GROUP BY source"
    return {source: Open(count, since) for source, count, since in connection.execute(query.encode()).fetchall()}


def _under_way(connection: Connection) -> Mapping[str, datetime]:
    query = "SELECT source, min(started_at) FROM etl.run WHERE status = 'started' GROUP BY source"
    return dict(connection.execute(query).fetchall())


def _unfinished(connection: Connection) -> Mapping[str, list[str]]:
    query = (
        "SELECT source, array_agg(DISTINCT partition ORDER BY partition) FROM etl.delivery d "
        "WHERE status IN ('landed', 'loading') AND NOT EXISTS (SELECT FROM etl.run r WHERE r.source = d.source "
        "AND r.partition = d.partition AND r.status = 'started') GROUP BY source"
    )
    return dict(connection.execute(query).fetchall())


def _rows(connection: Connection) -> Mapping[str, int]:
    return dict(connection.execute("SELECT source, sum(rows)::bigint FROM etl.row_count GROUP BY source").fetchall())
