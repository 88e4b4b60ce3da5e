"""The keys that a delivery published, in a temporary table of the session that loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl
import psycopg
from psycopg import sql

from etl_assets.postgres.faults import fault_of
from etl_assets.postgres.tables.copy import copy_in, encode, wire_frame
from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.names import identifier

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

PUBLISHED: Final = sql.Identifier("pg_temp", "etl_published")
_WANTED: Final = sql.Identifier("pg_temp", "etl_wanted")
_PLACE: Final = "etl_place"


class PublishedKeys:
    """Takes the keys of one delivery, batch by batch; what a transaction that is rolled back added is gone with it.

    Args:
        connection: Of the load; its temporary tables belong to this object alone.
        table: ``schema.table``.
        schema: Of the table.
    """

    def __init__(self, connection: Connection, table: str, schema: Schema) -> None:
        self._connection = connection
        self._schema = schema
        self._table = identifier(table)
        keys = sql.SQL(", ").join(map(sql.Identifier, schema.key))
        for name, more, ending in (
            (PUBLISHED, sql.SQL(""), sql.SQL("PRESERVE ROWS")),
            (_WANTED, sql.SQL("0::integer AS {}, ").format(sql.Identifier(_PLACE)), sql.SQL("DELETE ROWS")),
        ):
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
            connection.execute(
                sql.SQL("CREATE TEMP TABLE {} ON COMMIT {} AS SELECT {}{} FROM {} WITH NO DATA").format(
                    sql.Identifier(name.as_string().split(".")[1].strip('"')), ending, more, keys, self._table
                )
            )

    def add(self, keys: pl.DataFrame) -> None:
        """Take keys, typed as in a `Verdict`. One that the database cannot store is left out: no row has it."""
        if keys.is_empty():
            return
        try:
            with self._connection.transaction():
                rows = wire_frame(keys.select(self._schema.key), self._schema)
                copy_in(self._connection, PUBLISHED, self._schema.key, encode(rows))
        except psycopg.Error as error:
            if fault_of(error).kind != "data" or self._connection.broken:
                raise
        else:
            return
        if keys.height > 1:
            half = keys.height // 2
            self.add(keys[:half])
            self.add(keys[half:])

    def missing_in_table(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the keys, of some rows, that the table does not have."""
        keys = rows.select(self._schema.key)
        if keys.is_empty():
            return keys
        self._connection.execute(sql.SQL("TRUNCATE {}").format(_WANTED))
        places = pl.int_range(keys.height, dtype=pl.Int32).alias(_PLACE)
        names = (_PLACE, *self._schema.key)
        copy_in(self._connection, _WANTED, names, encode(wire_frame(keys.select(places, pl.all()), self._schema)))
        query = sql.SQL("SELECT w.{place} FROM {wanted} w WHERE NOT EXISTS (SELECT FROM {table} t WHERE {match})")
        found = self._connection.execute(
            query.format(
                place=sql.Identifier(_PLACE),
                wanted=_WANTED,
                table=self._table,
                match=same_key(self._schema, "t", "w"),
            )
        ).fetchall()
        return keys[sorted(place for (place,) in found)]
