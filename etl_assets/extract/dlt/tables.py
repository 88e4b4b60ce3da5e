"""Writes the Arrow tables and frames that a resource yields as one Parquet file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from etl_assets.errors import DeliveryError
from etl_assets.extract.dlt.frozen_format import NO_RECORD
from etl_assets.extract.dlt.marks import in_one_table, is_table, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.extract.dlt.items import Items

_AT_ONCE: Final = 32 * 1024 * 1024
"""Tables are collected up to this size, and written as one row group or more."""
_ROWS: Final = 1_000_000


def parquet_of(items: Items) -> Iterator[bytes]:
    """Yield a Parquet file with the records of all tables, some of it at a time.

    The columns are those of the first tables, up to 32 MiB of them. Later tables may have narrower types.

    Raises:
        DeliveryError: If an item is no table, or does not fit the columns of the first ones.
    """
    sink = _Sink()
    schema: pa.Schema | None = None
    writer: Any = None
    for tables in _groups(items):
        if schema is None:
            schema = _schema_of(tables, items)
            writer = pq.ParquetWriter(cast("Any", sink), schema, compression="zstd")
        for table in tables:
            writer.write_table(_fitted(table, schema, items), _ROWS)
            items.progress.advance(records=table.num_rows, size=table.nbytes)
        if items.progress.records:
            yield sink.take()
    if writer is None:
        yield NO_RECORD
    else:
        writer.close()
        yield sink.take()


def _groups(items: Items) -> Iterator[list[pa.Table]]:
    tables: list[pa.Table] = []
    size = 0
    for item in in_one_table(items):
        items.progress.advance(pages=1)
        for each in item if isinstance(item, list) else [item]:
            table = _table_of(each, items)
            tables.append(table)
            size += table.nbytes
        if size >= _AT_ONCE:
            yield [pa.concat_tables(tables, promote_options="none")] if _are_alike(tables) else tables
            tables, size = [], 0
    if tables:
        yield [pa.concat_tables(tables, promote_options="none")] if _are_alike(tables) else tables


def _are_alike(tables: list[pa.Table]) -> bool:
    return all(table.schema.equals(tables[0].schema) for table in tables)


def _table_of(item: Any, items: Items) -> pa.Table:
    if not is_table(item):
        raise refused(item, items.resource.origin)
    try:
        table = _converted(item)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DeliveryError(
            f"{items.resource.origin} yields a frame with a column that Arrow has no type for "
            f"({type(error).__name__}). Nothing was written. Give the column one type by add_map of the resource."
        ) from None
    return table.replace_schema_metadata(None)


def _converted(item: Any) -> pa.Table:
    if isinstance(item, pa.Table):
        return item
    if isinstance(item, pa.RecordBatch):
        return pa.Table.from_batches([item])
    if type(item).__module__.startswith("polars"):
        table: pa.Table = item.to_arrow()
        return table
    is_named = any(name is not None for name in item.index.names)
    return pa.Table.from_pandas(item, preserve_index=is_named)


def _schema_of(tables: list[pa.Table], items: Items) -> pa.Schema:
    """Return the columns that all of some tables fit."""
    try:
        return pa.unify_schemas([table.schema for table in tables], promote_options="permissive")
    except pa.ArrowException:
        raise _unlike(items) from None


def _fitted(table: pa.Table, schema: pa.Schema, items: Items) -> pa.Table:
    """Return a table with the columns of a schema; values are never changed, and no column is left out."""
    if table.schema.equals(schema):
        return table
    try:
        if not pa.unify_schemas([schema, table.schema], promote_options="permissive").equals(schema):
            raise _unlike(items)
        absent = [name for name in schema.names if name not in table.column_names]
        for name in absent:
            table = table.append_column(schema.field(name), pa.nulls(table.num_rows, schema.field(name).type))
        return table.select(schema.names).cast(schema)
    except pa.ArrowException:
        raise _unlike(items) from None


def _unlike(items: Items) -> DeliveryError:
    return DeliveryError(
        f"{items.resource.origin} yields tables with different columns. Nothing was written. Give all the same columns "
        "and types, for example by add_map(lambda table: table.cast(schema)) of the resource."
    )


class _Sink:
    """Takes what a writer writes until it is taken away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
