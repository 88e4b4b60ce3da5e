"""The column that marks the rows of a table which are gone, and the view of the rows which are not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from psycopg import errors, sql

from etl_assets.errors import IncompatibleTableError
from etl_assets.postgres.tables import retyped_views
from etl_assets.postgres.tables.ddl import (
    Extension,
    columns_of,
    declared_types,
    ensure_table,
    has_partial_index,
    index_name,
    lock_ddl,
)
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELETED_AT

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import PartitionBy, Schema

OF_MARKS: Final = Extension({DELETED_AT: "timestamp with time zone"})
"""What marking adds to a table."""
NOT_MARKED: Final = sql.SQL("t.{} IS NULL").format(sql.Identifier(DELETED_AT))
"""The condition that a row ``t`` of a table with marks is not marked."""
_COMMENT: Final = "When the oldest delivery was fetched since which none has the key; null while the newest one has it."
_VIEW_COMMENT: Final = "The rows of the table that are not marked as deleted; etl_assets keeps it."
_LONGEST: Final = 55
"""Bytes of a table's name in the name of its view."""


def current_view(table: str) -> str:
    """Return the name of the view of the rows of a table, ``schema.table``, that are not marked."""
    schema, name = table.split(".", 1)
    return f"{schema}.{name[:_LONGEST]}_current"


def has_marks(connection: Connection, table: str) -> bool:
    """Return whether the write mode of a table marks the rows that are gone."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(%s) AND a.attname = %s "
        "AND NOT a.attisdropped AND col_description(a.attrelid, a.attnum) = %s)",
        (table, DELETED_AT, _COMMENT),
    ).fetchone()
    return bool(row and row[0])


def ensure_marked_table(
    connection: Connection, table: str, schema: Schema, partition_by: PartitionBy | None = None
) -> None:
    """Do as `ensure_table`; also give the table the column of the marks, and the view.

    A view that people have made over the view stays as it is. The rights on the view stay.

    Args:
        connection: In autocommit; the change is one transaction, and concurrent callers wait for one another.
        table: ``schema.table``.
        schema: The schema that it must match.
        partition_by: How it must be cut into child tables; None if it must not be.

    Raises:
        IncompatibleTableError: If `ensure_table` raises it, or the name of the view is taken. Nothing was changed.
    """
    extension = replace(OF_MARKS, partition_by=partition_by)
    if not view_differences(connection, table) and _is_of_types(connection, current_view(table), schema):
        ensure_table(connection, table, schema, extension)
        return
    with connection.transaction():
        lock_ddl(connection)
        _refuse_taken(connection, table)
        retyped = _retypes(connection, table, schema)
        properties = retyped_views.drop_view(connection, current_view(table), table) if retyped else None
        ensure_table(connection, table, schema, extension)
        _comment(connection, "COLUMN", sql.Identifier(*table.split(".", 1), DELETED_AT), _COMMENT)
        if not has_partial_index(connection, table, (DELETED_AT,)):
            connection.execute(
                sql.SQL("CREATE INDEX {name} ON {table} ({column}) WHERE {column} IS NOT NULL").format(
                    name=sql.Identifier(index_name(table, (DELETED_AT,), "marks")),
                    table=identifier(table),
                    column=sql.Identifier(DELETED_AT),
                )
            )
        view = identifier(current_view(table))
        connection.execute(
            sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {} t WHERE {}").format(
                view,
                sql.SQL(", ").join(sql.Identifier("t", name) for name in _shown(connection, table)),
                identifier(table),
                NOT_MARKED,
            )
        )
        _comment(connection, "VIEW", view, _VIEW_COMMENT)
        if properties is not None:
            properties.give(connection, view, "VIEW")


def remove_marks(connection: Connection, table: str) -> None:
    """Drop the column of the marks and the view, if a table has them of an earlier write mode.

    Raises:
        IncompatibleTableError: If a view that people have made reads one of them. Nothing was changed.
    """
    if not has_marks(connection, table):
        return
    view = current_view(table)
    try:
        with connection.transaction():
            lock_ddl(connection)
            if _is_ours(connection, view):
                connection.execute(sql.SQL("DROP VIEW {}").format(identifier(view)))
            connection.execute(
                sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(identifier(table), sql.Identifier(DELETED_AT))
            )
    except errors.DependentObjectsStillExist as error:
        raise IncompatibleTableError(
            f"The write mode of {table} no longer marks rows, and a view reads {view} or the column {DELETED_AT}. "
            "Nothing was changed. Drop that view, and run again."
        ) from error


def drop_view(connection: Connection, table: str) -> None:
    """Drop the view of a table that is dropped, or gets another name."""
    if _is_ours(connection, current_view(table)):
        connection.execute(sql.SQL("DROP VIEW {}").format(identifier(current_view(table))))


def view_differences(connection: Connection, table: str) -> list[str]:
    """Return what the view of a table with marks lacks, as clauses; nothing if it lacks nothing."""
    view = current_view(table)
    if not has_marks(connection, table) or not _is_ours(connection, view):
        return [f"lacks the view {view}"]
    shown = _shown(connection, table)
    return [] if columns_of(connection, view) == shown else [f"has the view {view} with other columns"]


def _shown(connection: Connection, table: str) -> dict[str, str]:
    """Return the names and types of the columns that the view has."""
    return {name: type_ for name, type_ in columns_of(connection, table).items() if name != DELETED_AT}


def _is_of_types(connection: Connection, view: str, schema: Schema) -> bool:
    return declared_types(schema).items() <= columns_of(connection, view).items()


def _is_ours(connection: Connection, view: str) -> bool:
    row = connection.execute(
        "SELECT relkind = 'v' AND obj_description(oid, 'pg_class') = %s FROM pg_class WHERE oid = to_regclass(%s)",
        (_VIEW_COMMENT, view),
    ).fetchone()
    return bool(row and row[0])


def _refuse_taken(connection: Connection, table: str) -> None:
    """Raise if something else has the name of the column, or of the view."""
    if DELETED_AT in columns_of(connection, table) and not has_marks(connection, table):
        raise IncompatibleTableError(
            f"{table} has a column {DELETED_AT} that etl_assets did not add. Nothing was changed. Rename that column."
        )
    view = current_view(table)
    if columns_of(connection, view) and not _is_ours(connection, view):
        raise IncompatibleTableError(
            f"{view} exists and is not the view of the rows of {table} that are not marked. Nothing was changed. "
            "Rename it, or rename the source."
        )


def _retypes(connection: Connection, table: str, schema: Schema) -> bool:
    """Return whether a column that the view has is declared with another type."""
    declared = declared_types(schema)
    shown = columns_of(connection, current_view(table))
    return any(declared.get(name, type_) != type_ for name, type_ in shown.items())


def _comment(connection: Connection, kind: str, name: sql.Composable, text: str) -> None:
    connection.execute(sql.SQL("COMMENT ON {} {} IS {}").format(sql.SQL(kind), name, sql.Literal(text)))
