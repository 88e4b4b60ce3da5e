"""The stored rows of a key, and what the database knows of the key and of the records that the rows are from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg import sql
from psycopg.rows import class_row

from etl_assets.postgres.ledger.quarantine import with_contents
from etl_assets.postgres.tables import ddl
from etl_assets.postgres.tables.history_table import ENDED_BY, VALID_FROM, VALID_TO
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import DELETED_AT, DELIVERY_ID, RECORD_NO
from etl_assets.schema.names import RESERVED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import DataType
    from etl_assets.schema.rules import Lookup

_OF_VERSIONS: Final = (VALID_FROM, VALID_TO, ENDED_BY)
_BESIDES: Final = frozenset({*RESERVED, *_OF_VERSIONS})
"""The columns of tables that nobody declares."""
MOST_ROWS: Final = 20
"""So many rows of one key are read at most, the newest ones."""
_MOST_RECORDS: Final = 50
"""So many rejected records, deletions and ledger entries are read at most."""
MOST_REFERRING: Final = 1000
"""So many rows that refer to one are counted at most."""


class StoredRow(NamedTuple):
    """A row of a table, or one version of it.

    Attributes:
        columns: The values of the declared columns as text, by name.
        delivery_id: Of the delivery whose record last gave it its contents.
        record_no: Number of that record.
        kept: What the write mode keeps of it besides, as text: from when to when it is valid, since when it is deleted.
    """

    columns: dict[str, str | None]
    delivery_id: int
    record_no: int
    kept: dict[str, str]


class RejectedRecord(NamedTuple):
    """A record of the quarantine."""

    id: int
    delivery_id: int
    record_no: int
    location: str
    raw: bytes
    rules: list[str]
    status: str
    rejected_at: datetime
    replays: int
    correction: dict[str, str | None] | None
    correction_counts: bool
    reviewer: str | None
    reviewed_at: datetime | None
    note: str | None
    closed_by: int | None


_REJECTED: Final = ", ".join(RejectedRecord._fields)
_REJECTED_WITHOUT_RAW: Final = ", ".join(name for name in RejectedRecord._fields if name != "raw")


class Deletion(NamedTuple):
    """A row that was deleted because a complete delivery no longer had its key."""

    deleted_by: int
    partition: str
    delivery_id: int
    record_no: int
    deleted_at: datetime


class RecordEntry(NamedTuple):
    """A ledger entry that has a record."""

    kind: str
    number: int
    generation: int
    run_id: str
    committed_at: datetime
    current: bool


class Referring(NamedTuple):
    """How many rows of a table refer to a row; at most `MOST_REFERRING` are counted, and there may be more then."""

    table: str
    columns: tuple[str, ...]
    rows: int
    is_cut: bool


def find(connection: Connection, table: str, key: Mapping[str, tuple[DataType, object]]) -> list[StoredRow] | None:
    """Return the rows of a table that have some values, the oldest first; of many, the newest `MOST_ROWS`.

    Args:
        connection: To the warehouse.
        table: ``schema.table``.
        key: Name of each column to its type and value.

    Returns:
        The rows; None if there is no such table, or it lacks one of the columns.
    """
    columns = list(ddl.columns_of(connection, table))
    if not {*key, DELIVERY_ID, RECORD_NO} <= set(columns):
        return None
    order = [name for name in (VALID_FROM, DELIVERY_ID, RECORD_NO) if name in columns]
    query = sql.SQL("SELECT {}, t.{}, t.{} FROM {} t WHERE {} ORDER BY {} LIMIT {}").format(
        sql.SQL(", ").join(sql.SQL("t.{}::text").format(sql.Identifier(name)) for name in columns),
        sql.Identifier(DELIVERY_ID),
        sql.Identifier(RECORD_NO),
        identifier(table),
        sql.SQL(" AND ").join(_equals(name, type_) for name, (type_, _) in key.items()),
        sql.SQL(", ").join(sql.SQL("t.{} DESC").format(sql.Identifier(name)) for name in order),
        sql.Literal(MOST_ROWS),
    )
    rows = connection.execute(query, [value for _, value in key.values()]).fetchall()
    return [_stored(dict(zip(columns, row, strict=False)), *row[-2:]) for row in rows[::-1]]


def _stored(texts: dict[str, str | None], delivery_id: int, record_no: int) -> StoredRow:
    kept = {
        name.removeprefix("_"): text for name in (*_OF_VERSIONS, DELETED_AT) if (text := texts.get(name)) is not None
    }
    return StoredRow({n: text for n, text in texts.items() if n not in _BESIDES}, delivery_id, record_no, kept)


def _equals(name: str, type_: DataType) -> sql.Composed:
    return sql.SQL("t.{} = %s::{}").format(sql.Identifier(name), sql.SQL(type_.postgres))


def deletions(connection: Connection, source: str, key: Mapping[str, tuple[DataType, object]]) -> list[Deletion]:
    """Return when the row of a key was deleted, and by which delivery, the last time first."""
    parts = sql.SQL(", ").join(
        sql.SQL("{}, %s::{}").format(sql.Literal(name), sql.SQL(type_.postgres)) for name, (type_, _) in key.items()
    )
    query = sql.SQL(
        "SELECT deleted_by, partition, delivery_id, record_no, deleted_at FROM etl.deletion "
        "WHERE source = %s AND key = jsonb_build_object({}) ORDER BY id DESC LIMIT {}"
    ).format(parts, sql.Literal(_MOST_RECORDS))
    with connection.cursor(row_factory=class_row(Deletion)) as cursor:
        return cursor.execute(query, [source, *(value for _, value in key.values())]).fetchall()


def rejected(
    connection: Connection,
    source: str,
    keys: Collection[tuple[str, ...]],
    records: Collection[tuple[int, int]],
) -> list[RejectedRecord]:
    """Return the records of the quarantine with a key as published, or that are some records, the newest first.

    Args:
        connection: To the warehouse.
        source: Name of the source.
        keys: The texts of the key's columns, in each of the ways in which the key may be written.
        records: Id of the delivery and number of each record.
    """
    with connection.cursor(row_factory=class_row(RejectedRecord)) as cursor:
        return cursor.execute(
            with_contents(
                f"SELECT {_REJECTED_WITHOUT_RAW} FROM etl.rejected r WHERE source = %(source)s "
                "AND (to_jsonb(key) IN (SELECT k::jsonb FROM unnest(%(keys)s::text[]) k) "
                "OR (delivery_id, record_no) IN (SELECT * FROM unnest(%(deliveries)s::bigint[], %(numbers)s::bigint[])"
                f")) ORDER BY id DESC LIMIT {_MOST_RECORDS}",
                _REJECTED,
                "id DESC",
            ),
            {
                "source": source,
                "keys": [_json(key) for key in keys],
                "deliveries": [delivery_id for delivery_id, _ in records],
                "numbers": [record_no for _, record_no in records],
            },
        ).fetchall()


def _json(key: Sequence[str]) -> str:
    return json.dumps(list(key), ensure_ascii=False)


def entries(connection: Connection, delivery_id: int, record_no: int) -> list[RecordEntry]:
    """Return the ledger entries of the batches and replays that have a record, the oldest first."""
    with connection.cursor(row_factory=class_row(RecordEntry)) as cursor:
        return cursor.execute(
            "SELECT b.kind, b.number, b.generation, b.run_id, b.committed_at, b.generation = d.generation AS current "
            "FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id WHERE b.delivery_id = %(id)s "
            "AND %(record)s BETWEEN b.first_record AND b.last_record AND (b.kind = 'ingest' OR (b.kind = 'replay' "
            "AND EXISTS (SELECT FROM etl.rejected r WHERE r.delivery_id = b.delivery_id AND r.record_no = %(record)s "
            f"AND r.replays > 0))) ORDER BY b.id LIMIT {_MOST_RECORDS}",
            {"id": delivery_id, "record": record_no},
        ).fetchall()


def absent_since(connection: Connection, delivery_id: int, record_no: int) -> datetime | None:
    """Return since when the source no longer has the key of the row of a record; None if it has it."""
    row = connection.execute(
        "SELECT absent_since FROM etl.absent_row WHERE delivery_id = %s AND record_no = %s", (delivery_id, record_no)
    ).fetchone()
    return row[0] if row else None


def referring(connection: Connection, table: str, lookup: Lookup, values: Mapping[str, str | None]) -> Referring | None:
    """Return how many rows of a table refer to a row.

    Args:
        connection: To the warehouse.
        table: ``schema.table`` of the rows.
        lookup: Their reference.
        values: Of the row that they may refer to, as text, by column.

    Returns:
        None if there is no such table, or the row has no values that can be referred to.
    """
    parent = [values.get(name) for name in lookup.parent_columns]
    if None in parent or not set(lookup.columns) <= set(columns := ddl.columns_of(connection, table)):
        return None
    conditions = sql.SQL(" AND ").join(
        sql.SQL("t.{} = %s::{}").format(sql.Identifier(name), sql.SQL(columns[name])) for name in lookup.columns
    )
    query = sql.SQL("SELECT count(*) FROM (SELECT FROM {} t WHERE {} LIMIT {}) r").format(
        identifier(table), conditions, sql.Literal(MOST_REFERRING)
    )
    row = connection.execute(query, parent).fetchone()
    count = int(row[0]) if row else 0
    return Referring(table, lookup.columns, count, is_cut=count >= MOST_REFERRING)
