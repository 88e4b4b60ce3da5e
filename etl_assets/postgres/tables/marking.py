"""Marks the rows of a table whose key deliveries no longer have, with the time since which they do not have it.

The time is when the oldest delivery was fetched since which none has the key. So a mark also says which delivery was
the last one that had the key: the one before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from etl_assets.postgres.tables.absent_rows import ABSENT, AbsentRows
from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.key_lists import KeyList
from etl_assets.postgres.tables.marks import NOT_MARKED
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELETED_AT, DELIVERY_ID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import polars as pl

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

_MARK = sql.Identifier(DELETED_AT)


def mark_keys(connection: Connection, table: str, schema: Schema, keys: pl.DataFrame, at: datetime) -> None:
    """Mark the rows of some keys.

    Args:
        connection: In a transaction.
        table: ``schema.table``.
        schema: Of the table.
        keys: With the key's columns.
        at: The mark.
    """
    listed = KeyList(connection, "etl_marked", table, schema, at_commit="DROP")
    listed.add(keys)
    listed.analyze()
    connection.execute(
        sql.SQL("UPDATE {} t SET {} = %s FROM {} k WHERE {}").format(
            identifier(table), _MARK, listed.name, same_key(schema, "t", "k")
        ),
        (at,),
    )


class UnmarkedRows(AbsentRows):
    """Finds the rows of a scope that a delivery no longer has, as `AbsentRows`, and marks them."""

    present = NOT_MARKED

    def any_others(self, newer: Sequence[int]) -> bool:
        """Return whether the scope has rows of others than this delivery, as `AbsentRows`, or any marked rows."""
        query = sql.SQL("SELECT EXISTS (SELECT FROM {} t WHERE {} AND t.{} IS NOT NULL)").format(
            self._table, self._scope(()), _MARK
        )
        row = self._connection.execute(query).fetchone()
        return bool(row and row[0]) or super().any_others(newer)

    def move_on(self, newer: Sequence[datetime], published: KeyList | None) -> None:
        """Let the rows of the keys that the delivery has be gone only since the next newer delivery, if they are gone.

        Args:
            newer: When the newer deliveries of the scope were fetched, oldest first. If there are none, the rows are
                not marked any more.
            published: The keys of the whole delivery; None if it may have any.
        """
        have: sql.Composable = sql.SQL("true")
        if published is not None:
            published.analyze()
            have = sql.SQL("EXISTS (SELECT FROM {} k WHERE {})").format(
                published.name, same_key(self._schema, "t", "k")
            )
        self._connection.execute(
            sql.SQL(
                "UPDATE {table} t SET {mark} = %s WHERE {scope} AND t.{mark} IS NOT NULL "
                "AND t.{mark} <> ALL (%s::timestamptz[]) AND {have}"
            ).format(table=self._table, mark=_MARK, scope=self._scope(()), have=have),
            (newer[0] if newer else None, list(newer)),
        )

    def find_marked(self, published: KeyList, at: datetime) -> None:
        """Find the rows with a mark whose key is not among those published; there are no others to count.

        Args:
            published: The keys of the whole delivery.
            at: The mark.
        """
        published.analyze()
        self._connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE etl_absent ON COMMIT DROP AS SELECT {columns} FROM {table} t WHERE {scope} "
                "AND t.{mark} = {at} AND t.{delivery} <> {own} AND NOT EXISTS (SELECT FROM {published} k WHERE {match})"
            ).format(
                columns=sql.SQL(", ").join(sql.Identifier("t", name) for name in self._columns),
                table=self._table,
                scope=self._scope(()),
                mark=_MARK,
                at=sql.Literal(at),
                delivery=sql.Identifier(DELIVERY_ID),
                own=sql.Literal(self._delivery.id),
                published=published.name,
                match=same_key(self._schema, "t", "k"),
            )
        )
        self._connection.execute(sql.SQL("ANALYZE {}").format(ABSENT))

    def mark(self) -> None:
        """Mark the rows that were found with the time at which the delivery was fetched."""
        self._connection.execute(
            sql.SQL("UPDATE {} t SET {} = %s FROM {} a WHERE {}").format(
                self._table, _MARK, ABSENT, same_key(self._schema, "t", "a")
            ),
            (self._delivery.fetched_at,),
        )

    def mark_since_last(self, older: Sequence[tuple[int, datetime]]) -> list[int]:
        """Mark the rows that were found as gone since the delivery after the one that gave them their contents.

        Deliveries in between may have their keys, so that the marks are too old.

        Args:
            older: Ids of the older deliveries of the scope, and when they were fetched, oldest first.

        Returns:
            Ids of the deliveries in between.
        """
        ids = [id_ for id_, _ in older]
        times = [*(at for _, at in older), self._delivery.fetched_at]
        self._connection.execute(
            sql.SQL(
                "UPDATE {table} t SET {mark} = coalesce(o.next, %(first)s) FROM {absent} a LEFT JOIN "
                "unnest(%(ids)s::bigint[], %(next)s::timestamptz[]) o (id, next) ON o.id = a.{delivery} WHERE {match}"
            ).format(
                table=self._table,
                mark=_MARK,
                absent=ABSENT,
                delivery=sql.Identifier(DELIVERY_ID),
                match=same_key(self._schema, "t", "a"),
            ),
            {"first": times[0], "ids": ids, "next": times[1:]},
        )
        rows = self._connection.execute(
            sql.SQL("SELECT DISTINCT {} FROM {}").format(sql.Identifier(DELIVERY_ID), ABSENT)
        ).fetchall()
        places = [ids.index(id_) + 1 if id_ in ids else 0 for (id_,) in rows]
        return ids[min(places) :] if places else []
