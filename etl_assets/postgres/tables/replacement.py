"""Puts a table in place of another one, with what people and other objects of the database attach to that one.

Grants, owner and comments are taken over; so are indexes and constraints that were added by hand, foreign keys of other
tables, and views. Readers wait for the last few statements only. Either may be the table of the versions of a history,
whose view has the name of the source: then the view and the function are exchanged as well.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import errors, sql

from etl_assets.errors import BusyError, RebuildError
from etl_assets.postgres.tables.as_of_function import drop_statement, function_properties
from etl_assets.postgres.tables.attached import Attached
from etl_assets.postgres.tables.ddl import columns_of, exists
from etl_assets.postgres.tables.history_table import as_of, stored_in_use, view_comment
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.relation_properties import properties_of
from etl_assets.postgres.tables.staging import staging_of
from etl_assets.schema import BOOKKEEPING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import LiteralString

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.as_of_function import FunctionProperties
    from etl_assets.postgres.tables.attached import View
    from etl_assets.postgres.tables.relation_properties import Properties

_LOCK_MILLISECONDS: Final = 150
"""Less than the time after which the server looks for deadlocks: readers never lose one against a swap."""
_LOCK_SECONDS: Final = 60.0
_PAUSE: Final = 0.3
_QUALIFIED: Final = "SET LOCAL search_path = ''"
"""Lets the server spell every name in a definition with its schema."""
_WRONG_STATEMENT: Final = (psycopg.ProgrammingError, errors.DependentObjectsStillExist)


class Replacement:
    """Puts what was built in place of what has its name in another schema.

    Args:
        connection: To the warehouse.
        table: ``schema.table`` of the source, which may not exist: a table, or the view of a history.
        new: ``schema.table`` of what takes its place.
        stored: ``schema.table`` of the table that has its rows: the same, or that of the versions.
        seconds: How long to try to lock the table.
        staged: Tables that are dropped with the old one; those that have what the two tables stage, by default.

    Raises:
        RebuildError: If something is attached to the table that is not taken over. Nothing was changed.
    """

    def __init__(
        self,
        connection: Connection,
        table: str,
        new: str,
        stored: str,
        *,
        seconds: float = _LOCK_SECONDS,
        staged: Sequence[str] | None = None,
    ) -> None:
        self._connection = connection
        self._table = table
        self._old = stored_in_use(connection, table)
        self._new = stored
        self._seconds = seconds
        self._staged = (staging_of(table), staging_of(new)) if staged is None else staged
        self._becomes_view = new != stored
        self._was_view = self._old != table
        schema, _ = table.split(".", 1)
        self._place = f"{schema}.{stored.split('.', 1)[1]}"
        self._attached = Attached(connection, self._old, as_of(table))
        self._views: list[View] = []
        self._foreign_keys: list[tuple[str, str, str, LiteralString]] = []
        self._properties: Properties | None = None
        self._function_properties: FunctionProperties | None = None
        self._refuse()

    def prepare(self) -> None:
        """Give the new table owner, grants, comments, indexes and constraints of the old one; readers do not wait.

        If only one of them has versions, those who could read the rows of the other must not read more: the table gets
        the owner alone.

        Raises:
            RebuildError: If an index or a constraint that was added by hand does not fit. Nothing was changed.
        """
        with self._connection.transaction():
            if (oid := self._oid(self._old)) is None:
                return
            self._connection.execute(_QUALIFIED)
            new = Attached(self._connection, self._new, as_of(self._new))
            known = {index for index, _ in new.indexes()}
            for name, definition in self._attached.indexes():
                if name not in known:
                    self._add_index(name, definition)
            present = {name for name, _ in new.constraints()}
            for name, definition in self._attached.constraints():
                if name not in present:
                    statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                        identifier(self._new), sql.Identifier(name), sql.SQL(definition)
                    )
                    self._try(f"constraint {name}", statement)
            properties = properties_of(self._connection, oid)
            if self._was_view != self._becomes_view:
                properties = replace(properties, grants=[], comments=[])
            properties.give(self._connection, identifier(self._new), "TABLE")

    def exchange(self) -> None:
        """Drop the old table, which `lock` has locked, and its views, and move the new one to its place.

        The write mode then makes what it has besides the table, and `attach` the rest. The caller's transaction makes
        the change visible, all at once.

        Raises:
            RebuildError: If something unknown needs the old table.
        """
        self._connection.execute(_QUALIFIED)
        self._views, self._foreign_keys = self._attached.views(), self._attached.foreign_keys()
        if (oid := self._oid(self._table)) is not None:
            self._properties = properties_of(self._connection, oid)
        for schema_name, child, name, _ in self._foreign_keys:
            drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
            self._connection.execute(drop.format(sql.Identifier(schema_name, child), sql.Identifier(name)))
        for view in reversed(self._views):
            self._try(f"view {view.schema}.{view.name}", sql.SQL("DROP VIEW {}").format(view.identifier))
        self._exchange_function()
        schema = sql.Identifier(self._place.split(".", 1)[0])
        self._try(f"table {self._old}", sql.SQL("DROP TABLE IF EXISTS {}").format(identifier(self._old)))
        self._connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
        self._connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(identifier(self._new), schema))
        for staging in self._staged:
            self._connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(identifier(staging)))

    def _exchange_function(self) -> None:
        """Drop the function of a history that becomes none; let the write mode make another if its columns change.

        The former one goes to the schema of the new table, for calls that have begun; the caller drops it later.
        """
        function = as_of(self._table)
        if not self._was_view:
            return
        if not self._becomes_view:
            self._try(f"function {function}", drop_statement(function))
        elif list(columns_of(self._connection, self._old).items()) != list(
            columns_of(self._connection, self._new).items()
        ):
            self._try(f"function {function}", drop_statement(function), undo=True)  # or its callers would go along
            self._function_properties = function_properties(self._connection, function)
            schema, _ = self._new.split(".", 1)
            if self._function_properties is not None:
                moved = sql.SQL("ALTER FUNCTION {} (timestamptz) SET SCHEMA {}")
                self._connection.execute(moved.format(identifier(function), sql.Identifier(schema)))

    def attach(self) -> None:
        """Give what has the name of the source its owner, grants and comments; make views and foreign keys again.

        Raises:
            RebuildError: If a view or a foreign key does not fit the new table.
        """
        if self._properties is not None and (self._was_view or self._becomes_view):
            comments = [comment for comment in self._properties.comments if comment[1] != view_comment(self._table)]
            properties = replace(self._properties, comments=comments)
            properties.give(self._connection, identifier(self._table), "VIEW" if self._becomes_view else "TABLE")
        if self._function_properties is not None:
            self._function_properties.give(self._connection, as_of(self._table))
        self._make_views([view for view in self._views if f"{view.schema}.{view.name}" != self._table])
        for schema, child, name, definition in self._foreign_keys:
            statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                sql.Identifier(schema, child), sql.Identifier(name), sql.SQL(definition)
            )
            self._try(f"foreign key {name} of {schema}.{child}", statement)

    def _refuse(self) -> None:
        """Raise if the table is no ordinary one, or has something that would be lost."""
        row = self._connection.execute(
            "SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s)", (self._old,)
        ).fetchone()
        if row is not None and row[0] not in {"r", "p"}:
            raise RebuildError(
                f"{self._old} is not an ordinary table, nor the view of a history. Nothing was changed. Rename what "
                "has its name, then swap again."
            )
        if row is not None and not set(BOOKKEEPING) <= set(columns_of(self._connection, self._old)):
            raise RebuildError(
                f"{self._old} was not created by etl_assets: it lacks {', '.join(BOOKKEEPING)}. Nothing was changed. "
                "Rename that table, or rename the source."
            )
        if self._place not in {self._old, self._table} and exists(self._connection, self._place):
            raise RebuildError(
                f"{self._place} exists, and write=History() needs the name for the versions of {self._table}. Nothing "
                "was changed. Rename what has the name, or rename the source."
            )
        if found := self._attached.others():
            raise RebuildError(
                f"{self._table}, or a view of it, has what a swap does not take over: {', '.join(found)}. Nothing was "
                "changed. Drop it, swap, then create it again."
            )
        referring = [f"{name} of {schema}.{child}" for schema, child, name, _ in self._attached.foreign_keys()]
        if row is not None and self._was_view != self._becomes_view and referring:
            becomes = "becomes a view" if self._becomes_view else "becomes a table without versions"
            raise RebuildError(
                f"{self._table} {becomes}, and foreign keys refer to {self._old}: {', '.join(referring)}. Nothing was "
                "changed. Drop these foreign keys, then swap again."
            )

    def lock(self) -> None:
        """Lock views, referring tables and the table, in the order in which readers do; give up early, try again.

        Raises:
            BusyError: If other sessions did not let them go in time.
        """
        names = [view.identifier for view in reversed(self._attached.views())]
        names += [sql.Identifier(schema, name) for schema, name, *_ in self._attached.foreign_keys()]
        names += [identifier(self._old)] if self._oid(self._old) is not None else []
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

    def _make_views(self, views: list[View]) -> None:
        """Create the views again; raise with the names of all that do not fit the new table."""
        broken = []
        for view in views:
            options = sql.SQL("WITH ({}) ").format(sql.SQL(view.options)) if view.options else sql.SQL("")
            statement = sql.SQL("CREATE VIEW {} {}AS {}").format(view.identifier, options, sql.SQL(view.definition))
            try:
                if self._oid(f"{view.schema}.{view.name}", view.identifier) is None:  # the write mode makes its own
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
        """Create an index that was added to the old table by hand."""
        spelled = self._connection.execute("SELECT to_regclass(%s)::text", (self._old,)).fetchone()
        old = spelled[0] if spelled else ""
        changed = definition.replace(f" ON {old} ", f" ON {identifier(self._new).as_string(self._connection)} ", 1)
        self._try(f"index {name}", sql.SQL(changed))

    def _try(self, what: str, statement: sql.Composed | sql.SQL, *, undo: bool = False) -> None:
        """Execute a statement, or only find whether it could be; raise with a remedy if it is not allowed."""
        try:
            with self._connection.transaction(force_rollback=undo):
                self._connection.execute(statement)
        except (*_WRONG_STATEMENT, errors.IntegrityError) as error:
            detail = f" ({error.diag.message_detail})" if isinstance(error, errors.DependentObjectsStillExist) else ""
            raise RebuildError(
                f"The {what} does not fit the new table, or something needs it: {_reason(error)}{detail}. The table "
                "was not put in place; what was built stays. Drop or change what is named, then swap again."
            ) from None

    def _oid(self, table: str, name: sql.Identifier | None = None) -> int | None:
        quoted = (name or identifier(table)).as_string(self._connection)
        row = self._connection.execute("SELECT to_regclass(%s)::oid::bigint", (quoted,)).fetchone()
        return row[0] if row else None


def _reason(error: Exception) -> str:
    """Return what the server says, without values of rows."""
    diagnosis = getattr(error, "diag", None)
    return (getattr(diagnosis, "message_primary", None) or type(error).__name__) if diagnosis else type(error).__name__
