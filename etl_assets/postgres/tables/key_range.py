"""How statements find the rows of a batch in a table: one key after the other, or all in the order of the key.

A search of the index for each key costs the same wherever the keys are. If they are close together, as in a delivery
that is sorted by its key, it costs half to read the index once from the first key of the batch to the last.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.postgres.connection import joining_by_index, planned_without
from etl_assets.postgres.tables.names import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.range_partitions import Pruning
    from etl_assets.schema import Schema

_SORTED: Final = {"integer", "date", "timestamp"}
"""Types that sort quickly, and in one order everywhere; the order of texts is that of the database's collation."""
_LEAST: Final = 1_000
"""The keys of fewer rows are searched for one by one."""
_MOST: Final = 4
"""Reading a row that the batch does not have costs so much less than a search: it pays up to so many for each row."""


class KeyRange:
    """The range of a table's index in which the keys of a batch are.

    Args:
        connection: Of the load.
        table: ``schema.table``.
        schema: Of the table.
        pruning: Of the table. If it is partitioned, keys are searched for one by one.
    """

    def __init__(self, connection: Connection, table: str, schema: Schema, pruning: Pruning) -> None:
        self._connection = connection
        self._table = identifier(table)
        self._key = schema.key
        self._pruning = pruning
        self._may_be_close = (
            pruning.column is None
            and bool(schema.key)
            and all(schema[name].type.name in _SORTED for name in schema.key)
        )

    @contextmanager
    def joined(self, rows: pl.DataFrame) -> Iterator[sql.Composable]:
        """Let the statements of a block join the table, ``t``, with some rows by key, at a cost that depends on these.

        By default, the planner reads the whole table for each batch. That took twice the time for a table of five
        batches, and the time grows with the table.

        Args:
            rows: A batch with the columns of the key, which are not null.

        Yields:
            `` AND …``: a condition, true of the rows of ``t`` that the batch has, that the statements must have.
        """
        within = self._within(rows)
        if within is None:
            with joining_by_index(self._connection):
                yield self._pruning.condition(rows)
        else:
            with planned_without(self._connection, "hashjoin", "nestloop", "material", "seqscan"):
                yield sql.SQL(" AND {}").format(within)

    def _within(self, rows: pl.DataFrame) -> sql.Composable | None:
        """Return the condition that a row of ``t`` is in the range of some rows; None if the range has many others.

        Batches of a delivery are alike, so that none is asked about after one whose range had many others.
        """
        if not self._may_be_close or rows.height < _LEAST:
            return None
        values = rows.get_column(self._key[0])
        within = sql.SQL("t.{} BETWEEN {} AND {}").format(
            sql.Identifier(self._key[0]), sql.Literal(values.min()), sql.Literal(values.max())
        )
        query = sql.SQL("SELECT count(*) FROM (SELECT FROM {} t WHERE {} LIMIT {}) t").format(
            self._table, within, sql.Literal(_MOST * rows.height + 1)
        )
        with planned_without(self._connection, "seqscan"):
            row = self._connection.execute(query, prepare=False).fetchone()
        self._may_be_close = row is not None and row[0] <= _MOST * rows.height
        return within if self._may_be_close else None
