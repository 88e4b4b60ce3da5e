"""The table of the versions of rows, the view of the current ones, and the function that returns those of a moment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.errors import IncompatibleTableError
from etl_assets.postgres.tables import ddl
from etl_assets.postgres.tables.as_of_function import drop_statement, ensure_function
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.retyped_views import drop_view
from etl_assets.schema import BOOKKEEPING, DELIVERY_ID
from etl_assets.schema.names import MAX_IDENTIFIER_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

VALID_FROM: Final = "_valid_from"
"""When a version began: the time of the delivery that brought it, or the value of the order column."""
VALID_TO: Final = "_valid_to"
"""When it ended; null of a current version."""
ENDED_BY: Final = "_ended_by"
"""Id of the delivery that ended it, if deliveries do; null of a current version."""
_MODIFIER: Final = re.compile(r"\([^)]*\)")
"""Of a type; the columns of a function's result have none."""
OF_VERSIONS: Final = ddl.Extension(
    {VALID_FROM: "timestamp with time zone", VALID_TO: "timestamp with time zone", ENDED_BY: "bigint"},
    (DELIVERY_ID,),
)


@dataclass(frozen=True)
class VersionsForm:
    """What a table of versions has besides the columns of its schema.

    Attributes:
        extension: Further columns.
        key: Names of the columns that identify a row, of which the table has versions.
        ended: Name of the column that is null of the current version, and of no other.
    """

    extension: ddl.Extension
    key: tuple[str, ...]
    ended: str


def history_of(table: str) -> str:
    """Return the name of the table that has the versions of the rows of ``schema.table``."""
    return _with_suffix(table, "_history")


def as_of(table: str) -> str:
    """Return the name of the function that returns the rows of ``schema.table`` as they were at a moment."""
    return _with_suffix(table, "_as_of")


def stored_in_use(connection: Connection, table: str) -> str:
    """Return the name of the table that has the rows of ``schema.table``: itself, or that of its versions."""
    history = history_of(table)
    if ddl.exists(connection, table) and not ddl.is_view(connection, table):
        return table
    return history if {*BOOKKEEPING, VALID_FROM} <= set(ddl.columns_of(connection, history)) else table


def has_other_form(connection: Connection, table: str, declared: str) -> bool:
    """Return whether a table that this package created has versions and is to have none, or the other way round.

    Args:
        connection: To the warehouse.
        table: ``schema.table`` of the source.
        declared: ``schema.table`` of the table that is to have the rows.
    """
    stored = stored_in_use(connection, table)
    return set(BOOKKEEPING) <= set(ddl.columns_of(connection, stored)) and (stored == table) != (declared == table)


def drop_views(connection: Connection, table: str) -> None:
    """Drop the view and the function of a table of versions that is dropped, or gets another name."""
    if ddl.is_view(connection, table):
        connection.execute(sql.SQL("DROP VIEW {}").format(identifier(table)))
    connection.execute(drop_statement(as_of(table)))


def _with_suffix(table: str, suffix: str) -> str:
    schema, name = table.split(".", 1)
    return f"{schema}.{name[: MAX_IDENTIFIER_BYTES - len(suffix)]}{suffix}"


def ensure_history(connection: Connection, table: str, schema: Schema, form: VersionsForm | None = None) -> None:
    """Create the table, the view and the function, or change them if the schema only adds or widens columns.

    Args:
        connection: In autocommit.
        table: ``schema.table``, the name of the view.
        schema: Of the rows.
        form: How versions are stored; None if deliveries begin and end them.

    Raises:
        IncompatibleTableError: If this needs any other change, or other views use the view and its columns change
            their types. Nothing was changed.
    """
    form = form or VersionsForm(OF_VERSIONS, schema.key, ENDED_BY)
    history = history_of(table)
    is_there = ddl.is_view(connection, table) and ddl.is_as_declared(connection, history, schema, form.extension)
    if is_there and ddl.has_partial_index(connection, history, form.key):
        return
    with connection.transaction():
        ddl.lock_ddl(connection)
        _refuse_taken(connection, table)
        retyped = (
            ddl.is_view(connection, table)
            and ddl.retypes(connection, history, schema)
            and not ddl.needs_rebuild(connection, history, schema, form.extension)
        )
        properties = drop_view(connection, table, history) if retyped else None
        ddl.ensure_table(connection, history, schema, form.extension, known_as=table)
        _create_view(connection, table, form)
        if properties is not None:
            properties.give(connection, identifier(table), "VIEW")


def _refuse_taken(connection: Connection, table: str) -> None:
    """Raise if what has the name of the view is none that this package made."""
    existing = ddl.columns_of(connection, table)
    ours, is_view = set(BOOKKEEPING) <= set(existing), ddl.is_view(connection, table)
    if existing and not (ours and is_view):
        raise IncompatibleTableError(
            f"{table} is {'a view of another hand' if is_view else 'a table'}, and write=History() needs the name for "
            "its view of the current rows. Nothing was changed. "
            f"{ddl.remedy(table) if ours else 'Rename it, or rename the source.'}"
        )


def _create_view(connection: Connection, table: str, form: VersionsForm) -> None:
    """Create the view and the function; columns that were added to the table come last in the view, too."""
    name, history = identifier(table), history_of(table)
    stored = ddl.columns_of(connection, history)
    columns = [column for column in stored if column not in {VALID_TO, ENDED_BY}]
    connection.execute(
        sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {} WHERE {} IS NULL").format(
            name, _listed(columns), identifier(history), sql.Identifier(form.ended)
        )
    )
    connection.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(name, sql.Literal(view_comment(table))))
    if not ddl.has_partial_index(connection, history, form.key):
        connection.execute(
            sql.SQL("CREATE UNIQUE INDEX {} ON {} ({}) WHERE {} IS NULL").format(
                sql.Identifier(ddl.index_name(history, form.key, "current")),
                identifier(history),
                _listed(form.key),
                sql.Identifier(form.ended),
            )
        )
    # casts, for calls that find a table with other types; see `as_of_function`
    cast = sql.SQL("{}::{}")
    body = sql.SQL("SELECT {columns} FROM {history} WHERE {begins} <= $1 AND ({ends} > $1 OR {ends} IS NULL)").format(
        columns=sql.SQL(", ").join(
            cast.format(sql.Identifier(column), sql.SQL(_MODIFIER.sub("", type_))) for column, type_ in stored.items()
        ),
        history=identifier(history),
        begins=sql.Identifier(VALID_FROM),
        ends=sql.Identifier(VALID_TO),
    )
    ensure_function(connection, as_of(table), stored, body)


def view_comment(table: str) -> str:
    """Return the comment on the view ``schema.table`` of the current rows of a history."""
    return f"The current rows of {history_of(table)}, which has their former versions as well."


def _listed(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
