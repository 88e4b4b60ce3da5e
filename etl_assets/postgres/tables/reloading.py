"""Changes rows of a delivery that is reloaded, or written out of order, besides the upsert.

Rows that the delivery no longer yields are deleted. Rows that something newer confirmed get its mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.postgres.connection import planned_without
from etl_assets.postgres.tables.copy import copy_in, encode, wire_frame
from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.reading import fetch_frame
from etl_assets.schema import BOOKKEEPING, DELIVERY_ID, RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.key_lists import KeyList
    from etl_assets.postgres.tables.upsert import Protect
    from etl_assets.schema import Schema

_PRODUCED: Final = "etl_produced"
_CONFIRMED: Final = "etl_confirmed"


def remove_unproduced(
    connection: Connection,
    table: str,
    schema: Schema,
    delivery: Delivery,
    produced: pl.DataFrame,
    records: tuple[int, int],
    protect: Protect | None,
    deleted: KeyList | None = None,
) -> tuple[int, bool]:
    """Delete rows of a delivery that its reloaded records no longer yield, or yield with another order.

    A row whose order column changed is deleted and then written again, since rows of other deliveries may be newer now.
    The rows are found by the index of deliveries. For a table without statistics, as after its first load, the planner
    would choose to read the whole table.

    Args:
        connection: In the batch's transaction.
        table: ``schema.table``.
        schema: Of the table.
        delivery: The delivery.
        produced: Every row that the records yield now: the schema's columns and ``RECORD_NO``.
        records: The first and the last record that is reloaded.
        protect: See `TableWriter.write`.
        deleted: Gets the keys of the rows that are deleted, a row for each; None if nobody needs them.

    Returns:
        How many rows were deleted, and whether a newer record has the key of one of them with other contents.
    """
    columns = tuple(dict.fromkeys((RECORD_NO, *schema.key, *((schema.order_by,) if schema.order_by else ()))))
    _fill(connection, _PRODUCED, table, schema, produced.select(columns))
    values = {"delivery": delivery.id, "first": records[0], "last": records[1]}
    unproduced = _unproduced(schema)
    others = 0
    with planned_without(connection, "seqscan"):
        if protect is not None:
            query = sql.SQL("SELECT {} FROM {} t WHERE {}").format(_listed(columns), identifier(table), unproduced)
            candidates = fetch_frame(connection, query, values, columns, schema)
            if candidates.height:
                confirmed = protect(candidates)
                others = confirmed.height - hand_over(connection, table, schema, confirmed)
        statement = sql.SQL("DELETE FROM {} t WHERE {}").format(identifier(table), unproduced)
        if deleted is not None:
            statement = deleted.returned_by(statement, "t")
        return connection.execute(statement, values).rowcount, others > 0


def hand_over(connection: Connection, table: str, schema: Schema, confirmed: pl.DataFrame) -> int:
    """Set the marks of rows to those of the newer records that have the same contents.

    Args:
        connection: In the batch's transaction.
        table: ``schema.table``.
        schema: Of the table.
        confirmed: The key's columns and the bookkeeping columns of the records.

    Returns:
        How many rows have the contents of their record.
    """
    if confirmed.is_empty():
        return 0
    _fill(connection, _CONFIRMED, table, schema, confirmed.select(*BOOKKEEPING, *schema.key))
    marks = [sql.SQL("{0} = s.{0}").format(sql.Identifier(name)) for name in (DELIVERY_ID, RECORD_NO)]
    return connection.execute(
        sql.SQL("UPDATE {} t SET {} FROM {} s WHERE {} AND t.{hash} = s.{hash}").format(
            identifier(table),
            sql.SQL(", ").join(marks),
            _temporary(_CONFIRMED),
            same_key(schema, "t", "s"),
            hash=sql.Identifier(ROW_HASH),
        )
    ).rowcount


def take_over(
    connection: Connection, table: str, schema: Schema, rows: pl.DataFrame, outranked_by: Sequence[int]
) -> None:
    """Set the marks of unchanged rows that are of older deliveries to those of the records that confirmed them.

    Args:
        connection: In the batch's transaction, after the rows were written.
        table: ``schema.table``.
        schema: Of the table.
        rows: With the key's columns and the bookkeeping columns.
        outranked_by: Ids of the newer deliveries.
    """
    _fill(connection, _CONFIRMED, table, schema, rows.select(*BOOKKEEPING, *schema.key))
    connection.execute(
        sql.SQL(
            "UPDATE {table} t SET {delivery} = s.{delivery}, {record} = s.{record} FROM {rows} s WHERE {match} "
            "AND t.{hash} = s.{hash} AND t.{delivery} <> s.{delivery} AND t.{delivery} <> ALL (%s::bigint[])"
        ).format(
            table=identifier(table),
            delivery=sql.Identifier(DELIVERY_ID),
            record=sql.Identifier(RECORD_NO),
            hash=sql.Identifier(ROW_HASH),
            rows=_temporary(_CONFIRMED),
            match=same_key(schema, "t", "s"),
        ),
        (list(outranked_by),),
    )


def _unproduced(schema: Schema) -> sql.Composed:
    """The condition that a row of the table, ``t``, comes from a reloaded record that does not yield it."""
    order = schema.order_by
    same_order = sql.SQL("AND s.{0} = t.{0}").format(sql.Identifier(order)) if order else sql.SQL("")
    return sql.SQL(
        "t.{delivery} = %(delivery)s AND t.{record} BETWEEN %(first)s AND %(last)s "
        "AND NOT EXISTS (SELECT FROM {produced} s WHERE {match} AND s.{record} = t.{record} {same_order})"
    ).format(
        delivery=sql.Identifier(DELIVERY_ID),
        record=sql.Identifier(RECORD_NO),
        produced=_temporary(_PRODUCED),
        match=same_key(schema, "t", "s"),
        same_order=same_order,
    )


def _fill(connection: Connection, name: str, table: str, schema: Schema, rows: pl.DataFrame) -> None:
    """Fill a temporary table with rows of some columns of a table; create it if the session does not have it."""
    connection.execute(
        sql.SQL("CREATE TEMP TABLE IF NOT EXISTS {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} t WITH NO DATA").format(
            sql.Identifier(name), _listed(rows.columns), identifier(table)
        )
    )
    connection.execute(sql.SQL("TRUNCATE {}").format(_temporary(name)))
    copy_in(connection, _temporary(name), rows.columns, encode(wire_frame(rows, schema)))


def _temporary(name: str) -> sql.Identifier:
    return sql.Identifier("pg_temp", name)


def _listed(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in names)
