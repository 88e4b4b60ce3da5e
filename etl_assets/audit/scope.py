"""Which rows of a table an expectation of a run is about.

No run reads more rows than its deliveries brought, or than their partition has, by an index of deliveries. Without
partitions, the whole table is read while it is hardly larger than what was delivered.

The index that every table has finds ranges of 256 kB. Where later deliveries change rows here and there, nearly every
range has a row of the newest one. So a table that is much larger than a delivery, and has expectations, gets a B-tree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from etl_assets.postgres.ledger.row_counts import count_partition_rows, count_rows
from etl_assets.postgres.tables.audit_queries import deliveries_of_partition, deliveries_of_run
from etl_assets.postgres.tables.ddl import index_name
from etl_assets.postgres.tables.delivery_index import cover_new_rows, create_tree
from etl_assets.postgres.tables.marks import has_marks
from etl_assets.schema import DELIVERY_ID

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source

_FEW_ROWS: Final = 10_000
"""So many rows are always read."""
_MANY_ROWS: Final = 100_000
"""Only beyond so many rows is a B-tree worth its cost."""
_MUCH_LARGER: Final = 10
"""A table is much larger than a delivery if it has so many times as many rows as the delivery has records."""


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

    def of_all_rows(self) -> Scope:
        """Return the whole table."""
        return replace(self, deliveries=None, is_part=False)


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
    rows = count_rows(connection, source.name, table)
    if partition:
        brought, records = deliveries_of_partition(connection, source.name, partition)
        stays = count_partition_rows(connection, source.name, stored, partition) is not None
    else:
        brought, records = deliveries_of_run(connection, source.name, run_id)
        if rows <= max(2 * records, _FEW_ROWS):
            return Scope(table, stored, marked)
        stays = False
    if rows > max(_MUCH_LARGER * records, _MANY_ROWS) and not stays:
        create_tree(connection, stored, index_name(stored, (DELIVERY_ID,), "tree"))
    cover_new_rows(connection, stored)
    return Scope(table, stored, marked, tuple(brought), rows, is_part=not partition)
