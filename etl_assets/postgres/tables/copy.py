"""Encodes typed frames as binary COPY and sends them, and reads whole answers, without a Python loop over rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import sql

from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

    Codes: TypeAlias = NDArray[np.int64]

_JSONB_VERSION: Final = "\x01"
_ENCODED_AT_ONCE: Final = 16_384
"""The largest number of rows that are held as Arrow at a time, beside the frame and its bytes."""


def wire_frame(rows: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Convert rows to the binary values of Postgres: uuid to its 16 bytes, json with the version byte of jsonb.

    Args:
        rows: Typed as in `Verdict`; any of the schema's columns, and others, which stay as they are.
        schema: Defines which columns are uuid or json.
    """
    converted = []
    for column in schema.columns:
        if column.name not in rows.columns:
            continue
        if column.type.name == "uuid":
            converted.append(pl.col(column.name).str.replace_all("-", "", literal=True).str.decode("hex"))
        elif column.type.name == "json":
            converted.append(wire_jsonb(column.name))
    return rows.with_columns(converted) if converted else rows


def wire_jsonb(name: str) -> pl.Expr:
    """Convert a column of JSON texts to the binary values of jsonb."""
    return pl.concat_str(pl.lit(_JSONB_VERSION), pl.col(name)).alias(name)


def encode(frame: pl.DataFrame) -> bytes:
    """Encode a frame as one binary COPY stream.

    Args:
        frame: From `wire_frame`; its columns in the order of the COPY statement.
    """
    encoder = ArrowToPostgresBinaryEncoder(_arrow_table(frame.clear()).schema)
    parts = [encoder.write_header()]
    for rows in frame.iter_slices(_ENCODED_AT_ONCE):
        parts += [encoder.write_batch(batch) for batch in _arrow_table(rows).to_batches()]
    parts.append(encoder.finish())
    return b"".join(parts)


def _arrow_table(frame: pl.DataFrame) -> pa.Table:
    """Convert a frame to the types of Arrow that can be encoded."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    for index, field in enumerate(table.schema):
        if pa.types.is_time64(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.time64("us")))
    return table


def copy_in(connection: Connection, table: sql.Composable, columns: Sequence[str], data: bytes) -> None:
    """Send an encoded frame to a table, as one COPY in the caller's transaction."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        table, sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        view = memoryview(data)
        for start in range(0, len(view), 1 << 20):
            copy.write(view[start : start + (1 << 20)])


def read_codes(
    connection: Connection, query: sql.Composable, values: Mapping[str, object] | Sequence[object] | None = None
) -> Codes:
    """Execute a query in the caller's transaction and return its answer, which the server puts into one value.

    A message for each row would cost the client more than the rest of the batch.

    Args:
        connection: In the transaction.
        query: Returns one column, of type integer, never null: a ``SELECT``, or a change with ``RETURNING``.
        values: The parameters of the query.

    Returns:
        The integers, in no order.
    """
    statement = sql.SQL("WITH answer (code) AS ({}) SELECT string_agg(int4send(code), ''::bytea) FROM answer").format(
        query
    )
    with connection.cursor(binary=True) as cursor:
        row = cursor.execute(statement, values, prepare=False).fetchone()  # a plan is of this batch and its settings
    return np.frombuffer((row and row[0]) or b"", ">i4").astype(np.int64)


def table_columns(schema: Schema) -> tuple[str, ...]:
    """Return the columns of a table in the order in which they are copied."""
    return (*schema.names, DELIVERY_ID, RECORD_NO, ROW_HASH)
