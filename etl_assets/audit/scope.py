"""Which rows of a table an expectation of a run is about.

No run reads more rows than its deliveries brought, or than their partition has, by the index of deliveries. Without
partitions, the whole table is read while it is hardly larger than what was delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets.postgres.ledger.row_counts import count_rows
from etl_assets.postgres.tables.audit_queries import deliveries_of_partition, deliveries_of_run
from etl_assets.postgres.tables.delivery_index import cover_new_rows
from etl_assets.postgres.tables.marks import has_marks

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source

_FEW_ROWS: Final = 10_000
"""So many rows are always read."""


@dataclass(frozen=True)
class Scope:
    """Some rows of a table.

    Attributes:
        table: ``schema.table``.
        stored: The table that has the rows: ``table`` itself, or the one of which it is a view.
        marked: Whether the table has rows that are marked as deleted; they are left out.
        deliveries: Ids of the deliveries that the rows come from; all rows when None.
        rows: How many rows the table has according to the ledger.
        is_part: Whether these are only some of the rows that the expectations are about.
    """

    table: str
    stored: str
    marked: bool
    deliveries: tuple[int, ...] | None = None
    rows: int = 0
    is_part: bool = False


def whole_table(connection: Connection, source: Source) -> Scope:
    """Return all rows of the table of a source."""
    return Scope(source.table, source.stored_table, marked=has_marks(connection, source.table))


def written_by(connection: Connection, source: Source, partition: str, run_id: str) -> Scope:
    """Return the rows that a run asks about, after it wrote.

    Args:
        connection: In autocommit, to the warehouse.
        source: The declaration; its table exists.
        partition: Key of the partition, whose rows these are; without partitions, they are those of the table, or of
            the deliveries that the run wrote.
        run_id: Of the run.
    """
    table, stored, marked = source.table, source.stored_table, has_marks(connection, source.table)
    cover_new_rows(connection, stored)
    if partition:
        return Scope(table, stored, marked, tuple(deliveries_of_partition(connection, source.name, partition)))
    brought, records = deliveries_of_run(connection, source.name, run_id)
    rows = count_rows(connection, source.name, table)
    if rows <= max(2 * records, _FEW_ROWS):
        return Scope(table, stored, marked)
    return Scope(table, stored, marked, tuple(brought), rows, is_part=True)
