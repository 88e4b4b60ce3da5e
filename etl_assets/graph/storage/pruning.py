"""Prunes Dagster's event log by age, without changing what Dagster says of assets.

What was true at any moment since then can still be seen: of the events before it, the newest of each type stays for
each partition of each asset, and of the executions of a check the newest one and the newest evaluated one. So
partitions, staleness, conditions and checks are as before. What goes are old events of runs: their pages become empty.
The runs themselves stay, because the status of a partition that failed is that of its run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final

import sqlalchemy

if TYPE_CHECKING:
    from datetime import datetime

    from dagster_postgres import PostgresEventLogStorage
    from sqlalchemy import TextClause

PIECE: Final = 10_000
"""How many rows a transaction examines."""
_EVENTS: Final = sqlalchemy.text(
    """
    WITH piece AS (
      SELECT id, run_id, timestamp, dagster_event_type AS type, asset_key, partition
      FROM event_logs WHERE id > :after ORDER BY id LIMIT :size
    ), gone AS (
      DELETE FROM event_logs USING piece LEFT JOIN runs ON runs.run_id = piece.run_id
      WHERE event_logs.id = piece.id AND piece.timestamp < :before
        AND coalesce(runs.status, '') IN ('', 'SUCCESS', 'FAILURE', 'CANCELED')
        AND (
          piece.asset_key IS NULL
          OR piece.partition IS NULL AND EXISTS (
            SELECT FROM event_logs AS newer
            WHERE newer.asset_key = piece.asset_key AND newer.dagster_event_type = piece.type
              AND newer.partition IS NULL AND newer.id > piece.id AND newer.timestamp < :before
          ) AND NOT (
            -- it may be of several partitions, which all failed
            piece.type = 'ASSET_MATERIALIZATION_PLANNED' AND coalesce(runs.status, '') <> 'SUCCESS'
          )
          OR piece.partition IS NOT NULL AND EXISTS (
            SELECT FROM event_logs AS newer
            WHERE newer.asset_key = piece.asset_key AND newer.dagster_event_type = piece.type
              AND newer.partition = piece.partition AND newer.id > piece.id AND newer.timestamp < :before
          )
        )
      RETURNING event_logs.id
    ), untagged AS (
      DELETE FROM asset_event_tags USING gone WHERE asset_event_tags.event_id = gone.id
    )
    SELECT (SELECT max(id) FROM piece WHERE timestamp < :before), (SELECT count(*) FROM gone)
    """
)
_EXECUTIONS: Final = sqlalchemy.text(
    """
    WITH piece AS (
      SELECT * FROM asset_check_executions WHERE id > :after ORDER BY id LIMIT :size
    ), gone AS (
      DELETE FROM asset_check_executions USING piece LEFT JOIN runs ON runs.run_id = piece.run_id
      WHERE asset_check_executions.id = piece.id AND piece.evaluation_event_timestamp < :before
        AND coalesce(runs.status, '') IN ('', 'SUCCESS', 'FAILURE', 'CANCELED')
        AND EXISTS (
          SELECT FROM asset_check_executions AS newer
          WHERE newer.asset_key = piece.asset_key AND newer.check_name = piece.check_name
            AND newer.partition IS NOT DISTINCT FROM piece.partition AND newer.id > piece.id
            AND newer.evaluation_event_timestamp < :before
            AND (piece.execution_status = 'PLANNED' OR newer.execution_status <> 'PLANNED')
        )
      RETURNING asset_check_executions.id
    )
    SELECT (SELECT max(id) FROM piece WHERE evaluation_event_timestamp < :before), (SELECT count(*) FROM gone)
    """
)


@dataclass(frozen=True)
class Pruned:
    """How many rows went.

    Attributes:
        events: Events of runs.
        executions: Executions of checks.
    """

    events: int
    executions: int


def prune(storage: PostgresEventLogStorage, before: datetime) -> Pruned:
    """Prune the event log, in pieces that are transactions of their own; what is interrupted is continued next time.

    Args:
        storage: The event log; its database has the runs as well.
        before: What is as old as this or younger stays. Has a time zone.

    Returns:
        How many rows went.
    """
    utc = before.astimezone(UTC).replace(tzinfo=None)
    return Pruned(events=_in_pieces(storage, _EVENTS, utc), executions=_in_pieces(storage, _EXECUTIONS, utc))


def _in_pieces(storage: PostgresEventLogStorage, statement: TextClause, before: datetime) -> int:
    """Execute a statement for one piece after the other, until a piece has nothing old; return how many rows went."""
    gone, after = 0, 0
    with storage.index_connection() as connection:
        while True:
            given = {"after": after, "size": PIECE, "before": before}
            row = connection.execute(statement, given).one()
            gone += int(row[1])
            if row[0] is None:
                return gone
            after = int(row[0])
