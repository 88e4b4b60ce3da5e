"""The function that returns the rows of a history as they were at a moment.

Its result has named columns, and is not of the type of the table: so the function stays, with the rights on it and the
views over it, when another table takes the place of the table of versions. Calls that began before find that one. If
the result gets other columns, the former function stays under another name until such calls have ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import errors, sql

from etl_assets.errors import IncompatibleTableError
from etl_assets.postgres.tables.names import identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.postgres.connection import Connection

_PARAMETER: Final = "at"
_GRANTS: Final = (
    "SELECT CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END, a.is_grantable "
    "FROM pg_proc p CROSS JOIN aclexplode(p.proacl) a WHERE p.oid = %(oid)s AND a.grantee <> p.proowner"
)


@dataclass(frozen=True)
class FunctionProperties:
    """What the function has besides its definition.

    Attributes:
        owner: Name of the role.
        grants: Role, or None for everybody, and whether it may pass the right on; None if nobody changed them.
        comment: Its comment, if it has one.
    """

    owner: str
    grants: list[tuple[str | None, bool]] | None
    comment: str | None

    def give(self, connection: Connection, name: str) -> None:
        """Give them to another function, ``schema.function``, which was created in this transaction."""
        function = sql.SQL("FUNCTION {} (timestamptz)").format(identifier(name))
        if self.grants is not None:
            connection.execute(sql.SQL("REVOKE ALL ON {} FROM PUBLIC").format(function))
            for grantee, grantable in self.grants:
                role: sql.Composable = sql.SQL("PUBLIC") if grantee is None else sql.Identifier(grantee)
                option = sql.SQL(" WITH GRANT OPTION" if grantable else "")
                connection.execute(sql.SQL("GRANT EXECUTE ON {} TO {}{}").format(function, role, option))
        if self.comment is not None:
            connection.execute(sql.SQL("COMMENT ON {} IS {}").format(function, sql.Literal(self.comment)))
        if self.owner != _owner(connection):
            connection.execute(sql.SQL("ALTER {} OWNER TO {}").format(function, sql.Identifier(self.owner)))


def ensure_function(connection: Connection, name: str, columns: Mapping[str, str], body: sql.Composed) -> None:
    """Create the function, or change it.

    Args:
        connection: In a transaction.
        name: ``schema.function``.
        columns: Names and types of the columns of its result.
        body: The query; ``$1`` is the moment.

    Raises:
        IncompatibleTableError: If the result gets other columns while views or other functions use it.
    """
    create = sql.SQL(
        "CREATE OR REPLACE FUNCTION {name} ({parameter} timestamptz) RETURNS TABLE ({columns}) LANGUAGE sql STABLE "
        "PARALLEL SAFE AS {body}"
    ).format(
        name=identifier(name),
        parameter=sql.SQL("") if _PARAMETER in columns else sql.Identifier(_PARAMETER),
        columns=sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(type_)) for column, type_ in columns.items()
        ),
        body=sql.Literal(body.as_string(connection)),
    )
    try:
        with connection.transaction():
            connection.execute(create)
    except errors.InvalidFunctionDefinition:  # it has other columns
        properties = function_properties(connection, name)
        _drop(connection, name)
        connection.execute(create)
        if properties is not None:
            properties.give(connection, name)


def drop_statement(name: str) -> sql.Composed:
    """Return the statement that drops the function, if it is there."""
    return sql.SQL("DROP FUNCTION IF EXISTS {} (timestamptz)").format(identifier(name))


def _drop(connection: Connection, name: str) -> None:
    try:
        with connection.transaction():
            connection.execute(drop_statement(name))
    except errors.DependentObjectsStillExist as error:
        raise IncompatibleTableError(
            f"The result of the function {name} gets other columns, and something uses the function "
            f"({error.diag.message_detail}). Nothing was changed. Drop what uses it, run again, and create it again; "
            "or, if it is a view, let `etl-assets rebuild NAME --swap` of the source do all of it."
        ) from error


def function_properties(connection: Connection, name: str) -> FunctionProperties | None:
    """Return what the function ``schema.function`` has besides its definition; None if there is none."""
    row = connection.execute(
        "SELECT oid::bigint, pg_get_userbyid(proowner), proacl IS NULL, obj_description(oid, 'pg_proc') FROM pg_proc "
        "WHERE oid = to_regprocedure(%s)",
        (f"{identifier(name).as_string(connection)}(timestamptz)",),
    ).fetchone()
    if row is None:
        return None
    oid, owner, has_default, comment = row
    grants = None if has_default else connection.execute(_GRANTS, {"oid": oid}).fetchall()
    return FunctionProperties(owner, grants, comment)


def _owner(connection: Connection) -> str:
    row = connection.execute("SELECT current_user::text").fetchone()
    return row[0] if row else ""
