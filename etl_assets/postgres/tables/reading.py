"""Reads tables into Arrow, by one COPY and without a Python loop over rows."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final

import polars as pl
import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from etl_assets.errors import LoadError
from etl_assets.postgres.tables.history_table import OF_VERSIONS
from etl_assets.postgres.tables.marks import NOT_MARKED, has_marks
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import BOOKKEEPING, DELETED_AT, DELIVERY_ID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

_NUMERIC: Final = re.compile(r"numeric\((\d+),(\d+)\)")
_TYPES: Final[dict[str, pa.DataType]] = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
}
_MOMENTS: Final[dict[str, pa.DataType]] = {
    "timestamp without time zone": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    "time without time zone": pa.time64("us"),
}
"""Types that are sent as whole microseconds, because no text form of them is read the same everywhere."""


def read_table(
    connection: Connection,
    table: str,
    wanted: Sequence[str] | None,
    delivered_as: str,
    partitions: Sequence[str] | None,
) -> pa.Table:
    """Read a table.

    Args:
        connection: To the warehouse.
        table: ``schema.table``.
        wanted: Names of columns; all but the bookkeeping columns when None. Rows that are marked as deleted are read
            only if the column that marks them is named.
        delivered_as: Name of the source in the table of deliveries.
        partitions: Read only rows of deliveries of these partitions; all rows when None.

    Returns:
        The rows, in no order, with Arrow types that can represent the values; types without one as text.

    Raises:
        LoadError: If there is no such table or column.
    """
    types = _column_types(connection, table)
    marked = has_marks(connection, table)
    hidden = {*BOOKKEEPING, *OF_VERSIONS.columns, *((DELETED_AT,) if marked else ())}
    names = tuple(name for name in types if name not in hidden) if wanted is None else tuple(wanted)
    if unknown := [name for name in names if name not in types]:
        raise LoadError(
            f"Table {table} has no column {unknown[0]!r}. Nothing was read. It has {', '.join(types)}."
            if types
            else f"There is no table {table}. Nothing was read. Materialize the asset that writes it first."
        )
    if not types:
        raise LoadError(f"There is no table {table}. Nothing was read. Materialize the asset that writes it first.")
    columns = sql.SQL(", ").join(_select_expression(name, types[name]) for name in names)
    conditions: list[sql.Composable] = [sql.SQL("true")]
    if marked and DELETED_AT not in names:
        conditions.append(NOT_MARKED)
    if partitions is not None:
        conditions.append(
            sql.SQL("t.{} IN (SELECT id FROM etl.delivery WHERE source = {} AND partition = ANY ({}))").format(
                sql.Identifier(DELIVERY_ID), sql.Literal(delivered_as), sql.Literal(list(partitions))
            )
        )
    query = sql.SQL("SELECT {} FROM {} t WHERE {}").format(
        columns, identifier(table), sql.SQL(" AND ").join(conditions)
    )
    content = io.BytesIO()
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY ({}) TO STDOUT (FORMAT CSV)").format(query)) as copy,
    ):
        for part in copy:
            content.write(part)
    content.seek(0)
    return _parse_csv(content, {name: types[name] for name in names})


def count_nulls(connection: Connection, table: str, column: str, deliveries: Sequence[int]) -> tuple[int, int]:
    """Return how many rows some deliveries gave their contents, and how many of them have NULL in a column.

    Args:
        connection: To the warehouse.
        table: ``schema.table``; without it, or without the column, both numbers are 0.
        column: Name of the column.
        deliveries: Ids of the deliveries.
    """
    if column not in _column_types(connection, table):
        return 0, 0
    query = sql.SQL("SELECT count(*), count(*) FILTER (WHERE {} IS NULL) FROM {} WHERE {} = ANY (%s)").format(
        sql.Identifier(column), identifier(table), sql.Identifier(DELIVERY_ID)
    )
    row = connection.execute(query, (list(deliveries),)).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def fetch_frame(
    connection: Connection,
    query: sql.Composed,
    values: Mapping[str, object],
    names: Sequence[str],
    schema: Schema,
) -> pl.DataFrame:
    """Fetch a small number of rows as a typed frame.

    Args:
        connection: In any transaction.
        query: Selects columns of a table with that schema, and bookkeeping columns.
        values: Its parameters.
        names: Of the columns, in the order in which they are selected.
        schema: Has the types of the columns.
    """
    types = {name: schema[name].type.polars if name in schema.names else pl.Int64() for name in names}
    texts = {name for name, type_ in types.items() if type_ == pl.String}
    result = connection.execute(query, values).fetchall()
    rows = [
        [str(cell) if name in texts and cell is not None else cell for name, cell in zip(names, row, strict=True)]
        for row in result
    ]
    return pl.DataFrame(rows, schema=types, orient="row")


def _parse_csv(content: io.BytesIO, types: dict[str, str]) -> pa.Table:
    wire = {name: pa.int64() if type_ in _MOMENTS else arrow_type(type_) for name, type_ in types.items()}
    if not content.getbuffer().nbytes:
        return pa.schema([(name, arrow_type(type_)) for name, type_ in types.items()]).empty_table()
    parsed = csv.read_csv(
        content,
        read_options=csv.ReadOptions(column_names=list(types)),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=wire,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return parsed.cast(pa.schema([(name, arrow_type(type_)) for name, type_ in types.items()]))


def arrow_type(type_: str) -> pa.DataType:
    """Return the Arrow type that can represent the values of a Postgres type."""
    if numeric := _NUMERIC.fullmatch(type_):
        return pa.decimal128(int(numeric[1]), int(numeric[2]))
    return _MOMENTS.get(type_) or _TYPES.get(type_) or pa.string()


def _select_expression(name: str, type_: str) -> sql.Composable:
    column = sql.Identifier(name)
    if type_ in _MOMENTS:
        return sql.SQL("(extract(epoch FROM {}) * 1000000)::bigint").format(column)
    return column


def _column_types(connection: Connection, table: str) -> dict[str, str]:
    rows = connection.execute(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
        "WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        (table,),
    ).fetchall()
    return dict(rows)
