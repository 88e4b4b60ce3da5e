"""The table beside another one, which has the rows of deliveries that are not complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.postgres.tables.copy import table_columns
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID

if TYPE_CHECKING:
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

SCHEMA: Final = "etl_staging"
_CHECKS: Final = (
    "SELECT conname, replace(pg_get_constraintdef(oid), ' NOT VALID', '') || ' NOT VALID' FROM pg_constraint "
    "WHERE conrelid = to_regclass(%s) AND contype = 'c' ORDER BY 1"
)
"""Rows that are there already were checked by the table that they are to be moved into, or will be."""
REBUILDS: Final = "etl_rebuild"
"""The schema of tables that are to replace others of the same name; what they stage is in a schema of its own."""
SWAPS: Final = "etl_swap"
"""The schema of new tables that a single delivery fills, and that then take the place of others of the same name."""


def staging_of(table: str) -> str:
    """Return the name of the table beside ``schema.table``."""
    schema, name = table.split(".", 1)
    return f"{REBUILDS}_staging.{name}" if schema == REBUILDS else f"{SCHEMA}.{name}"


def take_over_checks(connection: Connection, table: str) -> None:
    """Give the table beside ``schema.table`` the check constraints that were added to that one by hand, and no others.

    A row that breaks one is refused when it is staged, where the loader finds its record.

    Args:
        connection: In autocommit.
        table: ``schema.table``.
    """
    with connection.transaction():
        checks = {name: connection.execute(_CHECKS, (name,)).fetchall() for name in (table, staging_of(table))}
        staging = identifier(staging_of(table))
        for name, definition in checks[staging_of(table)]:
            if (name, definition) not in checks[table]:
                connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(staging, sql.Identifier(name)))
        for name, definition in checks[table]:
            if (name, definition) not in checks[staging_of(table)]:
                connection.execute(
                    sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                        staging, sql.Identifier(name), sql.SQL(definition)
                    )
                )


def move_in(connection: Connection, table: str, schema: Schema, delivery: Delivery, kept: sql.Composable) -> int:
    """Replace the rows of a delivery's partition by the staged rows of the delivery.

    Args:
        connection: In the transaction that completes the delivery.
        table: ``schema.table``.
        schema: Of the table.
        delivery: The delivery.
        kept: The condition that a row is not older than what the table keeps.

    Returns:
        How many rows were deleted: of the table, and staged ones that are too old by now.
    """
    columns = sql.SQL(", ").join(map(sql.Identifier, table_columns(schema)))
    mark = sql.Identifier(DELIVERY_ID)
    deleted = connection.execute(
        sql.SQL(
            "DELETE FROM {} t WHERE t.{} IN (SELECT id FROM etl.delivery WHERE source = %s AND partition = %s)"
        ).format(identifier(table), mark),
        (delivery.source, delivery.partition),
    ).rowcount
    moved = connection.execute(
        sql.SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM {staging} WHERE {mark} = %s AND {kept}").format(
            table=identifier(table), columns=columns, staging=identifier(staging_of(table)), mark=mark, kept=kept
        ),
        (delivery.id,),
    ).rowcount
    return deleted + drop_staged(connection, table, delivery) - moved


def drop_staged(connection: Connection, table: str, delivery: Delivery) -> int:
    """Delete the staged rows of a delivery; return how many there were."""
    statement = sql.SQL("DELETE FROM {} WHERE {} = %s").format(
        identifier(staging_of(table)), sql.Identifier(DELIVERY_ID)
    )
    return connection.execute(statement, (delivery.id,)).rowcount
