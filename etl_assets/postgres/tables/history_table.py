"""The table of the versions of rows, the view of the current ones, and the function that returns those of a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.errors import IncompatibleTableError
from etl_assets.postgres.tables import ddl
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.retyped_views import drop_view
from etl_assets.schema import DELIVERY_ID
from etl_assets.schema.names import MAX_IDENTIFIER_BYTES

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

VALID_FROM: Final = "_valid_from"
"""When a version began: the time of the delivery that brought it."""
VALID_TO: Final = "_valid_to"
"""When it ended; null of a current version."""
ENDED_BY: Final = "_ended_by"
"""Id of the delivery that ended it; null of a current version."""
OF_VERSIONS: Final = ddl.Extension(
    {VALID_FROM: "timestamp with time zone", VALID_TO: "timestamp with time zone", ENDED_BY: "bigint"},
    (DELIVERY_ID,),
    versions=True,
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
    if ddl.is_view(connection, table) and ddl.is_as_declared(connection, history_of(table), schema, form.extension):
        return
    with connection.transaction():
        ddl.lock_ddl(connection)
        if ddl.exists(connection, table) and not ddl.is_view(connection, table):
            raise IncompatibleTableError(
                f"{table} is a table, and write=History() needs the name for its view of the current rows. Nothing was "
                "changed. Declare the mode that the table had, or a source with a new name."
            )
        retyped = ddl.is_view(connection, table) and ddl.retypes(connection, history_of(table), schema)
        properties = drop_view(connection, table, history_of(table)) if retyped else None
        ddl.ensure_table(connection, history_of(table), schema, form.extension)
        _create_view(connection, table, form)
        if properties is not None:
            properties.give(connection, identifier(table), "VIEW")


def _create_view(connection: Connection, table: str, form: VersionsForm) -> None:
    """Create the view and the function; columns that were added to the table come last in the view, too."""
    name, history = identifier(table), history_of(table)
    columns = [column for column in ddl.columns_of(connection, history) if column not in {VALID_TO, ENDED_BY}]
    connection.execute(
        sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {} WHERE {} IS NULL").format(
            name, sql.SQL(", ").join(map(sql.Identifier, columns)), identifier(history), sql.Identifier(form.ended)
        )
    )
    connection.execute(
        sql.SQL("COMMENT ON VIEW {} IS {}").format(
            name, sql.Literal(f"The current rows of {history}, which has their former versions as well.")
        )
    )
    index = sql.Identifier(ddl.index_name(history, form.key, "current"))
    connection.execute(
        sql.SQL("CREATE UNIQUE INDEX IF NOT EXISTS {} ON {} ({}) WHERE {} IS NULL").format(
            index,
            identifier(history),
            sql.SQL(", ").join(map(sql.Identifier, form.key)),
            sql.Identifier(form.ended),
        )
    )
    body = sql.SQL("SELECT * FROM {history} WHERE {begins} <= $1 AND ({ends} > $1 OR {ends} IS NULL)").format(
        history=identifier(history), begins=sql.Identifier(VALID_FROM), ends=sql.Identifier(VALID_TO)
    )
    connection.execute(
        sql.SQL(
            "CREATE OR REPLACE FUNCTION {name} (at timestamptz) RETURNS SETOF {history} LANGUAGE sql STABLE "
            "PARALLEL SAFE AS {body}"
        ).format(
            name=identifier(as_of(table)),
            history=identifier(history),
            body=sql.Literal(body.as_string(connection)),
        )
    )
