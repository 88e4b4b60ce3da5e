"""Finds which rows are new or differ from those of a table, by sending their keys and hashes only.

Those of few rows are the parameters of one statement. Those of many rows are copied into a temporary table, which costs
the server as much as several hundred rows do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from psycopg import sql

from etl_assets.postgres.connection import joining_by_index
from etl_assets.postgres.tables.copy import copy_in, encode, read_codes, wire_frame
from etl_assets.postgres.tables.guard import differs, same_key
from etl_assets.postgres.tables.key_range import KeyRange
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELIVERY_ID, ROW_HASH

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.copy import Codes
    from etl_assets.postgres.tables.range_partitions import Pruning
    from etl_assets.schema import Schema

PROBE: Final = sql.Identifier("pg_temp", "etl_probe")
"""The temporary table that has the keys and hashes of the rows that were compared last, until the transaction ends."""
_PLACE: Final = "etl_place"
_FEW: Final = 1_000
"""The keys of so many rows are sent as parameters."""
_SENT: Final = {"text": "text", "integer": "bigint"}
"""The types of the columns of a key that can be sent so."""
_NEW: Final = 1
_DIFFERS: Final = 2
_OWN: Final = 4
_FLAGS: Final = 8
"""A row of the answer is one number: the place times `_FLAGS`, plus what is true of the row."""


@dataclass(frozen=True)
class ProbeResult:
    """How some rows compare with the table.

    Attributes:
        new: Places of the rows whose key is not in the table.
        differing: Places of the rows whose key is in the table with other contents.
        others: How many of the other rows have their contents from another delivery, if they were counted.
        own: Places of the rows whose key has its row in the table from the delivery that was asked for.
    """

    new: np.ndarray
    differing: np.ndarray
    others: int
    own: np.ndarray


class Probe:
    """Compares rows with one table.

    Args:
        connection: Of the load; the temporary table belongs to this probe alone.
        table: ``schema.table``.
        schema: Of the table.
        pruning: Of the table.
        fills_table: Whether other statements read the temporary table, so that it is filled for few rows too.
    """

    def __init__(
        self, connection: Connection, table: str, schema: Schema, pruning: Pruning, *, fills_table: bool = False
    ) -> None:
        self._connection = connection
        self._table = identifier(table)
        self._schema = schema
        self._pruning = pruning
        self._key_range = KeyRange(connection, table, schema, pruning)
        self._sends_few = not fills_table and all(schema[name].type.name in _SENT for name in schema.key)

    def compare(self, rows: pl.DataFrame, *, others_than: int | None = None, own: int | None = None) -> ProbeResult:
        """Find which rows are new or differ from those of the table.

        Args:
            rows: As for `TableWriter.write`.
            others_than: Id of a delivery: count the unchanged rows that have their contents from another one.
            own: Id of a delivery: find the rows whose key has its row from it.
        """
        if self._sends_few and rows.height <= _FEW:
            answer = self._send(rows, others_than, own)
        else:
            places = pl.int_range(rows.height, dtype=pl.Int32).alias(_PLACE)
            self._fill(rows.select(places, ROW_HASH, *self._schema.key))
            with self._key_range.joined(rows) as within:
                answer = read_codes(self._connection, self._query(PROBE, within, others_than, own))
        place, new, differing = answer // _FLAGS, answer & _NEW > 0, answer & _DIFFERS > 0
        return ProbeResult(
            np.sort(place[new]),
            np.sort(place[differing & ~new]),
            int(np.count_nonzero(~differing & ~new)),
            np.sort(place[answer & _OWN > 0]),
        )

    def _query(
        self, probe: sql.Composable, within: sql.Composable, others_than: int | None, own: int | None
    ) -> sql.Composed:
        """SQL that compares the rows of a probe with the table, and returns those that `compare` is asked for."""
        conditions = [differs("p")]
        is_own: sql.Composable = sql.SQL("false")
        if own is not None:
            is_own = sql.SQL("t.{} IS NOT DISTINCT FROM {}").format(sql.Identifier(DELIVERY_ID), own)
            conditions.append(is_own)
        if others_than is not None:
            conditions.append(sql.SQL("t.{} <> {}").format(sql.Identifier(DELIVERY_ID), others_than))
        return sql.SQL(
            "SELECT p.{place} * {flags} + (t.{hash} IS NULL)::integer * {new_flag} "
            "+ ({differs})::integer * {differs_flag} + ({own})::integer * {own_flag} FROM {probe} p "
            "LEFT JOIN {table} t ON {match}{within} WHERE {conditions}"
        ).format(
            place=sql.Identifier(_PLACE),
            hash=sql.Identifier(ROW_HASH),
            differs=differs("p"),
            own=is_own,
            flags=_FLAGS,
            new_flag=_NEW,
            differs_flag=_DIFFERS,
            own_flag=_OWN,
            probe=probe,
            table=self._table,
            match=same_key(self._schema, "t", "p"),
            within=within,
            conditions=sql.SQL(" OR ").join(conditions),
        )

    def _send(self, rows: pl.DataFrame, others_than: int | None, own: int | None) -> Codes:
        """Return the answer for few rows, whose keys and hashes are parameters of the query."""
        names = (ROW_HASH, *self._schema.key)
        types = ("bigint", *(_SENT[self._schema[name].type.name] for name in self._schema.key))
        probe = sql.SQL(
            "(SELECT {names}, ({place} - 1)::integer AS {place} "
            "FROM unnest({arrays}) WITH ORDINALITY u ({names}, {place}))"
        ).format(
            names=sql.SQL(", ").join(map(sql.Identifier, names)),
            place=sql.Identifier(_PLACE),
            arrays=sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(type_)) for type_ in types),
        )
        values = [rows.get_column(name).to_list() for name in names]
        with joining_by_index(self._connection):
            query = self._query(probe, self._pruning.condition(rows), others_than, own)
            return read_codes(self._connection, query, values)

    def _fill(self, frame: pl.DataFrame) -> None:
        """Replace the contents of the probe with the place, hash and key, in this order, of some rows."""
        self._connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE IF NOT EXISTS etl_probe ON COMMIT DELETE ROWS AS SELECT 0::integer AS {}, {}, {} "
                "FROM {} WITH NO DATA; TRUNCATE {}"
            ).format(
                sql.Identifier(_PLACE),
                sql.Identifier(ROW_HASH),
                sql.SQL(", ").join(map(sql.Identifier, self._schema.key)),
                self._table,
                PROBE,
            )
        )
        data = encode(wire_frame(frame, self._schema))
        copy_in(self._connection, PROBE, (_PLACE, ROW_HASH, *self._schema.key), data)
