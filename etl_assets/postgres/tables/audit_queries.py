"""What a witness that reads the stored tables needs of SQL: a session that cannot write, and questions of its own.

The questions go through Great Expectations, which puts the rows in question in the place of ``{batch}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.model.schema import DELIVERY_ID
from etl_assets.postgres.tables.ddl import identifier, postgres_type

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, time
    from decimal import Decimal

    from etl_assets.model.schema import Column, References
    from etl_assets.postgres.connection import Connection

MOST_ROWS: Final = 10_000
"""So many rows at most are brought by one of these questions; a count that high means that many or more."""

SESSION: Final = {
    "options": "-c TimeZone=UTC -c DateStyle=ISO -c jit=off -c work_mem=64MB -c lock_timeout=60s "
    "-c client_connection_check_interval=500ms",
    "application_name": "etl_assets audit",
    "connect_timeout": 15,
}
"""Arguments of a connection."""

READ_ONLY: Final = "SET default_transaction_read_only = on"
_BATCH: Final = sql.SQL("{batch}")


def deliveries_of(connection: Connection, source: str, partition: str) -> list[int]:
    """Ids of every delivery of a partition."""
    rows = connection.execute(
        "SELECT id FROM etl.delivery WHERE source = %s AND partition = %s ORDER BY id", (source, partition)
    ).fetchall()
    return [delivery_id for (delivery_id,) in rows]


def rows_view(name: str, table: str, deliveries: Sequence[int] | None) -> str:
    """The statement that makes a view, for one session, of a table's rows, or of those that some deliveries brought."""
    made = sql.SQL("CREATE TEMPORARY VIEW {} AS SELECT * FROM {}").format(sql.Identifier(name), identifier(table))
    if deliveries is not None:
        made += sql.SQL(" WHERE {} = ANY ({}::bigint[])").format(
            sql.Identifier(DELIVERY_ID), sql.Literal(list(deliveries))
        )
    return made.as_string(None)


def orphans(column: str, parent: References, key: Sequence[str]) -> str:
    """Keys of rows whose value in a column is in no row of the parent."""
    question = sql.SQL(
        "SELECT {key} FROM {batch} AS child LEFT JOIN {table} AS parent ON parent.{parent} = child.{column} "
        "WHERE child.{column} IS NOT NULL AND parent.{parent} IS NULL LIMIT {most}"
    ).format(
        key=_of_child(key),
        batch=_BATCH,
        table=identifier(parent.table),
        parent=sql.Identifier(parent.parts[2]),
        column=sql.Identifier(column),
        most=sql.Literal(MOST_ROWS),
    )
    return question.as_string(None)


def beyond(column: Column, limit: Decimal | datetime | time, key: Sequence[str], *, upper: bool) -> str:
    """Keys of rows whose value in a column is above an upper, or below a lower, bound that is compared exactly."""
    type_ = "numeric" if column.type in {"integer", "decimal"} else postgres_type(column)
    question = sql.SQL(
        "SELECT {key} FROM (SELECT * FROM {batch}) AS child WHERE child.{column} {sign} {limit}::{type} LIMIT {most}"
    ).format(
        key=_of_child(key),
        batch=_BATCH,
        column=sql.Identifier(column.name),
        sign=sql.SQL(">" if upper else "<"),
        limit=sql.Literal(str(limit)),
        type=sql.SQL(type_),
        most=sql.Literal(MOST_ROWS),
    )
    return question.as_string(None)


def outside(column: str, allowed: Sequence[int], key: Sequence[str]) -> str:
    """Keys of rows whose value in a column is none of some integers, however large they are."""
    question = sql.SQL(
        "SELECT {key} FROM (SELECT * FROM {batch}) AS child WHERE child.{column} NOT IN ({allowed}) LIMIT {most}"
    ).format(
        key=_of_child(key),
        batch=_BATCH,
        column=sql.Identifier(column),
        allowed=sql.SQL(", ").join(map(sql.Literal, allowed)),
        most=sql.Literal(MOST_ROWS),
    )
    return question.as_string(None)


def _of_child(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("child.{}").format(sql.Identifier(name)) for name in names)
