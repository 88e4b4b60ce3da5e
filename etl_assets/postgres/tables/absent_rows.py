"""The rows of a table whose key a delivery no longer has: finds, shows, and deletes or marks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from psycopg import sql

from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.history_table import ENDED_BY
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.reading import fetch_frame
from etl_assets.postgres.tables.reloading import hand_over
from etl_assets.schema import DELIVERY_ID, RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.upsert import Protect
    from etl_assets.schema import Schema

ABSENT: Final = sql.Identifier("pg_temp", "etl_absent")
_SHOWN: Final = 5


class Keys(Protocol):
    """A table that has the key's columns: its name in SQL."""

    name: sql.Identifier

    def analyze(self) -> None:
        """Let the planner know how many keys there are."""


class AbsentRows:
    """Finds the rows of a scope that a delivery no longer has; rows of newer deliveries are not of the scope.

    The temporary table ``name`` has their keys and marks until the transaction ends.

    Args:
        connection: In the transaction that completes the delivery.
        table: ``schema.table``.
        schema: Of the table.
        delivery: The delivery.
        partition: Only rows that came in this partition; None for all rows.
        versions: Whether the table has versions of rows: only those are of the scope that the delivery may end.
        among: The table that has the rows of which some are looked for; the same table by default.

    Attributes:
        number: How many rows were found.
        compared: How many rows the scope has.
    """

    name: Final = ABSENT
    present: sql.Composable = sql.SQL("true")
    """The condition that a row ``t`` is there, and not only kept as a row that is gone."""

    def __init__(
        self,
        connection: Connection,
        table: str,
        schema: Schema,
        delivery: Delivery,
        partition: str | None,
        *,
        versions: bool = False,
        among: str | None = None,
    ) -> None:
        self._connection = connection
        self._name = table
        self._table = identifier(table)
        self._among = identifier(among or table)
        self._schema = schema
        self._delivery = delivery
        self._partition = partition
        self._versions = versions
        self.number = 0
        self.compared = 0

    def any_others(self, newer: Sequence[int]) -> bool:
        """Return whether the scope has rows of other deliveries than this one, and than newer ones."""
        query = sql.SQL("SELECT EXISTS (SELECT FROM {} t WHERE {} AND t.{} <> {})").format(
            self._table, self._scope(newer), sql.Identifier(DELIVERY_ID), sql.Literal(self._delivery.id)
        )
        row = self._connection.execute(query).fetchone()
        return bool(row and row[0])

    def find(self, published: Keys, newer: Sequence[int]) -> None:
        """Find the rows whose key is not among those published.

        Args:
            published: The keys of the whole delivery.
            newer: Ids of newer deliveries.
        """
        delivery = sql.Identifier(DELIVERY_ID)
        published.analyze()
        self._connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE etl_absent ON COMMIT DROP AS SELECT {columns} FROM {table} t WHERE {scope} "
                "AND {present} AND t.{delivery} <> {own} AND NOT EXISTS (SELECT FROM {published} k WHERE {same_key})"
            ).format(
                columns=sql.SQL(", ").join(sql.Identifier("t", name) for name in self._columns),
                table=self._among,
                scope=self._scope(newer),
                present=self.present,
                delivery=delivery,
                own=sql.Literal(self._delivery.id),
                published=published.name,
                same_key=same_key(self._schema, "t", "k"),
            )
        )
        self._connection.execute(sql.SQL("ANALYZE {}").format(ABSENT))
        self.number = self._count(sql.SQL("SELECT count(*) FROM {}").format(ABSENT))
        if self.number:
            self.compared = self._count(
                sql.SQL("SELECT count(*) FROM {} t WHERE {} AND {}").format(
                    self._table, self._scope(newer if self._versions else ()), self.present
                )
            )

    def keep_confirmed(self, protect: Protect) -> None:
        """Leave out the rows that newer deliveries confirmed, and give them the marks of these deliveries.

        Args:
            protect: See `TableWriter.write`.
        """
        query = sql.SQL("SELECT {} FROM {} t").format(
            sql.SQL(", ").join(sql.Identifier("t", name) for name in self._columns), ABSENT
        )
        candidates = fetch_frame(self._connection, query, {}, self._columns, self._schema)
        if candidates.is_empty():
            return
        # the record numbers are of other deliveries, so that every newer one counts
        confirmed = protect(candidates)
        hand_over(self._connection, self._name, self._schema, confirmed)
        self._connection.execute(
            sql.SQL("DELETE FROM {absent} a USING {table} t WHERE {match} AND t.{delivery} <> a.{delivery}").format(
                absent=ABSENT,
                table=self._table,
                match=same_key(self._schema, "t", "a"),
                delivery=sql.Identifier(DELIVERY_ID),
            )
        )
        self.number = self._count(sql.SQL("SELECT count(*) FROM {}").format(ABSENT))

    def first_keys(self) -> str:
        """Return the first keys, for people; the values of sensitive columns are left out."""
        shown = [name for name in self._schema.key if not self._schema[name].sensitive]
        if not shown:
            return "not shown, since they are sensitive"
        columns = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in shown)
        order = sql.SQL(", ").join(map(sql.Identifier, self._schema.key))
        query = sql.SQL("SELECT {} FROM {} ORDER BY {} LIMIT {}").format(columns, ABSENT, order, sql.Literal(_SHOWN))
        return "; ".join(" ".join(row) for row in self._connection.execute(query).fetchall())

    def keys(self) -> pl.DataFrame:
        """Return the keys of the rows."""
        query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(map(sql.Identifier, self._schema.key)), ABSENT)
        return fetch_frame(self._connection, query, {}, self._schema.key, self._schema)

    def delete(self) -> int:
        """Delete the rows; return how many were deleted."""
        if not self.number:
            return 0
        statement = sql.SQL("DELETE FROM {} t USING {} a WHERE {}").format(
            self._table, ABSENT, same_key(self._schema, "t", "a")
        )
        return self._connection.execute(statement).rowcount

    @property
    def _columns(self) -> tuple[str, ...]:
        return (*self._schema.key, DELIVERY_ID, RECORD_NO)

    def _scope(self, newer: Sequence[int]) -> sql.Composable:
        """The condition that a row ``t`` is in the scope."""
        delivery = sql.Identifier(DELIVERY_ID)
        conditions: list[sql.Composable] = [sql.SQL("true")]
        if newer:
            conditions.append(sql.SQL("t.{} <> ALL ({}::bigint[])").format(delivery, sql.Literal(list(newer))))
        if self._versions:
            conditions.append(
                sql.SQL("(t.{ended_by} IS NULL OR t.{ended_by} = ANY ({newer}::bigint[]))").format(
                    ended_by=sql.Identifier(ENDED_BY), newer=sql.Literal(list(newer))
                )
            )
        if self._partition is not None:
            conditions.append(
                sql.SQL("t.{} IN (SELECT id FROM etl.delivery WHERE source = {} AND partition = {})").format(
                    delivery, sql.Literal(self._delivery.source), sql.Literal(self._partition)
                )
            )
        return sql.SQL(" AND ").join(conditions)

    def _count(self, query: sql.Composed) -> int:
        row = self._connection.execute(query).fetchone()
        return int(row[0]) if row else 0
