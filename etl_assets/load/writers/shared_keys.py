"""Partitions of a DataFrame asset must not have a key in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.errors import LoadError
from etl_assets.postgres.tables.other_partitions import find_other_partition

if TYPE_CHECKING:
    import polars as pl

    from etl_assets.load.writers.base import WriterContext


def refuse_shared_keys(context: WriterContext, rows: pl.DataFrame) -> None:
    """Raise a `LoadError` if another partition has one of the keys of some rows.

    What is not frozen could not be read again. So which of the two rows stays would depend on which partition was
    computed last.
    """
    target = context.target
    other = find_other_partition(
        context.connection, target.table, target.schema, context.delivery, rows, marked=target.writer.marks
    )
    if other is not None:
        key = ", ".join(target.schema.key)
        raise LoadError(
            f"The frame for partition {context.delivery.partition!r} of {target.table} has keys that partition "
            f"{other!r} has too. Nothing was written. Add the column that decides the partition to metadata 'key', "
            f"now {key}, or let each partition return only its own rows."
        )
