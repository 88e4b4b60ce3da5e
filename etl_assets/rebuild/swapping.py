"""Puts the table that was built in place of the one in use, and gives its ledger to the source."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

from etl_assets import watch
from etl_assets.errors import BusyError, RebuildError
from etl_assets.load.prepare import hash_seed
from etl_assets.postgres.connection import connected, in_session
from etl_assets.postgres.ledger import deliveries, locks, rebuild_merge, rebuilding, references
from etl_assets.postgres.ledger.rebuilt import OFFSET
from etl_assets.postgres.tables.as_of_function import function_properties
from etl_assets.postgres.tables.beside import beside, drop_views, shift_marks
from etl_assets.postgres.tables.history_table import as_of
from etl_assets.postgres.tables.marks import remove_marks
from etl_assets.postgres.tables.older_snapshots import wait_for_older_snapshots
from etl_assets.postgres.tables.replacement import Replacement
from etl_assets.rebuild.building import alone, build_on, stored_beside

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse
    from etl_assets.postgres.connection import Connection
    from etl_assets.rebuild.building import Built, OnProgress
    from etl_assets.source import Source

_SNAPSHOT_SECONDS: Final = 60.0


def swap(source: Source, warehouse: Warehouse, run_id: str, on_progress: OnProgress | None = None) -> Built:
    """Build what is missing, then put the table in place of the one in use.

    No load of the source runs meanwhile. Readers see the old table or the new one.

    Args:
        source: The declaration.
        warehouse: Has the frozen bytes, the ledger and the table.
        run_id: Of the run that swaps.
        on_progress: See `OnProgress`.

    Raises:
        BusyError: If a run is loading the source, or readers do not let the table go. Nothing was put in place.
        RebuildError: If something is attached to the table that does not fit the new one, or a delivery that is loaded
            was refused under the declaration. Nothing was put in place.
    """
    with alone(source, warehouse), connected(warehouse.url) as connection:
        Replacement(connection, source.table, beside(source.table), stored_beside(source))
        build_on(source, warehouse, run_id, on_progress)
        for partition in rebuilding.partitions(connection, source.name):
            locks.lock(connection, source.name, partition)
        try:
            built = build_on(source, warehouse, run_id, on_progress)
            _refuse_losses(source, built)
            _put_in_place(connection, source, run_id)
        finally:
            if not connection.closed:
                locks.unlock(connection)
        in_session(warehouse.url, partial(_conclude, source=source))
    return built


def _put_in_place(connection: Connection, source: Source, run_id: str) -> None:
    new, stored = beside(source.table), stored_beside(source)
    replacement = Replacement(connection, source.table, new, stored)
    with connection.transaction():
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        # a source without deliveries has none
        source.writer.ensure_table(connection, new, source.row_schema, source.partition_by)
        drop_views(connection, new)
        shift_marks(connection, stored, -OFFSET)
        replacement.prepare()
    if not wait_for_older_snapshots(connection, _SNAPSHOT_SECONDS, time.sleep):
        raise BusyError(
            f"Another session has had a transaction open for {_SNAPSHOT_SECONDS:.0f} seconds, in which it would not "
            f"see every row of the new table. {source.table} is as it was, and what was built stays. End that "
            "transaction, then swap again."
        )
    with connection.transaction():
        rebuild_merge.fence_off(connection, source.name, run_id)
        if rebuilding.behind(connection, source.name, source.fingerprint):
            raise _interrupted(source)
        rebuild_merge.merge(connection, source.name, run_id, hash_seed(source.row_schema))
        references.record(connection, source.table, source.schema.lookups)
        replacement.lock()
        if not source.writer.marks:
            remove_marks(connection, source.table)
        replacement.exchange()
        source.writer.ensure_table(connection, source.table, source.row_schema, source.partition_by)
        replacement.attach()


def _interrupted(source: Source) -> BusyError:
    return BusyError(
        f"Something of {source.name} was delivered or decided while its table was being put in place. The table was "
        "not put in place; what was built stays. Swap again."
    )


def _refuse_losses(source: Source, built: Built) -> None:
    """Raise if a delivery that is loaded was refused, so that its rows would be lost."""
    lost = [refused for refused in built.refused if refused.was_loaded]
    if lost:
        ids = ", ".join(str(refused.id) for refused in lost)
        raise RebuildError(
            f"These deliveries of {source.name} are loaded, and were refused under today's declaration: {ids}. The "
            f"first: {lost[0].reason} The table was not put in place; what was built stays. Correct the declaration, "
            "or the records, then swap again."
        )


def _conclude(connection: Connection, source: Source) -> None:
    """Merge the profiles of the deliveries that were read; drop a former function when no query calls it any more."""
    if function_properties(connection, as_of(beside(source.table))) is not None and wait_for_older_snapshots(
        connection, _SNAPSHOT_SECONDS, time.sleep
    ):
        drop_views(connection, beside(source.table))
    for partition in rebuilding.partitions(connection, source.name):
        for delivery in deliveries.deliveries_to_conclude(connection, source.name, partition):
            watch.conclude(connection, source, delivery)
