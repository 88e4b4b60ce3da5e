"""Run history ``etl.run`` and check results ``etl.check_result``: for people who browse; nothing here steers a load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from etl_assets.errors import EtlAssetsError
from etl_assets.model.batch import Counts
from etl_assets.postgres.ledger import COUNT_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from etl_assets.postgres.connection import Connection


@dataclass(frozen=True)
class CheckRow:
    """One check result, as analysts see it."""

    name: str
    passed: bool
    blocking: bool
    description: str = ""
    failed_records: int = 0
    records: int = 0


def run_started(connection: Connection, run_id: str, source: str, partition: str) -> None:
    """Enter a run that begins, or begins again after a retry."""
    connection.execute(
        "INSERT INTO etl.run (run_id, source, partition, status) VALUES (%s, %s, %s, 'started') "
        "ON CONFLICT (run_id, source, partition) DO UPDATE SET status = 'started', ended_at = NULL, error = NULL, "
        "error_class = NULL",
        (run_id, source, partition),
    )


def run_ended(
    connection: Connection,
    run_id: str,
    source: str,
    partition: str,
    *,
    delivery_id: int | None = None,
    counts: Counts | None = None,
    seconds: Mapping[str, float] | None = None,
    error: BaseException | None = None,
) -> None:
    """Enter how a run ended: with its counts and seconds by phase, or with an error."""
    assignments = ", ".join(f"{name} = %s" for name in COUNT_NAMES)
    connection.execute(
        "UPDATE etl.run SET status = %s, ended_at = clock_timestamp(), delivery_id = %s, seconds = %s, "
        f"error_class = %s, error = %s, {assignments} WHERE run_id = %s AND source = %s AND partition = %s",
        (
            "failed" if error else "succeeded",
            delivery_id,
            Jsonb({phase: round(spent, 4) for phase, spent in (seconds or {}).items()}),
            type(error).__name__ if error else None,
            _told(error),
            *(counts or Counts()).values,
            run_id,
            source,
            partition,
        ),
    )


def _told(error: BaseException | None) -> str | None:
    """The text of an error of ours; another's may hold record contents."""
    if error is None or isinstance(error, EtlAssetsError):
        return str(error) if error else None
    return "Not an error of etl_assets; its text is in the run's log alone, for it may hold record contents."


def checks(
    connection: Connection,
    run_id: str,
    source: str,
    partition: str,
    delivery_id: int | None,
    results: Iterable[CheckRow],
) -> None:
    """Enter the check results of a run."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO etl.check_result (run_id, source, partition, delivery_id, name, passed, blocking, "
            "description, failed_records, records) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [(run_id, source, partition, delivery_id, *vars(result).values()) for result in results],
        )
