"""A new table, which the batches of one delivery fill, and which then takes the place of the table in use.

While it is filled it has no index. Rows that the delivery does not have are copied into it, and rows that it does not
change get the marks that they have in the table in use.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import errors, sql

from etl_assets.errors import BusyError, NotSwappedError, RebuildError
from etl_assets.postgres.tables.copy import copy_in, table_columns
from etl_assets.postgres.tables.ddl import index_name, lock_ddl
from etl_assets.postgres.tables.delivery_index import create_index
from etl_assets.postgres.tables.fillfactor import take_over_fillfactor
from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.older_snapshots import wait_for_older_snapshots
from etl_assets.postgres.tables.replacement import Replacement
from etl_assets.postgres.tables.staging import SWAPS
from etl_assets.schema import BOOKKEEPING, DELIVERY_ID, RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

LEFT: Final = "pg_temp.etl_left"
"""The temporary table of the rows whose key the new table does not have, until the transaction ends."""
_LEFT: Final = identifier(LEFT)
_SECONDS: Final = 5.0
"""How long to wait for sessions with an older snapshot, and then for readers to let the table go."""
_KEY_NAME: Final = "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s) AND contype = 'p'"


@dataclass(frozen=True)
class Compared:
    """How the rows of a batch compare with the table in use."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


def name_of(table: str) -> str:
    """Return the name of the new table for ``schema.table``."""
    return f"{SWAPS}.{table.split('.', 1)[1]}"


def drop_new(connection: Connection, table: str) -> None:
    """Drop the new table that a load for ``schema.table`` left behind."""
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(identifier(name_of(table))))


class NewTable:
    """The new table of one delivery.

    Args:
        connection: Of the load.
        table: ``schema.table`` of the table in use.
        schema: Of both tables.
        delivery_id: Of the delivery.

    Attributes:
        name: Of the new table, in SQL.
    """

    def __init__(self, connection: Connection, table: str, schema: Schema, delivery_id: int) -> None:
        self._connection = connection
        self._table = table
        self._old = identifier(table)
        self._schema = schema
        self._delivery_id = delivery_id
        self._columns = table_columns(schema)
        self._unqualified = name_of(table)
        self.name = identifier(self._unqualified)

    def create(self) -> None:
        """Create the table, empty, in the caller's transaction; one that is left behind is replaced."""
        row = self._connection.execute("SELECT to_regnamespace(%s) IS NULL", (SWAPS,)).fetchone()
        if row and row[0]:
            lock_ddl(self._connection)
            self._connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SWAPS)))
        drop_new(self._connection, self._table)
        self._connection.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMPRESSION)").format(
                self.name, self._old
            )
        )
        take_over_fillfactor(self._connection, self._table, self._unqualified)

    def add(self, encoded: bytes) -> None:
        """Copy rows into the table: of one batch, no key twice."""
        copy_in(self._connection, self.name, self._columns, encoded)

    def analyze(self) -> None:
        """Let the planner know how many rows there are."""
        self._connection.execute(sql.SQL("ANALYZE {}").format(self.name))

    def compare(self, batches: Mapping[int, int]) -> dict[int, Compared]:
        """Compare its rows with the table in use, then find the rows that it lacks, which ``LEFT`` has.

        Args:
            batches: The first record of each batch, by its number.

        Returns:
            The result for each batch.

        Raises:
            NotSwappedError: If an earlier batch of the delivery has written a row of the same key.
        """
        self._connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(self._old))  # rows are found by place
        firsts = sorted((first, number) for number, first in batches.items())
        self._connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE etl_compared ON COMMIT DROP AS SELECT width_bucket(n.{record}, {firsts}::bigint[]) "
                "AS place, count(*) FILTER (WHERE t.{hash} IS NULL) AS inserted, count(*) FILTER (WHERE t.{hash} <> "
                "n.{hash}) AS updated, count(*) FILTER (WHERE t.{hash} = n.{hash}) AS unchanged, count(*) FILTER "
                "(WHERE n.{hash} IS NOT NULL AND t.{delivery} = {own}) AS repeated, array_agg(t.ctid) FILTER "
                "(WHERE n.{hash} IS NULL) AS lacking FROM {new} n FULL JOIN {old} t ON {match} GROUP BY 1"
            ).format(
                **self._names(),
                firsts=sql.Literal([first for first, _ in firsts]),
                own=sql.Literal(self._delivery_id),
            )
        )
        self._connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE etl_left ON COMMIT DROP AS SELECT t.* FROM pg_temp.etl_compared c "
                "CROSS JOIN unnest(c.lacking) lacking (id) JOIN {old} t ON t.ctid = lacking.id"
            ).format(**self._names())
        )
        rows = self._connection.execute(
            "SELECT place, inserted, updated, unchanged, repeated FROM pg_temp.etl_compared WHERE place IS NOT NULL"
        ).fetchall()
        if any(repeated for *_, repeated in rows):
            raise _repeated(self._table)
        found = {firsts[place - 1][1]: Compared(*counts) for place, *counts, _ in rows}
        return {number: found.get(number, Compared()) for number in batches}

    def prepare(self, absent: sql.Identifier | None, *, any_unchanged: bool) -> None:
        """Make the rows those that the table is to have, then give it all that the table in use has besides rows.

        Args:
            absent: A table with the keys of the rows that are to go; None if none is.
            any_unchanged: Whether any of its rows is as in the table in use.

        Raises:
            NotSwappedError: If it cannot have the key, an index or a constraint of the table in use.
        """
        names = self._names()
        kept: sql.Composable = sql.SQL("true")
        if absent is not None:
            match = same_key(self._schema, "t", "a")
            kept = sql.SQL("NOT EXISTS (SELECT FROM {} a WHERE {})").format(absent, match)
        if any_unchanged:
            self._connection.execute(
                sql.SQL(
                    "UPDATE {new} n SET {delivery} = t.{delivery}, {record} = t.{record} FROM {old} t "
                    "WHERE {match} AND n.{hash} = t.{hash}"
                ).format(**names)
            )
        self._connection.execute(
            sql.SQL("INSERT INTO {new} ({columns}) SELECT {columns} FROM {left} t WHERE {kept}").format(
                **names, left=_LEFT, kept=kept, columns=sql.SQL(", ").join(map(sql.Identifier, self._columns))
            )
        )
        try:
            with self._connection.transaction():
                self._add_key()
                create_index(self._connection, self._unqualified, index_name(self._table, (DELIVERY_ID,), "brin"))
                self._replacement().prepare()
                self.analyze()
        except errors.UniqueViolation:
            raise _repeated(self._table) from None
        except (RebuildError, errors.ProgramLimitExceeded, errors.InsufficientPrivilege) as error:
            raise _unfit(self._table, error) from None
        self._connection.execute("SET LOCAL search_path TO DEFAULT")

    def wait(self) -> bool:
        """Wait, outside of a transaction, until every session sees its rows; return whether that is so."""
        return wait_for_older_snapshots(self._connection, _SECONDS, time.sleep)

    def swap(self) -> bool:
        """Put the table in place, in the caller's transaction; return False, with nothing changed, if that fails."""
        try:
            with self._connection.transaction():
                lock_ddl(self._connection)
                replacement = self._replacement()
                replacement.lock()
                replacement.prepare()  # with what was attached to the table since
                replacement.exchange()
                replacement.attach()
                self._connection.execute("SET LOCAL search_path TO DEFAULT")
        except (RebuildError, BusyError, errors.InsufficientPrivilege, errors.LockNotAvailable):
            return False
        return True

    def merge(self) -> None:
        """Write its rows that are new or differ into the table in use, then drop it."""
        changed = [name for name in (*self._schema.names, *BOOKKEEPING) if name not in self._schema.key]
        self._connection.execute(
            sql.SQL("UPDATE {old} t SET {changes} FROM {new} n WHERE {match} AND t.{hash} <> n.{hash}").format(
                **self._names(),
                changes=sql.SQL(", ").join(sql.SQL("{0} = n.{0}").format(sql.Identifier(name)) for name in changed),
            )
        )
        self._connection.execute(
            sql.SQL(
                "INSERT INTO {old} ({columns}) SELECT {columns} FROM {new} n "
                "WHERE NOT EXISTS (SELECT FROM {old} t WHERE {match})"
            ).format(**self._names(), columns=sql.SQL(", ").join(map(sql.Identifier, self._columns)))
        )
        drop_new(self._connection, self._table)

    def _replacement(self) -> Replacement:
        return Replacement(
            self._connection, self._table, self._unqualified, self._unqualified, seconds=_SECONDS, staged=()
        )

    def _add_key(self) -> None:
        row = self._connection.execute(_KEY_NAME, (self._table,)).fetchone()
        self._connection.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY ({})").format(
                self.name,
                sql.Identifier(row[0] if row else "pkey"),
                sql.SQL(", ").join(map(sql.Identifier, self._schema.key)),
            )
        )

    def _names(self) -> dict[str, sql.Composable]:
        return {
            "new": self.name,
            "old": self._old,
            "delivery": sql.Identifier(DELIVERY_ID),
            "record": sql.Identifier(RECORD_NO),
            "hash": sql.Identifier(ROW_HASH),
            "match": same_key(self._schema, "n", "t"),
        }


def _repeated(table: str) -> NotSwappedError:
    return NotSwappedError(
        f"Batches of the delivery repeat keys, so that a new table for {table} cannot have the key. Nothing was put in "
        "place. Load the delivery again; then its batches are written into the table."
    )


def _unfit(table: str, error: Exception) -> NotSwappedError:
    reason = str(error) if isinstance(error, RebuildError) else type(error).__name__
    return NotSwappedError(
        f"A new table for {table} cannot have what that one has ({reason}). Nothing was put in place. Load the "
        "delivery again; then its batches are written into the table."
    )
