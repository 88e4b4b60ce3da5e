"""The event log that sends fewer statements."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy
from dagster import AssetRecordsFilter
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.storage.event_log import SqlEventLogStorage, SqlEventLogStorageTable
from dagster._serdes import serialize_value
from sqlalchemy.exc import DBAPIError, IntegrityError

from etl_assets.graph.storage.buffer import EventBuffer
from etl_assets.graph.storage.run_events import enter_in_run
from etl_assets.graph.storage.targets import CheckTargets
from etl_assets.graph.storage.together import BatchEventLogStorage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from dagster import AssetKey, EventLogEntry, EventRecordsResult
    from sqlalchemy import Connection


class LeanEventLogStorage(BatchEventLogStorage):
    """An event log that sends fewer statements than `PostgresEventLogStorage`, and stores the same.

    It looks up a table or column of Dagster's schema once, and sends no NOTIFY: Dagster no longer listens for it. The
    events of a step of a run that this process executes wait in a buffer; what reads through this storage sees them.

    A run has its status before the event that it failed can be read: the daemon tries a run again that has failed, and
    reads each event once.
    """

    handles_run_events_in_store_event = True

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        """Create the storage with the arguments of `PostgresEventLogStorage`."""
        self._tables: set[str] = set()
        self._asset_key_columns: set[str] = set()
        self._buffer = EventBuffer(self.store_together, self._store_now, lambda event: self._find(event) is not None)
        self._targets = CheckTargets()
        super().__init__(*arguments, **settings)

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event, and enter in its run what it says of it."""
        if not event.is_dagster_event or not event.get_dagster_event().is_job_event:
            self._store(event)
        elif event.get_dagster_event().is_run_failure:
            enter_in_run(self._instance, event)
            self._store(event)
        else:
            self._store(event)
            enter_in_run(self._instance, event)

    def _store(self, event: EventLogEntry) -> None:
        """Store an event; one of a run that this process executes may wait for others of its step."""
        if self._buffer.take(event):
            self._targets.observe(event)
        else:
            self._store_now(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in one transaction. If the connection breaks, look them up and store them again."""
        wanted = [event for event in events if not event.get_dagster_event().is_asset_failed_to_materialize]
        for event in wanted:
            self._targets.observe(event)
        if not wanted or self._buffer.take_all(wanted):
            return
        try:
            self.store_together(wanted)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            if self._find(wanted[0]) is None:
                self.store_together(wanted)

    def fetch_materializations(
        self,
        records_filter: AssetKey | AssetRecordsFilter,
        limit: int,
        cursor: str | None = None,
        ascending: bool = False,  # noqa: FBT001, FBT002 -- as in Dagster
    ) -> EventRecordsResult:
        """Return materializations; the newest of a partition is looked up once for the checks of a step."""

        def ask() -> EventRecordsResult:
            return super(LeanEventLogStorage, self).fetch_materializations(records_filter, limit, cursor, ascending)

        newest = limit == 1 and cursor is None and not ascending
        if self._buffer.is_of_run and newest and isinstance(records_filter, AssetRecordsFilter):
            return self._targets.newest(records_filter, ask)
        return ask()

    def dispose(self) -> None:
        """Store the events that wait, and end."""
        self._buffer.close()
        super().dispose()

    def _connect(self) -> AbstractContextManager[Connection]:
        """Return a connection, to read or to write, after the events that wait were stored."""
        self._buffer.flush()
        return super()._connect()

    def _store_now(self, event: EventLogEntry) -> None:
        """Store an event as every SQL storage does; `PostgresEventLogStorage` also sends NOTIFY.

        If the connection breaks, so that it is unknown whether the event was stored, look it up and store what is
        missing.
        """
        try:
            SqlEventLogStorage.store_event(self, event)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            if (event_id := self._find(event)) is None:
                SqlEventLogStorage.store_event(self, event)
            else:
                self._store_what_follows(event, event_id)

    def _find(self, event: EventLogEntry) -> int | None:
        table = SqlEventLogStorageTable.c
        same = sqlalchemy.select(table.id).where(table.run_id == event.run_id, table.event == serialize_value(event))
        with self.run_connection(event.run_id) as connection:
            row = connection.execute(same).fetchone()
        return None if row is None else int(row[0])

    def _store_what_follows(self, event: EventLogEntry, event_id: int) -> None:
        """Store what `SqlEventLogStorage.store_event` stores after the event."""
        if event.dagster_event_type in ASSET_EVENTS and event.get_dagster_event().asset_key:
            with self.index_transaction() as connection:
                self._store_asset_event_tags(connection, [event], [event_id])
                self._store_asset_event(connection, event, event_id)
        if event.dagster_event_type in ASSET_CHECK_EVENTS:
            with suppress(IntegrityError):  # it is stored already
                self.store_asset_check_event(event, event_id)

    def has_table(self, table_name: str) -> bool:
        """Return whether a table exists. Migrations only add tables, so each is looked up until it is found."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        columns = self._asset_key_columns
        if column_name not in columns and super()._has_asset_key_col_on_connection(conn, column_name):
            columns.add(column_name)
        return column_name in columns
