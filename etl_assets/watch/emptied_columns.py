"""Find columns that a renaming or a removal leaves empty: the declaration reads them under a name that is gone.

The rows of such deliveries have NULL in the column; for a required one, the deliveries are refused. Nothing is changed
here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.tables.reading import count_nulls
from etl_assets.postgres.watch import drift_events as memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.delivery import Delivery
    from etl_assets.model.drift import DriftEvent
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Column, Schema
    from etl_assets.source import Source


@dataclass(frozen=True)
class EmptiedColumn:
    """A declared column of which an event took a name.

    Attributes:
        name: Of the column in the table.
        since: The first delivery of the event.
        rows: Number of rows of the table that this delivery and the newer ones loaded.
        nulls: How many of them have NULL in the column.
        published: Whether the last delivery of the event has the column under a declared name.
    """

    name: str
    since: Delivery
    rows: int
    nulls: int
    published: bool


def emptied_column(connection: Connection, source: Source, event: DriftEvent) -> EmptiedColumn | None:
    """Return the optional column of which an event took a name, and its empty rows; None if there is none.

    A required column is never empty: the delivery is refused. One with a default gets the default.

    Args:
        connection: To the warehouse.
        source: The present declaration of the event's source.
        event: Of any kind and status.
    """
    column = _column(source.schema, event)
    since = deliveries.by_id(connection, event.first_delivery)
    if column is None or since is None:
        return None
    loaded = [since.id, *deliveries.newer(connection, since)]
    rows, nulls = count_nulls(connection, source.table, column.name, loaded)
    names = memory.published_names(connection, event.last_delivery)
    return EmptiedColumn(column.name, since, rows, nulls, not names.isdisjoint(column.published_names))


def missing_column(connection: Connection, source: Source, event: DriftEvent) -> Column | None:
    """Return the required column for whose absence deliveries are refused since an event; None if there is none.

    Args:
        connection: To the warehouse.
        source: The present declaration of the event's source.
        event: Of any kind and status.
    """
    column = _of_event(
        [column for column in source.schema.columns if column.required and column.default is None], event
    )
    if column is None:
        return None
    names = memory.published_names(connection, event.last_delivery)
    return column if names.isdisjoint(column.published_names) else None


def _column(schema: Schema, event: DriftEvent) -> Column | None:
    """Return the optional column of the table that has the old name of the event, or else its new name."""
    optional = [column for column in schema.columns if not column.required and column.default is None]
    return _of_event(optional, event)


def _of_event(columns: Sequence[Column], event: DriftEvent) -> Column | None:
    """Return the column that has the old name of a renaming or a removal, or else its new name."""
    if event.change.kind not in {"renamed", "removed"}:
        return None
    by_name = {name: column for column in columns for name in column.published_names}
    return by_name.get(event.change.subject) or by_name.get(event.change.replacement)
