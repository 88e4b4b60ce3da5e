"""Writes versions of rows: of each key the table has a chain of versions, which the order of deliveries decides.

A version begins with the delivery that brought its contents. It ends with the first newer delivery that brought others,
or that no longer had the key. A delivery that comes in order ends current versions and begins others. One that comes
late, is reloaded, or brings a key again changes its place in the chain, up to the next delivery that has the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import polars as pl
from psycopg import errors, sql

from etl_assets.postgres.connection import joining_by_index, planned_without
from etl_assets.postgres.tables.copy import copy_in, encode, table_columns, wire_frame
from etl_assets.postgres.tables.guard import same_key
from etl_assets.postgres.tables.history_table import ENDED_BY, VALID_FROM, VALID_TO, history_of
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.probe import PROBE
from etl_assets.postgres.tables.reading import fetch_frame
from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import LiteralString

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.key_lists import KeyList
    from etl_assets.schema import Schema

HASH: Final = "#hash"
"""Of a key at stake: the row hash of its version."""
END: Final = "#end"
"""Of a key at stake: the delivery that ends its version, or, without a version, that begins the next; may be null."""
_STATE: Final = "#state"
_NEXT: Final = "#next"
_STAKE_COLUMNS: Final = (
    _STATE,
    END,
    _NEXT,
    *("#cover", "#cover_record", "#cover_hash", "#until", "#before", "#before_hash", "#earlier", "#later"),
)
_TABLES: Final = {
    "staged": "etl_staging",
    "listed": "etl_keys",
    "stake": "etl_stake",
    "confirming": "etl_confirming",
    "merged": "etl_merged",
}
"""The temporary tables, by the names that they have in the statements."""


@dataclass(frozen=True)
class Edited:
    """What became of the versions of the keys of a delivery.

    Attributes:
        began: Versions of keys that had none when the delivery came.
        changed: Versions that follow another one, or have other contents than before.
        gone: Versions that ended because the delivery no longer has their key.
        removed: Versions that the delivery had brought, and no longer brings.
        added: How many more rows the table has.
        merged: Delivery and record that had brought a version which they only confirm now.
    """

    began: int = 0
    changed: int = 0
    gone: int = 0
    removed: int = 0
    added: int = 0
    merged: Sequence[tuple[int, int]] = ()

    def __add__(self, other: Edited) -> Edited:
        """Return the sums."""
        return Edited(
            self.began + other.began,
            self.changed + other.changed,
            self.gone + other.gone,
            self.removed + other.removed,
            self.added + other.added,
            (*self.merged, *other.merged),
        )


class Neighbours(Protocol):
    """What newer deliveries say of keys whose versions are about to change."""

    def confirming(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Find the oldest record since that confirms each version.

        Args:
            keys: The key's columns, ``RECORD_NO`` of the record that is written, `HASH` and `END`.

        Returns:
            The columns of the schema and the bookkeeping columns, of those that were found.
        """

    def ending(self, keys: pl.DataFrame) -> pl.DataFrame:
        """Find the oldest delivery since that did not have each key, if that ends a version.

        Args:
            keys: The key's columns, and `END`; keys without a version.

        Returns:
            The key's columns and ``DELIVERY_ID``, of those that were found.
        """


class VersionWriter:
    """Writes the versions of one delivery.

    Args:
        connection: Of the load; its temporary tables belong to this writer alone.
        table: ``schema.table``, the name of the view.
        schema: Of the rows.
        delivery_id: Id of the delivery.
        at: The time of the delivery.

    Attributes:
        newer: Ids of the newer deliveries, the oldest first; to be set in each transaction.
        was_empty: Whether the table had no versions when this writer was made.
    """

    def __init__(self, connection: Connection, table: str, schema: Schema, delivery_id: int, at: datetime) -> None:
        self._connection = connection
        self._history = identifier(history_of(table))
        self._schema = schema
        self._delivery_id = delivery_id
        self._at = at
        self._columns = table_columns(schema)
        self.newer: Sequence[int] = ()
        row = connection.execute(self._format("SELECT NOT EXISTS (SELECT FROM {history})")).fetchone()
        self.was_empty = bool(row and row[0])
        self._create_temporary_tables()

    def _create_temporary_tables(self) -> None:
        stake = (
            "'' AS {state}, h.{record}, h.{hash}, h.{delivery} AS {cover}, h.{record} AS {cover_record}, "
            "h.{hash} AS {cover_hash}, h.{ended_by} AS {end}, h.{ends} AS {until}, h.{delivery} AS {before}, "
            "h.{hash} AS {before_hash}, h.{delivery} AS {next}"
        )
        merged = (
            "h.{delivery} AS {earlier}, h.{delivery} AS {later}, h.{record}, h.{ends} AS {until}, h.{ended_by} AS {end}"
        )
        for name, columns in (
            ("staged", "{columns}"),
            ("confirming", "{columns}"),
            ("listed", "{keys}, '' AS {state}"),
            ("stake", "{keys}, " + stake),
            ("merged", "{keys}, " + merged),
        ):
            self._connection.execute(
                sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("pg_temp", _TABLES[name]))
            )
            self._connection.execute(
                sql.SQL("CREATE TEMP TABLE {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} h WITH NO DATA").format(
                    sql.Identifier(_TABLES[name]), self._format(columns), self._history
                )
            )

        for name in ("confirming", "listed"):
            self._index(name)

    def _index(self, name: str) -> None:
        """Let statements find the rows of a temporary table by their key; those that only copy rows need no index."""
        self._connection.execute(
            sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} ({})").format(
                sql.Identifier(f"{_TABLES[name]}_key"),
                sql.Identifier("pg_temp", _TABLES[name]),
                _listed(self._schema.key),
            )
        )

    def encode(self, rows: pl.DataFrame) -> bytes:
        """Encode rows in the form in which `begin_if_new` sends them; may be called from another thread."""
        began = pl.lit(self._at).cast(pl.Datetime("us", "UTC")).alias(VALID_FROM)
        return encode(wire_frame(rows.select(*self._columns, began), self._schema))

    def begin_if_new(self, rows: pl.DataFrame, encoded: bytes | None = None) -> bool:
        """Begin a version for each row; return False and begin none if one of their keys has one."""
        data = self.encode(rows) if encoded is None else encoded
        try:
            with self._connection.transaction():
                copy_in(self._connection, self._history, (*self._columns, VALID_FROM), data)
        except errors.UniqueViolation:
            return False
        return True

    def stage(self, rows: pl.DataFrame | None) -> None:
        """Replace the contents of the staging table with rows, of which no key occurs twice; with None, empty it."""
        self._execute("TRUNCATE {staged}")
        if rows is not None:
            self._send("staged", self._columns, rows)

    def succeed(self, rows: pl.DataFrame) -> Edited:
        """End the current versions that the last probe found to differ, and begin others.

        Nothing is newer than the delivery.

        Args:
            rows: The probed rows whose key is new, or has a current version with other contents from another delivery.
        """
        if rows.is_empty():
            return Edited()
        with joining_by_index(self._connection):
            ended = self._execute(
                "UPDATE {history} h SET {ends} = {at}, {ended_by} = {own} FROM {probe} p WHERE {h_is_p} "
                "AND h.{ended_by} IS NULL AND h.{hash} IS DISTINCT FROM p.{hash} AND h.{delivery} <> {own}",
                probe=PROBE,
                h_is_p=same_key(self._schema, "h", "p"),
            )
        copy_in(self._connection, self._history, (*self._columns, VALID_FROM), self.encode(rows))
        return Edited(began=rows.height - ended, changed=ended, added=rows.height)

    def unproduced(self, produced: pl.DataFrame, records: tuple[int, int]) -> pl.DataFrame:
        """Return the keys of the delivery's versions, from some records, that these records no longer bring.

        Args:
            produced: The key's columns and ``RECORD_NO`` of what they bring now.
            records: The first and the last record.
        """
        query = self._format(
            "SELECT {keys_of_h}, h.{record} FROM {history} h WHERE h.{delivery} = {own} "
            "AND h.{record} BETWEEN {first} AND {last}",
            first=sql.Literal(records[0]),
            last=sql.Literal(records[1]),
        )
        with planned_without(self._connection, "seqscan"):
            had = fetch_frame(self._connection, query, {}, (*self._schema.key, RECORD_NO), self._schema)
        return had.join(produced, on=[*self._schema.key, RECORD_NO], how="anti").select(self._schema.key)

    def rehash(self, hashed: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        """Give every version of the staged keys the hash of the current seed.

        Args:
            hashed: Takes rows, with the columns of the schema; returns them with ``ROW_HASH``.
        """
        names = (*self._schema.names, DELIVERY_ID, RECORD_NO)
        query = self._format(
            "SELECT {selected} FROM {history} h JOIN {staged} s ON {h_is_s}", selected=_listed(names, "h")
        )
        with joining_by_index(self._connection):
            versions = fetch_frame(self._connection, query, {}, names, self._schema)
            self._execute("TRUNCATE {confirming}")
            self._send("confirming", self._columns, hashed(versions))
            self._execute(
                "UPDATE {history} h SET {hash} = c.{hash} FROM {confirming} c WHERE {h_is_c} "
                "AND h.{delivery} = c.{delivery} AND h.{hash} <> c.{hash}"
            )

    def ended(self, published: KeyList | None) -> pl.DataFrame:
        """Return the keys whose version ended with the delivery, which brought no other, and that it has.

        Args:
            published: The keys that the delivery has; None if it may have any.
        """
        has_key = self._format("true")
        if published is not None:
            has_key = self._format("EXISTS (SELECT FROM {published} k WHERE {h_is_k})", published=published.name)
        query = self._format(
            "SELECT {keys_of_h} FROM {history} h WHERE h.{ended_by} = {own} AND {has_key} "
            "AND NOT EXISTS (SELECT FROM {history} c WHERE {c_is_h} AND c.{delivery} = {own})",
            has_key=has_key,
            c_is_h=same_key(self._schema, "c", "h"),
        )
        return fetch_frame(self._connection, query, {}, self._schema.key, self._schema)

    def move(self, since: datetime) -> None:
        """Move the versions that the delivery began or ended to another time of it."""
        at = sql.Literal(since)
        self._execute("UPDATE {history} h SET {begins} = {moved} WHERE h.{delivery} = {own}", moved=at)
        self._execute("UPDATE {history} h SET {ends} = {moved} WHERE h.{ended_by} = {own}", moved=at)

    def store(self) -> None:
        """Write the staged rows only to find whether the table can store them; the caller rolls back."""
        self._execute(
            "INSERT INTO {history} ({columns}, {begins}) SELECT {columns}, {at} FROM {staged} ON CONFLICT DO NOTHING"
        )

    def place(self, neighbours: Neighbours, *, gone: pl.DataFrame, left: pl.DataFrame, later: int) -> Edited:
        """Make the versions at the time of the delivery those that it brings, up to the next delivery with the key.

        The staged rows are what it brings.

        Args:
            neighbours: What newer deliveries, which are loaded, say of the keys.
            gone: Keys that end with the delivery.
            left: Keys of which it brings nothing, so that what was before goes on.
            later: Versions of the delivery from records after this one stand.
        """
        self._index("staged")
        self._list_stake(gone, left)
        with joining_by_index(self._connection):
            self._drop_what_stands(later)
            self._find_next(neighbours)
            return self._edit()

    def _list_stake(self, gone: pl.DataFrame, left: pl.DataFrame) -> None:
        """List the keys, the version that each has at the time of the delivery, and the one that it had before."""
        self._execute("TRUNCATE {stake}")
        self._list_keys([(gone, "gone"), (left, "left")])
        with joining_by_index(self._connection):
            self._execute(
                "INSERT INTO {stake} SELECT {keys_of_k}, k.{state}, k.{record}, k.{hash}, c.{delivery}, "
                "c.{record}, c.{hash}, c.{ended_by}, c.{ends}, b.{delivery}, b.{hash}, NULL "
                "FROM (SELECT {keys}, 'row' AS {state}, {record}, {hash} FROM {staged} "
                "UNION ALL SELECT {keys}, {state}, NULL, NULL FROM {listed}) k "
                "LEFT JOIN {history} c ON {c_is_k} AND c.{delivery} <> ALL ({newer}) "
                "AND (c.{ended_by} IS NULL OR c.{ended_by} = ANY ({newer})) "
                "LEFT JOIN {history} b ON {b_is_k} AND b.{delivery} <> ALL ({newer}) AND b.{delivery} <> {own} "
                "AND (b.{ended_by} IS NULL OR b.{ended_by} = ANY ({newer}) OR b.{ended_by} = {own})",
                c_is_k=same_key(self._schema, "c", "k"),
                b_is_k=same_key(self._schema, "b", "k"),
            )

    def _drop_what_stands(self, later: int) -> None:
        """Drop the keys whose version stays as it is."""
        self._execute(
            "DELETE FROM {stake} k WHERE k.{state} = 'row' AND k.{cover} = {own} "
            "AND k.{cover_record} > greatest(k.{record}, {standing})",
            standing=sql.Literal(later),
        )
        # a record that says what was before only confirms it
        self._execute("UPDATE {stake} k SET {state} = 'left' WHERE k.{state} = 'row' AND k.{before_hash} = k.{hash}")
        self._execute(
            "WITH same AS (DELETE FROM {stake} k WHERE k.{state} = 'row' AND k.{cover} = {own} "
            "AND k.{cover_hash} = k.{hash} RETURNING {keys_of_k}, k.{cover}) "
            "UPDATE {history} h SET {contents_of_staged} FROM same k JOIN {staged} s ON {k_is_s} "
            "WHERE {h_is_k} AND h.{delivery} = k.{cover}"
        )
        self._execute(
            "DELETE FROM {stake} k WHERE (k.{state} = 'left' AND k.{cover} IS NOT DISTINCT FROM k.{before}) "
            "OR (k.{state} = 'gone' AND k.{cover} IS NULL)"
        )

    def _find_next(self, neighbours: Neighbours) -> None:
        """Find the next delivery that has each key: it brings another version, confirms this one, or ends it."""
        self._execute("TRUNCATE {confirming}")
        names = (*self._schema.key, RECORD_NO, HASH, END)
        query = self._format(
            "SELECT {keys_of_k}, coalesce(k.{record}, 0), k.{cover_hash}, k.{end} FROM {stake} k "
            "WHERE k.{cover} IS NOT NULL"
        )
        covered = fetch_frame(self._connection, query, {}, names, self._schema)
        if covered.height and (confirming := neighbours.confirming(covered)).height:
            self._send("confirming", self._columns, confirming)
            # another record of the delivery confirms the version
            self._execute(
                "UPDATE {history} h SET {contents_of_confirming} FROM {confirming} c "
                "WHERE {h_is_c} AND h.{delivery} = c.{delivery} AND c.{delivery} BETWEEN {own} AND {own}"
            )
            self._execute("DELETE FROM {stake} k USING {confirming} c WHERE {k_is_c} AND c.{delivery} = {own}")
        self._execute(
            "UPDATE {stake} k SET {next} = coalesce((SELECT c.{delivery} FROM {confirming} c "
            "WHERE {k_is_c}), k.{end}) WHERE k.{cover} IS NOT NULL"
        )
        self._execute(
            "UPDATE {stake} k SET {next} = (SELECT h.{delivery} FROM {history} h WHERE {h_is_k} "
            "AND h.{delivery} = ANY ({newer}) ORDER BY array_position({newer}, h.{delivery}) LIMIT 1) "
            "WHERE k.{cover} IS NULL"
        )
        names = (*self._schema.key, END)
        query = self._format("SELECT {keys_of_k}, k.{next} FROM {stake} k WHERE k.{cover} IS NULL")
        uncovered = fetch_frame(self._connection, query, {}, names, self._schema)
        if uncovered.is_empty():
            return
        ending = neighbours.ending(uncovered)
        for keys in ending.partition_by(DELIVERY_ID):
            self._list_keys([(keys, "")])
            self._execute(
                "UPDATE {stake} k SET {next} = {by} FROM {listed} s WHERE {k_is_s}",
                by=sql.Literal(keys[DELIVERY_ID][0]),
            )

    def _edit(self) -> Edited:
        """Change the chains of the keys at stake, in an order in which no key has two current versions."""
        removed = self._execute(
            "DELETE FROM {history} h USING {stake} k WHERE {h_is_k} AND h.{delivery} = k.{cover} AND {cover_is_own} "
            "AND k.{state} IN ('gone', 'left')"
        )
        changed = self._execute(
            "UPDATE {history} h SET {contents_of_staged}, {ends} = {time_of_next}, {ended_by} = k.{next} "
            "FROM {stake} k JOIN {staged} s ON {k_is_s} WHERE {h_is_k} AND h.{delivery} = k.{cover} "
            "AND k.{state} = 'row' AND {cover_is_own}"
        )
        self._execute(
            "UPDATE {history} h SET {ends} = {at}, {ended_by} = {own} FROM {stake} k WHERE {h_is_k} "
            "AND h.{delivery} = k.{cover} AND k.{cover} <> {own} AND k.{state} IN ('row', 'gone')"
        )
        inserted = self._execute(
            "INSERT INTO {history} ({columns}, {begins}, {ends}, {ended_by}) "
            "SELECT {columns_of_staged}, {at}, {time_of_next}, k.{next} FROM {stake} k "
            "JOIN {staged} s ON {k_is_s} WHERE k.{state} = 'row' AND k.{cover} IS DISTINCT FROM {own}"
        )
        confirmed = self._execute(
            "INSERT INTO {history} ({columns}, {begins}, {ends}, {ended_by}) SELECT {columns_of_confirming}, "
            "d.valid_from, k.{until}, k.{end} FROM {stake} k JOIN {confirming} c ON {k_is_c} "
            "JOIN etl.delivery d ON d.id = c.{delivery}"
        )
        self._execute(
            "UPDATE {history} h SET {ends} = {time_of_next}, {ended_by} = k.{next} FROM {stake} k "
            "WHERE {h_is_k} AND h.{delivery} = k.{before} AND k.{state} = 'left'"
        )
        merged = self._merge()
        gone, following = self._connection.execute(
            self._format(
                "SELECT count(*) FILTER (WHERE k.{state} = 'gone'), count(*) FILTER (WHERE k.{state} = 'row' "
                "AND k.{cover} IS NOT NULL AND k.{cover} <> {own}) FROM {stake} k"
            )
        ).fetchone() or (0, 0)
        return Edited(
            began=inserted - following,
            changed=changed + following,
            gone=gone,
            removed=removed,
            added=inserted + confirmed - removed - len(merged),
            merged=merged,
        )

    def _merge(self) -> Sequence[tuple[int, int]]:
        """Make one version of two that follow one another and have the same contents; return the marks of the later."""
        self._execute("TRUNCATE {merged}")
        self._execute(
            "INSERT INTO {merged} SELECT {keys_of_k}, x.{delivery}, v.{delivery}, v.{record}, v.{ends}, "
            "v.{ended_by} FROM {stake} k "
            "JOIN {history} x ON {x_is_k} AND x.{delivery} = CASE k.{state} WHEN 'row' THEN {own} ELSE k.{before} END "
            "JOIN {history} v ON {v_is_k} AND v.{delivery} = k.{next} "
            "WHERE k.{state} IN ('row', 'left') AND x.{ended_by} = k.{next} AND x.{hash} = v.{hash}",
            x_is_k=same_key(self._schema, "x", "k"),
            v_is_k=same_key(self._schema, "v", "k"),
        )
        self._execute("DELETE FROM {history} h USING {merged} k WHERE {h_is_k} AND h.{delivery} = k.{later}")
        self._execute(
            "UPDATE {history} h SET {ends} = k.{until}, {ended_by} = k.{end} FROM {merged} k "
            "WHERE {h_is_k} AND h.{delivery} = k.{earlier}"
        )
        query = self._format("SELECT k.{later}, k.{record} FROM {merged} k ORDER BY 1, 2")
        return self._connection.execute(query).fetchall()

    def _cover_is_own(self) -> sql.Composed:
        """The condition that the delivery has begun the version of a key.

        It is written so that the planner does not draw a conclusion: it would look for all versions of the delivery,
        expect few, and compare each of them with all keys.
        """
        own = sql.Literal(self._delivery_id)
        return sql.SQL("k.{} BETWEEN {} AND {}").format(sql.Identifier("#cover"), own, own)

    def _list_keys(self, keys: Sequence[tuple[pl.DataFrame, str]]) -> None:
        """Replace the contents of the list of keys."""
        self._execute("TRUNCATE {listed}")
        for rows, state in keys:
            self._send("listed", (*self._schema.key, _STATE), rows.with_columns(pl.lit(state).alias(_STATE)))

    def _send(self, name: str, columns: Sequence[str], rows: pl.DataFrame) -> None:
        if rows.height:
            data = encode(wire_frame(rows.select(columns), self._schema))
            copy_in(self._connection, sql.Identifier("pg_temp", _TABLES[name]), columns, data)

    def _execute(self, statement: LiteralString, **parts: sql.Composable) -> int:
        """Run a statement; return how many rows it changed."""
        return self._connection.execute(self._format(statement, **parts)).rowcount

    def _format(self, statement: LiteralString, **parts: sql.Composable) -> sql.Composed:
        """Fill in names and values: ``h`` is a version, ``k`` a key at stake, ``s`` staged, ``c`` confirms."""
        schema, contents = self._schema, [name for name in self._columns if name not in self._schema.key]
        named = {name.strip("#"): sql.Identifier(name) for name in _STAKE_COLUMNS}
        return sql.SQL(statement).format(
            **{name: sql.Identifier("pg_temp", table) for name, table in _TABLES.items()},
            **named,
            history=self._history,
            delivery=sql.Identifier(DELIVERY_ID),
            record=sql.Identifier(RECORD_NO),
            hash=sql.Identifier(ROW_HASH),
            begins=sql.Identifier(VALID_FROM),
            ends=sql.Identifier(VALID_TO),
            ended_by=sql.Identifier(ENDED_BY),
            own=sql.Literal(self._delivery_id),
            cover_is_own=self._cover_is_own(),
            at=sql.Literal(self._at),
            newer=sql.SQL("{}::bigint[]").format(sql.Literal(list(self.newer))),
            time_of_next=sql.SQL("(SELECT d.valid_from FROM etl.delivery d WHERE d.id = k.{})").format(
                sql.Identifier(_NEXT)
            ),
            columns=_listed(self._columns),
            columns_of_staged=_listed(self._columns, "s"),
            columns_of_confirming=_listed(self._columns, "c"),
            contents_of_staged=_assigned(contents, "s"),
            contents_of_confirming=_assigned(contents, "c"),
            keys=_listed(schema.key),
            keys_of_k=_listed(schema.key, "k"),
            keys_of_h=_listed(schema.key, "h"),
            h_is_s=same_key(schema, "h", "s"),
            h_is_k=same_key(schema, "h", "k"),
            h_is_c=same_key(schema, "h", "c"),
            k_is_s=same_key(schema, "k", "s"),
            k_is_c=same_key(schema, "k", "c"),
            **parts,
        )


def _listed(names: Sequence[str], row: str = "") -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(row, name) if row else sql.Identifier(name) for name in names)


def _assigned(names: Sequence[str], row: str) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier(row, name)) for name in names
    )
