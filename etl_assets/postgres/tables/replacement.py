"""Puts a table in place of another one, with what people and other objects of the database attach to that one.

Grants, owner and comments are taken over; so are indexes and constraints that were added by hand, foreign keys of other
tables, and views. Readers wait for the last few statements only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import errors, sql

from etl_assets.errors import BusyError, RebuildError
from etl_assets.postgres.tables.ddl import columns_of
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.relation_properties import properties_of
from etl_assets.postgres.tables.staging import staging_of
from etl_assets.schema import BOOKKEEPING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import LiteralString

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.relation_properties import Properties

_LOCK_MILLISECONDS: Final = 150
"""Less than the time after which the server looks for deadlocks: readers never lose one against a swap."""
_LOCK_SECONDS: Final = 60.0
_PAUSE: Final = 0.3
_QUALIFIED: Final = "SET LOCAL search_path = ''"
"""Lets the server spell every name in a definition with its schema."""
_WRONG_STATEMENT: Final = (psycopg.ProgrammingError, errors.DependentObjectsStillExist)
_VIEWS: Final = (
    "WITH RECURSIVE v AS (SELECT r.ev_class AS oid, 1 AS depth FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid "
    "WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass "
    "AND d.refobjid = to_regclass(%(table)s) AND r.ev_class <> d.refobjid UNION "
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
    "WHERE i.indrelid = to_regclass(%(table)s) AND i.indisvalid AND c.relname !~ '_[0-9a-f]{8}_(unique|brin|marks)$' "
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
class _View:
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


class Replacement:
    """Puts a table, which has the same name in another schema, in place of an existing one.

    Args:
        connection: To the warehouse.
        table: ``schema.table``, which may not exist.
        new: ``schema.table`` of the table that takes its place.
        seconds: How long to try to lock the table; a minute by default.
        staged: Tables that are dropped with the old one; those that have what the two tables stage, by default.

    Raises:
        RebuildError: If something is attached to the table that is not taken over. Nothing was changed.
    """

    def __init__(
        self,
        connection: Connection,
        table: str,
        new: str,
        *,
        seconds: float | None = None,
        staged: Sequence[str] | None = None,
    ) -> None:
        self._connection = connection
        self._table = table
        self._new = new
        self._seconds = _LOCK_SECONDS if seconds is None else seconds
        self._staged = (staging_of(table), staging_of(new)) if staged is None else staged
        self._refuse()

    def prepare(self) -> None:
        """Give the new table owner, grants, comments, indexes and constraints of the old one; readers do not wait.

        Raises:
            RebuildError: If an index or a constraint that was added by hand does not fit. Nothing was changed.
        """
        with self._connection.transaction():
            if (oid := self._oid(self._table)) is None:
                return
            self._connection.execute(_QUALIFIED)
            for name, definition in self._execute(_INDEXES, self._table):
                self._add_index(name, definition)
            present = {name for name, _ in self._execute(_CONSTRAINTS, self._new)}
            for name, definition in self._execute(_CONSTRAINTS, self._table):
                if name not in present:
                    statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                        identifier(self._new), sql.Identifier(name), sql.SQL(definition)
                    )
                    self._try(f"constraint {name}", statement)
            properties_of(self._connection, oid).give(self._connection, identifier(self._new), "TABLE")

    def swap(self) -> None:
        """Replace the table: lock it, drop it, move the new one, and make views and foreign keys again.

        The caller's transaction makes the change visible, all at once.

        Raises:
            RebuildError: If a view or a foreign key does not fit the new table, or something unknown needs the old one.
            BusyError: If other sessions did not let the table go for a minute.
        """
        self._lock()
        self._connection.execute(_QUALIFIED)
        views, foreign_keys = self._views(), self._execute(_FOREIGN_KEYS, self._table)
        for schema, child, name, _ in foreign_keys:
            drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
            self._connection.execute(drop.format(sql.Identifier(schema, child), sql.Identifier(name)))
        for view in reversed(views):
            self._try(f"view {view.schema}.{view.name}", sql.SQL("DROP VIEW {}").format(view.identifier))
        schema = sql.Identifier(self._table.split(".", 1)[0])
        self._try(f"table {self._table}", sql.SQL("DROP TABLE IF EXISTS {}").format(identifier(self._table)))
        self._connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
        self._connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(identifier(self._new), schema))
        for staging in self._staged:
            self._connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(identifier(staging)))
        self._make_views(views)
        for schema_name, child, name, definition in foreign_keys:
            statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                sql.Identifier(schema_name, child), sql.Identifier(name), sql.SQL(definition)
            )
            self._try(f"foreign key {name} of {schema_name}.{child}", statement)

    def _refuse(self) -> None:
        """Raise if the table is no ordinary one, or has something that would be lost."""
        row = self._connection.execute(
            "SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s)", (self._table,)
        ).fetchone()
        if row is not None and row[0] not in {"r", "p"}:
            raise RebuildError(
                f"{self._table} is not an ordinary table. Nothing was changed. Rename what has its name, then swap "
                "again."
            )
        if row is not None and not set(BOOKKEEPING) <= set(columns_of(self._connection, self._table)):
            raise RebuildError(
                f"{self._table} was not created by etl_assets: it lacks {', '.join(BOOKKEEPING)}. Nothing was changed. "
                "Rename that table, or rename the source."
            )
        views = self._execute(_VIEWS, self._table)
        found = [f"materialized view {schema}.{name}" for _, schema, name, kind, *_ in views if kind != "v"]
        oids = [self._oid(self._table) or 0, *(oid for oid, *_ in views)]
        found += [name for (name,) in self._connection.execute(_ATTACHED, {"oids": oids}).fetchall()]
        if found:
            raise RebuildError(
                f"{self._table}, or a view of it, has what a swap does not take over: {', '.join(found)}. Nothing was "
                "changed. Drop it, swap, then create it again."
            )

    def _lock(self) -> None:
        """Lock views, referring tables and the table, in the order in which readers do; give up early, try again."""
        names = [sql.Identifier(schema, name) for _, schema, name, *_ in reversed(self._execute(_VIEWS, self._table))]
        names += [sql.Identifier(schema, name) for schema, name, *_ in self._execute(_FOREIGN_KEYS, self._table)]
        names += [identifier(self._table)] if self._oid(self._table) is not None else []
        statement = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(
            sql.SQL(", ").join([*names, identifier(self._new)])
        )
        until = time.monotonic() + self._seconds
        while not self._locked(statement):
            if time.monotonic() > until:
                raise BusyError(
                    f"Other sessions kept {self._table}, a view of it or a table that refers to it busy for "
                    f"{self._seconds:.0f} seconds. The table was not put in place; what was built stays. Swap again "
                    "when long queries are over."
                )
            time.sleep(_PAUSE)

    def _locked(self, statement: sql.Composed) -> bool:
        """Try to lock; return whether it succeeded. If not, no lock is held."""
        try:
            with self._connection.transaction():
                timeout = sql.SQL("SET LOCAL statement_timeout = {}")
                self._connection.execute(timeout.format(sql.Literal(_LOCK_MILLISECONDS)))
                self._connection.execute(statement)
                self._connection.execute("SET LOCAL statement_timeout TO DEFAULT")
        except (errors.QueryCanceled, errors.LockNotAvailable, errors.DeadlockDetected):
            return False
        return True

    def _views(self) -> list[_View]:
        """Return the views, each after those that it reads."""
        return [
            _View(schema, name, options, definition, properties_of(self._connection, oid))
            for oid, schema, name, _, options, _, definition in self._execute(_VIEWS, self._table)
        ]

    def _make_views(self, views: list[_View]) -> None:
        """Create the views again; raise with the names of all that do not fit the new table."""
        broken = []
        for view in views:
            options = sql.SQL("WITH ({}) ").format(sql.SQL(view.options)) if view.options else sql.SQL("")
            statement = sql.SQL("CREATE VIEW {} {}AS {}").format(view.identifier, options, sql.SQL(view.definition))
            try:
                with self._connection.transaction():
                    self._connection.execute(statement)
            except _WRONG_STATEMENT as error:
                broken.append(f"{view.schema}.{view.name} ({error.diag.message_primary})")
                continue
            view.properties.give(self._connection, view.identifier, "VIEW")
        if broken:
            raise RebuildError(
                f"These views do not fit the new table: {'; '.join(broken)}. The table was not put in place; what was "
                "built stays. Drop or change the views, then swap again."
            )

    def _add_index(self, name: str, definition: LiteralString) -> None:
        """Create an index that was added to the old table by hand, unless the new one has it."""
        known = {index for index, _ in self._execute(_INDEXES, self._new)}
        if name in known:
            return
        spelled = self._connection.execute("SELECT to_regclass(%s)::text", (self._table,)).fetchone()
        old = spelled[0] if spelled else ""
        changed = definition.replace(f" ON {old} ", f" ON {identifier(self._new).as_string(self._connection)} ", 1)
        self._try(f"index {name}", sql.SQL(changed))

    def _try(self, what: str, statement: sql.Composed | sql.SQL) -> None:
        """Execute a statement; raise with a remedy if the new table does not allow it."""
        try:
            with self._connection.transaction():
                self._connection.execute(statement)
        except (*_WRONG_STATEMENT, errors.IntegrityError) as error:
            detail = f" ({error.diag.message_detail})" if isinstance(error, errors.DependentObjectsStillExist) else ""
            raise RebuildError(
                f"The {what} does not fit the new table, or something needs it: {_reason(error)}{detail}. The table "
                "was not put in place; what was built stays. Drop or change what is named, then swap again."
            ) from None

    def _execute(self, query: LiteralString, table: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, {"table": table}).fetchall()

    def _oid(self, table: str, name: sql.Identifier | None = None) -> int | None:
        quoted = (name or identifier(table)).as_string(self._connection)
        row = self._connection.execute("SELECT to_regclass(%s)::oid::bigint", (quoted,)).fetchone()
        return row[0] if row else None


def wait_for_older_snapshots(connection: Connection, seconds: float, pause: Callable[[float], None]) -> bool:
    """Wait until no other session sees the database as it was before this call.

    A table that was written meanwhile would be empty, or have a part of its rows, for such a session.

    Args:
        connection: In autocommit.
        seconds: How long to wait at most.
        pause: Waits for a number of seconds.

    Returns:
        Whether there is no such session any more.
    """
    row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text").fetchone()
    newest = row[0] if row else "0"
    until = time.monotonic() + seconds
    while True:
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL AND age(backend_xmin) > age(%s::xid))",
            (newest,),
        ).fetchone()
        if row is None or not row[0]:
            return True
        if time.monotonic() > until:
            return False
        pause(_PAUSE)


def _reason(error: Exception) -> str:
    """Return what the server says, without values of rows."""
    diagnosis = getattr(error, "diag", None)
    return (getattr(diagnosis, "message_primary", None) or type(error).__name__) if diagnosis else type(error).__name__
