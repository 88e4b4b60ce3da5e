"""An event log that stores events of all kinds in one transaction, as Dagster stores each by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy
from dagster import DagsterEventType
from dagster._core.errors import DagsterInvariantViolationError
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status
from dagster._core.storage.event_log import SqlEventLogStorageTable
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster_postgres import PostgresEventLogStorage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dagster import EventLogEntry
    from sqlalchemy import Connection

_PLANNED: Final = DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
_EVALUATED: Final = DagsterEventType.ASSET_CHECK_EVALUATION
_COLUMNS: Final = ("asset_key", "check_name", "partition", "run_id", "status", "event", "at", "event_id", "target")
_STORE_EVALUATED: Final = sqlalchemy.text(
    """
    WITH given AS (
      SELECT * FROM unnest(
        CAST(:asset_key AS text[]), CAST(:check_name AS text[]), CAST(:partition AS text[]), CAST(:run_id AS text[]),
        CAST(:status AS text[]), CAST(:event AS text[]), CAST(:at AS timestamp[]), CAST(:event_id AS bigint[]),
        CAST(:target AS bigint[])
      ) WITH ORDINALITY
        AS given(asset_key, check_name, partition, run_id, status, event, at, event_id, target, position)
    ), updated AS (
      UPDATE asset_check_executions AS stored
      SET execution_status = given.status, evaluation_event = given.event, evaluation_event_timestamp = given.at,
        evaluation_event_storage_id = given.event_id, materialization_event_storage_id = given.target
      FROM given
      WHERE stored.asset_key = given.asset_key AND stored.check_name = given.check_name
        AND stored.run_id = given.run_id AND stored.partition IS NOT DISTINCT FROM given.partition
      RETURNING given.position
    ), inserted AS (
      INSERT INTO asset_check_executions (
        asset_key, check_name, partition, run_id, execution_status, evaluation_event, evaluation_event_timestamp,
        evaluation_event_storage_id, materialization_event_storage_id
      )
      SELECT asset_key, check_name, partition, run_id, status, event, at, event_id, target
      FROM given WHERE position NOT IN (SELECT position FROM updated) ORDER BY position
    )
    SELECT max(position) FROM updated GROUP BY position HAVING count(*) > 1
    """
)


class BatchEventLogStorage(PostgresEventLogStorage):
    """An event log that stores any events in one transaction.

    The rows are those that `PostgresEventLogStorage.store_event` leaves after the last of the events: a row of
    ``event_logs`` for each, in their order; their tags; the assets; the executions of checks.
    """

    def store_together(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in one transaction.

        Args:
            events: Of runs, in the order in which they happened; at least one.

        Raises:
            DBAPIError: If the database refuses a row or the connection breaks. Either all events are stored or none.
            DagsterInvariantViolationError: If the evaluation of a check was planned twice. Nothing is stored.
        """
        insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
        rows = [self._event_to_row(event) for event in events]
        with self.index_transaction() as connection:
            ids = connection.execute(insert, rows).scalars()
            stored = [Stored(*each) for each in zip(events, ids, rows, strict=True)]
            self._store_asset_events(connection, [each for each in stored if each.is_of_asset])
            _store_planned(connection, [each for each in stored if each.type is _PLANNED])
            _store_evaluated(connection, [each for each in stored if each.type is _EVALUATED])

    def _store_asset_events(self, connection: Connection, stored: Sequence[Stored]) -> None:
        """Store the tags of events, and in each asset the last event of a type: an asset has nothing of the others."""
        self._store_asset_event_tags(connection, [each.event for each in stored], [each.id for each in stored])
        last = {(each.row["asset_key"], each.type): each for each in stored}
        # in the order of the keys, so that two runs do not wait for each other
        for each in sorted(last.values(), key=lambda each: (each.row["asset_key"], each.id)):
            self._store_asset_event(connection, each.event, each.id)


class Stored(NamedTuple):
    """An event, its id, and its row of ``event_logs``."""

    event: EventLogEntry
    id: int
    row: Mapping[str, Any]

    @property
    def type(self) -> DagsterEventType | None:
        """The type of the event; None for a message."""
        return self.event.dagster_event_type if self.event.is_dagster_event else None

    @property
    def is_of_asset(self) -> bool:
        """Whether the event changes what is known of an asset."""
        return self.type in ASSET_EVENTS and self.row["asset_key"] is not None


def _store_planned(connection: Connection, stored: Sequence[Stored]) -> None:
    rows = []
    for each in stored:
        planned: Any = each.event.get_dagster_event().asset_check_planned_data
        subset = planned.partitions_subset
        rows += [
            {
                "asset_key": planned.asset_key.to_string(),
                "check_name": planned.check_name,
                "partition": partition,
                "run_id": each.event.run_id,
                "execution_status": Status.PLANNED.value,
                "evaluation_event": each.row["event"],
                "evaluation_event_timestamp": each.row["timestamp"],
                "evaluation_event_storage_id": each.id,
            }
            for partition in (subset.get_partition_keys() if subset else [None])
        ]
    if rows:
        connection.execute(AssetCheckExecutionsTable.insert(), rows)


def _store_evaluated(connection: Connection, stored: Sequence[Stored]) -> None:
    """Store in each execution of a check the last of its evaluations."""
    last = {}
    for each in stored:
        evaluation = each.event.get_dagster_event().asset_check_evaluation_data
        target = evaluation.target_materialization_data
        row = {
            "asset_key": evaluation.asset_key.to_string(),
            "check_name": evaluation.check_name,
            "partition": evaluation.partition,
            "run_id": each.event.run_id,
            "status": (Status.SUCCEEDED if evaluation.passed else Status.FAILED).value,
            "event": each.row["event"],
            "at": each.row["timestamp"],
            "event_id": each.id,
            "target": target.storage_id if target else None,
        }
        last[row["asset_key"], row["check_name"], row["run_id"], row["partition"]] = row
    if not last:
        return
    columns = {name: [row[name] for row in last.values()] for name in _COLUMNS}
    if connection.execute(_STORE_EVALUATED, columns).fetchone() is not None:
        raise DagsterInvariantViolationError("The evaluation of a check was planned twice in the same run.")
