"""Loads the frozen deliveries of a source, oldest first, into a table beside that of the source.

The ordinary loader does it, with copies of the deliveries as those of another source. So an interrupted rebuild goes on
where it stopped, and what was delivered, corrected or dismissed meanwhile is taken over when it is called again.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from etl_assets import ingest
from etl_assets.errors import BusyError, ShapeError, TooManyDeletedError, TooManyRejectedError
from etl_assets.postgres.connection import connected, in_session
from etl_assets.postgres.ledger import deliveries, locks, rebuilding
from etl_assets.postgres.ledger.rebuilt import OFFSET, rebuild_of
from etl_assets.postgres.tables.beside import beside, count, drop_views, has_marks_below, shift_marks
from etl_assets.postgres.tables.beside import drop as drop_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from etl_assets.landing import Warehouse
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.rebuilding import RefusedCopy
    from etl_assets.source import Source

OnProgress: TypeAlias = "Callable[[int, int], None]"
"""Called after each delivery, with how many are loaded and how many there are."""
_WHOLE: Final = "\0rebuild"
"""Replaces the partition in the number of the lock for the whole of a rebuild."""


@dataclass(frozen=True)
class Built:
    """The result of a build.

    Attributes:
        table: ``schema.table`` of the table beside that of the source; of a history, that of the versions.
        deliveries: How many deliveries it was loaded from.
        loaded: How many of them this call loaded, or loaded again.
        rows: How many rows it has.
        refused: The deliveries that were refused under the declaration.
    """

    table: str
    deliveries: int
    loaded: int
    rows: int
    refused: tuple[RefusedCopy, ...] = ()


def build(source: Source, warehouse: Warehouse, run_id: str, on_progress: OnProgress | None = None) -> Built:
    """Build the table of a source beside the one in use, or go on with it.

    If the declaration is another one than that of the build so far, the build begins again.

    Args:
        source: The declaration.
        warehouse: Has the frozen bytes, the ledger and the table.
        run_id: Of the run that builds.
        on_progress: See `OnProgress`.

    Raises:
        BusyError: If the same source is being rebuilt.
        EtlAssetsError: Any error of `ingest.load`, except refused deliveries; the deliveries before it stay loaded.
    """
    with alone(source, warehouse):
        return build_on(source, warehouse, run_id, on_progress)


def build_on(source: Source, warehouse: Warehouse, run_id: str, on_progress: OnProgress | None = None) -> Built:
    """Do the work of `build`, for a caller that keeps other rebuilds of the source out."""
    in_session(warehouse.url, partial(_begin, source=source), f"beginning the rebuild of {source.name}")
    loaded, parked = 0, -1
    while True:
        if delivery := in_session(warehouse.url, partial(_next, source=source)):
            _load(source, delivery, warehouse, run_id)
            loaded += 1
            if on_progress is not None:
                on_progress(*in_session(warehouse.url, partial(rebuilding.progress, source=source.name)))
            continue
        waiting = in_session(warehouse.url, partial(rebuilding.count_parked, source=source.name))
        if not _refers_to_itself(source) or not waiting or waiting == parked:
            break
        parked = waiting
        in_session(warehouse.url, partial(rebuilding.read_parked_again, source=source.name))
    return in_session(warehouse.url, partial(_built, source=source, loaded=loaded))


def stored_beside(source: Source) -> str:
    """Return the name of the table that has the rows that are built, ``schema.table``."""
    return source.writer.stored_in(beside(source.table))


def drop(source: Source, warehouse: Warehouse) -> bool:
    """Drop the table beside that of a source, and its ledger.

    Returns:
        Whether there was one.

    Raises:
        BusyError: If the source is being rebuilt.
    """
    with alone(source, warehouse), connected(warehouse.url) as connection:
        there = rebuilding.exists(connection, source.name)
        _drop(connection, source)
        return there


@contextmanager
def alone(source: Source, warehouse: Warehouse) -> Iterator[None]:
    """Keep other rebuilds of a source out for a block.

    Raises:
        BusyError: If there is another one.
    """
    with connected(warehouse.url) as connection:
        try:
            locks.lock(connection, rebuild_of(source.name), _WHOLE)
        except BusyError:
            raise BusyError(
                f"Another process rebuilds {source.name}. This one changed nothing. Wait for the other, then run it "
                "again."
            ) from None
        yield
        locks.unlock(connection)


def _begin(connection: Connection, source: Source) -> None:
    """Begin again if the declaration is another one; and undo what a swap that was interrupted has done."""
    table, stored = beside(source.table), stored_beside(source)
    if rebuilding.read_otherwise(connection, source.name, source.fingerprint):
        _drop(connection, source)
    elif not rebuilding.exists(connection, source.name):
        drop_table(connection, table)
    elif has_marks_below(connection, stored, OFFSET):
        with connection.transaction():
            drop_views(connection, table)
            shift_marks(connection, stored, OFFSET)
            source.writer.ensure_table(connection, table, source.row_schema, source.partition_by)


def _drop(connection: Connection, source: Source) -> None:
    with connection.transaction():
        drop_table(connection, beside(source.table))
        rebuilding.forget(connection, source.name)


def _next(connection: Connection, source: Source) -> Delivery | None:
    """Return the delivery to load next: the oldest that is not loaded, or else the newest that is stale."""
    rebuilding.copy_deliveries(connection, source.name)
    delivery = rebuilding.next_to_load(connection, source.name)
    if delivery is not None:
        return rebuilding.begin_copy(connection, source.name, delivery)
    rebuilding.copy_decisions(connection, source.name)
    return next(iter(deliveries.stale(connection, rebuild_of(source.name), source.fingerprint)), None)


def _load(source: Source, delivery: Delivery, warehouse: Warehouse, run_id: str) -> None:
    """Load a copy; a refusal is entered, and the rebuild goes on."""
    original = in_session(warehouse.url, partial(deliveries.by_id, delivery_id=delivery.id - OFFSET))
    consented = original is not None and original.status == "complete"
    try:
        ingest.load(source, delivery, warehouse, run_id, accept_deletes=consented, table=beside(source.table))
    except ShapeError as error:
        in_session(warehouse.url, partial(deliveries.refuse, delivery=delivery, why=str(error)))
    except (TooManyRejectedError, TooManyDeletedError):
        return  # the loader has entered it


def _refers_to_itself(source: Source) -> bool:
    """Return whether records may wait for parents in the same table."""
    return any(lookup.table == source.table for lookup in source.schema.lookups)


def _built(connection: Connection, source: Source, loaded: int) -> Built:
    table = stored_beside(source)
    _, total = rebuilding.progress(connection, source.name)
    refused = rebuilding.refused_copies(connection, source.name)
    return Built(table, total, loaded, count(connection, table), tuple(refused))
