"""Keys that a source lists now, in a temporary table, and the marks of the rows whose key is not among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.key_lists import KeyList
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID, RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

NOT_LISTED: Final = sql.Identifier("pg_temp", "etl_not_listed")
"""The marks of rows: ``delivery_id`` and ``record_no``."""


class ListedKeys:
    """Takes the keys of a source, and finds the rows of its table whose key is not among them.

    Both temporary tables are dropped at the end of the transaction.

    Args:
        connection: In a transaction.
        table: ``schema.table``.
        schema: Has the key; columns that are not of the key do not matter.
    """

    def __init__(self, connection: Connection, table: str, schema: Schema) -> None:
        self._connection = connection
        self._table = identifier(table)
        self._schema = schema
        self._listed = KeyList(connection, "etl_listed", table, schema, at_commit="DROP")

    def add(self, rows: pl.DataFrame) -> None:
        """Take keys; see `KeyList.add`."""
        self._listed.add(rows)

    def find_rows(self, deliveries: Sequence[int], key_names: Sequence[str]) -> int:
        """Compare rows with the keys; ``NOT_LISTED`` then has the marks of the rows whose key is not listed.

        A row of a record whose key a person corrected is left out: the source has another key for it.

        Args:
            deliveries: Ids of the deliveries whose rows are compared.
            key_names: The published names of the key's columns.

        Returns:
            The number of rows that were compared.
        """
        self._listed.analyze()
        names = {"table": self._table, "delivery": sql.Identifier(DELIVERY_ID), "record": sql.Identifier(RECORD_NO)}
        compared = sql.SQL(
            "FROM {table} t WHERE t.{delivery} = ANY ({deliveries}::bigint[]) AND NOT EXISTS (SELECT FROM etl.rejected "
            "r WHERE r.delivery_id = t.{delivery} AND r.record_no = t.{record} AND r.correction ?| {key_names}::text[])"
        ).format(**names, deliveries=sql.Literal(list(deliveries)), key_names=sql.Literal(list(key_names)))
        self._connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE etl_not_listed ON COMMIT DROP AS SELECT t.{delivery} AS delivery_id, t.{record} "
                "AS record_no {compared} AND NOT EXISTS (SELECT FROM {listed} k WHERE {same_key})"
            ).format(**names, compared=compared, listed=self._listed.name, same_key=same_key(self._schema, "t", "k"))
        )
        self._connection.execute(sql.SQL("ANALYZE {}").format(NOT_LISTED))
        row = self._connection.execute(sql.SQL("SELECT count(*) {}").format(compared)).fetchone()
        return row[0] if row else 0

    def has_row(self, mark: sql.Composable) -> sql.Composable:
        """The condition that the table has the row of a mark, by the alias of what has ``delivery_id`` and so on."""
        return sql.SQL("EXISTS (SELECT FROM {} t WHERE t.{} = {}.delivery_id AND t.{} = {}.record_no)").format(
            self._table, sql.Identifier(DELIVERY_ID), mark, sql.Identifier(RECORD_NO), mark
        )
