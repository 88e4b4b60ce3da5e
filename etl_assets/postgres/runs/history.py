"""Writes the run history ``etl.run`` and the check results ``etl.check_result``, for people. No load depends on them.

The counts of a run are read from the ledger, so that a run that was killed has its counts like any other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg.types.json import Jsonb

from etl_assets.errors import EtlAssetsError
from etl_assets.model.counts import Counts
from etl_assets.model.run import RunEnd, RunKey
from etl_assets.postgres.ledger.entries import COUNT_NAMES
from etl_assets.postgres.ledger.locks import lock_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from etl_assets.model.check_result import CheckResult
    from etl_assets.model.run import RunFault, RunStatus
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.runs.standing import Standing

CRASHED: Final = "Crashed"
"""Error class of runs whose process is gone; those of `CANCELLED` were asked to end."""
FOREIGN_ERROR_TEXT: Final = (
    "Not an error of etl_assets. Its text is only in the run's log, since it may contain record contents."
)
_COMPLETING: Final = "\0completing"
"""Takes the place of a source in the number of the lock under which the entries of a run are completed."""
THIS_RUN: Final = "run_id = %s AND source = %s AND partition = %s"
"""The condition that selects the row of a `RunKey`; its parameters are the values of the key."""


@dataclass(frozen=True)
class CommittedWork:
    """What a run has committed, by the ledger.

    Attributes:
        counts: Sums over its batches.
        batches: Number of its batches.
        delivery_id: The newest delivery of these batches; None when there are none.
    """

    counts: Counts
    batches: int
    delivery_id: int | None

    def __str__(self) -> str:
        if not self.batches:
            return "Nothing was written to the table."
        return f"Committed batches: {self.batches}, with {self.counts.read} records. Nothing else was written."


def run_started(
    connection: Connection,
    key: RunKey,
    *,
    step: str = "",
    job: str = "",
    host: str = "",
    process: int | None = None,
    attempt: int = 1,
    again: bool = False,
    declaration: str | None = None,
    at: datetime | None = None,
) -> None:
    """Enter that a run begins, or that it begins its next step or retries a step.

    Args:
        connection: To the warehouse.
        key: Of the run.
        step: The step that the run is in.
        job: Name of the Dagster job.
        host: Name of the machine that executes the run.
        process: Id of the process on that machine.
        attempt: Number of the attempt, from 1. It is used only when the run was not entered before.
        again: Whether the run retries its step.
        declaration: Fingerprint of what decides how the run ends, besides the delivery; None if nothing may follow.
        at: When the run began, if not now.
    """
    connection.execute(
        "INSERT INTO etl.run AS r (run_id, source, partition, status, step, job, host, process, attempt, declaration, "
        "started_at) VALUES (%s, %s, %s, 'started', %s, %s, %s, %s, %s, %s, coalesce(%s, clock_timestamp())) "
        "ON CONFLICT (run_id, source, partition) DO UPDATE SET status = 'started', ended_at = NULL, error = NULL, "
        "error_class = NULL, missed_at = NULL, step = excluded.step, host = excluded.host, "
        "declaration = excluded.declaration, process = excluded.process, attempt = r.attempt + %s",
        (*key.values, step, job, host, process, attempt, declaration, at, int(again)),
    )


def run_unchanged(connection: Connection, key: RunKey, standing: Standing, declaration: str) -> None:
    """Enter that a run ended well because there was nothing to do, and which run's verdict stands.

    Args:
        connection: To the warehouse.
        key: Of the run, which need not have been entered before.
        standing: The delivery and the verdict that stand.
        declaration: Fingerprint of what decides how the run ends, besides the delivery.
    """
    connection.execute(
        "INSERT INTO etl.run (run_id, source, partition, status, step, ended_at, delivery_id, declaration, "
        "unchanged_since, verdict_run_id) VALUES (%s, %s, %s, 'succeeded', 'landing', clock_timestamp(), %s, %s, %s, "
        "%s) ON CONFLICT (run_id, source, partition) DO UPDATE SET status = excluded.status, "
        "ended_at = excluded.ended_at, missed_at = NULL, delivery_id = excluded.delivery_id, "
        "declaration = excluded.declaration, unchanged_since = excluded.unchanged_since, "
        "verdict_run_id = excluded.verdict_run_id",
        (*key.values, standing.delivery.id, declaration, standing.delivery.fetched_at, standing.run_id),
    )


def step_ended(
    connection: Connection, key: RunKey, *, delivery_id: int | None = None, seconds: Mapping[str, float] | None = None
) -> None:
    """Enter the delivery and the durations of a run after a step that others follow, or that refused the delivery."""
    connection.execute(
        "UPDATE etl.run SET delivery_id = coalesce(%s, delivery_id), seconds = seconds || %s, missed_at = NULL "
        f"WHERE {THIS_RUN}",
        (delivery_id, _rounded_json(seconds), *key.values),
    )


def step_failed(connection: Connection, key: RunKey, error: BaseException) -> None:
    """Enter the error of a step that will be retried. The run has not ended."""
    connection.execute(
        f"UPDATE etl.run SET error_class = %s, error = %s WHERE {THIS_RUN}",
        (type(error).__name__, error_text(error), *key.values),
    )


def run_succeeded(
    connection: Connection,
    key: RunKey,
    *,
    delivery_id: int | None = None,
    seconds: Mapping[str, float] | None = None,
    at: datetime | None = None,
) -> RunEnd | None:
    """Enter that a run succeeded, and return its end; None if the run was never entered."""
    return _finish_run(connection, key, "succeeded", committed_work(connection, key), delivery_id, seconds, at=at)


def run_failed(
    connection: Connection, key: RunKey, error_class: str, error: str, *, step: str = "", at: datetime | None = None
) -> RunEnd | None:
    """Enter the error that a run failed with.

    Args:
        connection: To the warehouse.
        key: Of the run.
        error_class: Name of the error's class.
        error: Its text, from `error_text`.
        step: The step in which the run ended, to correct the one in the history.
        at: When the run ended, if not now.

    Returns:
        The end of the run; None if the run was never entered.
    """
    done = committed_work(connection, key)
    return _finish_run(connection, key, "failed", done, error_class=error_class, error=error, step=step, at=at)


def run_interrupted(
    connection: Connection,
    key: RunKey,
    status: RunFault,
    cause: str,
    *,
    error_class: str,
    step: str = "",
    at: datetime | None = None,
) -> RunEnd | None:
    """Enter that a run ended before its work was complete. Its error text includes what the run committed.

    Args:
        connection: To the warehouse.
        key: Of the run.
        status: How the run ended.
        cause: What happened, as one or more sentences.
        error_class: What to enter as the class of the error.
        step: The step in which the run ended, to correct the one in the history.
        at: When the run ended, if not now.

    Returns:
        The end of the run; None if the run was never entered.
    """
    done = committed_work(connection, key)
    text = f"{cause} {done} Run it again: the new run resumes where this one stopped."
    return _finish_run(connection, key, status, done, error_class=error_class, error=text, step=step, at=at)


def committed_work(connection: Connection, key: RunKey) -> CommittedWork:
    """Return what a run has committed. All batches of a replay count, because a replay has no partition of its own."""
    sums = ", ".join(f"coalesce(sum(b.{name}), 0)::bigint" for name in COUNT_NAMES)
    row = connection.execute(
        f"SELECT count(*), max(b.delivery_id), {sums} FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id "
        "WHERE b.run_id = %s AND d.source = %s AND (d.partition = %s OR b.kind = 'replay')",
        key.values,
    ).fetchone()
    batches, delivery_id, *counts = row or (0, None)
    return CommittedWork(Counts(*counts), batches, delivery_id)


def error_text(error: BaseException) -> str:
    """Return the text of an error of this package, else `FOREIGN_ERROR_TEXT`: other texts may contain records."""
    return str(error) if isinstance(error, EtlAssetsError) else FOREIGN_ERROR_TEXT


def enter_check_results(
    connection: Connection,
    run_id: str,
    source: str,
    partition: str,
    delivery_id: int | None,
    results: Iterable[CheckResult],
) -> None:
    """Enter the check results of a run; those of a check with several rules by rule."""
    entries = [_result_values(entry) for result in results for entry in result.entries]
    if entries:
        connection.execute(
            "INSERT INTO etl.check_result (run_id, source, partition, delivery_id, name, passed, blocking, "
            "description, failed_records, records) SELECT %s, %s, %s, %s, u.* FROM unnest(%s::text[], %s::boolean[], "
            "%s::boolean[], %s::text[], %s::bigint[], %s::bigint[]) u",
            (run_id, source, partition, delivery_id, *map(list, zip(*entries, strict=True))),
        )


def _result_values(result: CheckResult) -> tuple[str, bool, bool, str, int, int]:
    failed, records = result.failed_records, result.records
    return result.name, result.passed, result.blocking, result.description, failed, records


def entered_checks(connection: Connection, run_id: str) -> Counter[tuple[str, str, str]]:
    """Return how many check results of a run are entered, by source, partition and name of the check."""
    rows = connection.execute(
        "SELECT source, partition, name, count(*) FROM etl.check_result WHERE run_id = %s GROUP BY 1, 2, 3", (run_id,)
    ).fetchall()
    return Counter({(source, partition, name): number for source, partition, name, number in rows})


def is_unchanged(connection: Connection, run_id: str) -> bool:
    """Return whether a run found nothing to do, so that its check results are those of another run."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM etl.run WHERE run_id = %s AND verdict_run_id IS NOT NULL)", (run_id,)
    ).fetchone()
    return bool(row and row[0])


def entered_runs(connection: Connection, run_id: str) -> dict[RunKey, tuple[str, int | None]]:
    """Return the status and the delivery of each source partition of a run."""
    rows = connection.execute(
        "SELECT source, partition, status, delivery_id FROM etl.run WHERE run_id = %s ORDER BY id", (run_id,)
    ).fetchall()
    return {RunKey(run_id, source, partition): (status, delivery) for source, partition, status, delivery in rows}


def lock_run(connection: Connection, run_id: str) -> None:
    """Wait for the lock that lets one process at a time complete the entries of a run.

    The lock is released when the transaction ends.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_number(_COMPLETING, run_id),))


def _finish_run(
    connection: Connection,
    key: RunKey,
    status: RunStatus,
    done: CommittedWork,
    delivery_id: int | None = None,
    seconds: Mapping[str, float] | None = None,
    *,
    error_class: str | None = None,
    error: str | None = None,
    step: str = "",
    at: datetime | None = None,
) -> RunEnd | None:
    assignments = ", ".join(f"{name} = %s" for name in COUNT_NAMES)
    row = connection.execute(
        "UPDATE etl.run SET status = %s, ended_at = coalesce(%s, clock_timestamp()), missed_at = NULL, "
        "delivery_id = coalesce(%s, delivery_id, %s), seconds = seconds || %s, error_class = %s, error = %s, "
        f"step = coalesce(nullif(%s, ''), step), {assignments} WHERE {THIS_RUN} "
        "RETURNING delivery_id, extract(epoch FROM ended_at - started_at), step = 'replay'",
        (
            status,
            at,
            delivery_id,
            done.delivery_id,
            _rounded_json(seconds),
            error_class,
            error,
            step,
            *done.counts.values,
            *key.values,
        ),
    ).fetchone()
    if row is None:
        return None
    return RunEnd(*key.values, status, row[0], done.counts, float(row[1]), error_class or "", error or "", row[2])


def _rounded_json(seconds: Mapping[str, float] | None) -> Jsonb:
    return Jsonb({name: round(spent, 4) for name, spent in (seconds or {}).items()})
