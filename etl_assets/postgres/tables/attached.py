"""What people and other objects of the database attach to a table: views, foreign keys, indexes, constraints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.relation_properties import properties_of

if TYPE_CHECKING:
    from typing import LiteralString

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.relation_properties import Properties

_VIEWS: Final = (
    "WITH RECURSIVE v AS (SELECT r.ev_class AS oid, 1 AS depth FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid "
    "WHERE d.classid = 'pg_rewrite'::regclass AND ((d.refclassid = 'pg_class'::regclass "
    "AND d.refobjid = to_regclass(%(table)s) AND r.ev_class <> d.refobjid) OR (d.refclassid = 'pg_proc'::regclass "
    "AND d.refobjid = to_regprocedure(%(function)s))) UNION "
    "SELECT r.ev_class, v.depth + 1 FROM v JOIN pg_depend d ON d.refobjid = v.oid "
    "AND d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_rewrite'::regclass "
    "JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> v.oid) "
    "SELECT c.oid::bigint, n.nspname, c.relname, c.relkind::text, array_to_string(c.reloptions, ', '), "
    "pg_get_userbyid(c.relowner), CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END FROM pg_class c "
    "JOIN (SELECT oid, max(depth) AS depth FROM v GROUP BY oid) d ON d.oid = c.oid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY d.depth, n.nspname, c.relname"
)
_FOREIGN_KEYS: Final = (
    "SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k "
    "JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE k.contype = 'f' AND k.confrelid = to_regclass(%(table)s) AND k.conrelid <> k.confrelid "
    "AND k.conparentid = 0 ORDER BY 1, 2, 3"
)
_CONSTRAINTS: Final = (
    "SELECT k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.conrelid = to_regclass(%(table)s) "
    "AND k.contype IN ('c', 'f', 'u', 'x') ORDER BY k.contype, k.conname"
)
_INDEXES: Final = (
    "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
    "WHERE i.indrelid = to_regclass(%(table)s) AND i.indisvalid "
    "AND c.relname !~ '_[0-9a-f]{8}_(unique|brin|marks|current)$' "
    "AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) ORDER BY 1"
)
_ATTACHED: Final = (
    "SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = ANY (%(oids)s) AND NOT tgisinternal "
    "UNION ALL SELECT 'row security policy ' || polname FROM pg_policy WHERE polrelid = ANY (%(oids)s) "
    "UNION ALL SELECT 'row security' FROM pg_class WHERE oid = ANY (%(oids)s) AND relrowsecurity "
    "UNION ALL SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = ANY (%(oids)s) AND rulename <> '_RETURN' "
    "UNION ALL SELECT 'publication ' || p.pubname FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid "
    "WHERE r.prrelid = ANY (%(oids)s) "
    "UNION ALL SELECT 'statistics ' || stxname FROM pg_statistic_ext WHERE stxrelid = ANY (%(oids)s) "
    "UNION ALL SELECT 'table ' || inhrelid::regclass || ', which inherits' FROM pg_inherits "
    "JOIN pg_class c ON c.oid = inhrelid AND NOT c.relispartition WHERE inhparent = ANY (%(oids)s) ORDER BY 1"
)


@dataclass(frozen=True)
class View:
    """A view that reads the table, directly or through another view."""

    schema: str
    name: str
    options: str | None
    definition: LiteralString
    properties: Properties

    @property
    def identifier(self) -> sql.Identifier:
        """The name in SQL."""
        return sql.Identifier(self.schema, self.name)


class Attached:
    """What is attached to a table.

    Args:
        connection: To the warehouse.
        table: ``schema.table``, which may not exist.
        function: ``schema.function`` of a moment, which reads the table; it may not exist.
    """

    def __init__(self, connection: Connection, table: str, function: str) -> None:
        self._connection = connection
        self._values = {"table": table, "function": f"{identifier(function).as_string(connection)}(timestamptz)"}

    def views(self) -> list[View]:
        """Return the views that read the table, directly or through others, each after those that it reads.

        Those that call the function are among them.
        """
        return [
            View(schema, name, options, definition, properties_of(self._connection, oid))
            for oid, schema, name, kind, options, _, definition in self._execute(_VIEWS)
            if kind == "v"
        ]

    def foreign_keys(self) -> list[tuple[str, str, str, LiteralString]]:
        """Return the foreign keys of other tables that refer to it: schema, table, name and definition of each."""
        return self._execute(_FOREIGN_KEYS)

    def constraints(self) -> list[tuple[str, LiteralString]]:
        """Return name and definition of each constraint but the primary key."""
        return self._execute(_CONSTRAINTS)

    def indexes(self) -> list[tuple[str, LiteralString]]:
        """Return name and definition of each index that was added by hand."""
        return self._execute(_INDEXES)

    def others(self) -> list[str]:
        """Return names of what is attached to it, or to a view of it, and cannot be made again by its definition."""
        views = self._execute(_VIEWS)
        found = [f"materialized view {schema}.{name}" for _, schema, name, kind, *_ in views if kind != "v"]
        row = self._connection.execute("SELECT to_regclass(%(table)s)::oid::bigint", self._values).fetchone()
        oids = [row[0] if row and row[0] is not None else 0, *(oid for oid, *_ in views)]
        return found + [name for (name,) in self._connection.execute(_ATTACHED, {"oids": oids}).fetchall()]

    def _execute(self, query: LiteralString) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, self._values).fetchall()
