"""What a table or a view has besides columns and rows: its owner, grants and comments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import sql

if TYPE_CHECKING:
    from typing import LiteralString

    from etl_assets.postgres.connection import Connection

_GRANTS: Final = (
    "SELECT NULL, a.privilege_type, CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END, "
    "a.is_grantable FROM pg_class c CROSS JOIN aclexplode(c.relacl) a WHERE c.oid = %(oid)s "
    "AND a.grantee <> c.relowner "
    "UNION ALL SELECT t.attname, a.privilege_type, CASE a.grantee WHEN 0 THEN NULL "
    "ELSE pg_get_userbyid(a.grantee) END, a.is_grantable FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid "
    "CROSS JOIN aclexplode(t.attacl) a WHERE t.attrelid = %(oid)s AND NOT t.attisdropped AND t.attnum > 0"
)
_COMMENTS: Final = (
    "SELECT a.attname, d.description FROM pg_description d LEFT JOIN pg_attribute a ON a.attrelid = d.objoid "
    "AND a.attnum = d.objsubid AND d.objsubid > 0 WHERE d.classoid = 'pg_class'::regclass AND d.objoid = %(oid)s"
)


@dataclass(frozen=True)
class Properties:
    """Owner, grants and comments of a relation.

    Attributes:
        owner: Name of the role.
        grants: Column, or None for the whole relation; privilege; role, or None for everybody; whether it may be passed
            on.
        comments: Column, or None for the relation itself; text.
    """

    owner: str
    grants: list[tuple[str | None, LiteralString, str | None, bool]]
    comments: list[tuple[str | None, str]]

    def give(self, connection: Connection, name: sql.Identifier, kind: LiteralString) -> None:
        """Give them to another relation, as far as it has the columns; comments that it has stay.

        Args:
            connection: In the transaction that makes the relation.
            name: Of the relation.
            kind: ``TABLE`` or ``VIEW``.
        """
        row = connection.execute("SELECT %s::regclass::oid::bigint", (name.as_string(connection),)).fetchone()
        oid = row[0] if row else 0
        own = properties_of(connection, oid)
        for column, _, grantee, _ in own.grants:
            if column is None:
                connection.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(name, _role(grantee)))
        columns = {
            attribute
            for (attribute,) in connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped", (oid,)
            ).fetchall()
        }
        for column, privilege, grantee, grantable in self.grants:
            if column is None or column in columns:
                connection.execute(
                    sql.SQL("GRANT {}{} ON {} TO {}{}").format(
                        sql.SQL(privilege),
                        sql.SQL(" ({})").format(sql.Identifier(column)) if column else sql.SQL(""),
                        name,
                        _role(grantee),
                        sql.SQL(" WITH GRANT OPTION" if grantable else ""),
                    )
                )
        described = {column for column, _ in own.comments}
        for column, text in self.comments:
            if column not in described and (column is None or column in columns):
                subject = sql.SQL("{} {}").format(sql.SQL(kind), name)
                if column is not None:
                    subject = sql.SQL("COLUMN {}.{}").format(name, sql.Identifier(column))
                connection.execute(sql.SQL("COMMENT ON {} IS {}").format(subject, sql.Literal(text)))
        if own.owner != self.owner:
            owned = sql.SQL("ALTER {} {} OWNER TO {}")
            connection.execute(owned.format(sql.SQL(kind), name, sql.Identifier(self.owner)))


def properties_of(connection: Connection, oid: int) -> Properties:
    """Return the owner, grants and comments of the relation with an object id."""
    row = connection.execute("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s", (oid,)).fetchone()
    return Properties(
        owner=row[0] if row else "",
        grants=connection.execute(_GRANTS, {"oid": oid}).fetchall(),
        comments=connection.execute(_COMMENTS, {"oid": oid}).fetchall(),
    )


def _role(name: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)
