"""The quarantine ``etl.rejected``: add, find, correct and dismiss records.

Its replays are in `replays`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict, Unpack

import polars as pl
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from etl_assets.postgres.ledger.cases import identities
from etl_assets.postgres.ledger.rebuilt import no_rebuild
from etl_assets.postgres.tables.copy import copy_in, encode, wire_jsonb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from typing import LiteralString

    from etl_assets.model.delivery import Delivery
    from etl_assets.model.record_status import RecordStatus
    from etl_assets.postgres.connection import Connection

WAITING: Final = ("open", "parked")
NEW_REJECTED: Final[dict[str, pl.DataType]] = {
    "record_no": pl.Int64(),
    "location": pl.String(),
    "raw": pl.Binary(),
    "fields": pl.String(),
    "rules": pl.List(pl.String()),
    "status": pl.String(),
    "key": pl.List(pl.String()),
}
"""The columns of rejected records that are not in the quarantine yet; see `put`."""
_STAGED: Final = (
    "record_no bigint, location text, raw bytea, fields jsonb, rules text[], status text, key text[], identity bytea"
)
_PUT_AGAIN: Final = tuple(
    "UPDATE etl.rejected r SET generation = %(generation)s, rules = s.rules, location = s.location, raw = s.raw, "
    f"{fields}run_id = %(run_id)s, fingerprint = %(fingerprint)s, key = s.key, identity = s.identity, "
    # the last decision of a reviewer without a correction was to dismiss it
    "closed_by = NULL, status = CASE WHEN r.status = 'dismissed' OR (r.status = 'superseded' "
    "AND r.reviewer IS NOT NULL AND r.correction IS NULL) THEN 'dismissed' ELSE s.status END "
    "FROM pg_temp.etl_rejected s WHERE r.delivery_id = %(delivery_id)s "
    f"AND r.record_no BETWEEN %(first)s AND %(last)s AND r.record_no = s.record_no AND r.correction IS {corrected}"
    for fields, corrected in (("fields = s.fields, ", "NULL"), ("", "NOT NULL"))
)
"""Update the records that the quarantine has; what a correction was made of stays."""
_PUT_NEW: Final = (
    "INSERT INTO etl.rejected (delivery_id, record_no, generation, source, partition, location, raw, fields, "
    "rules, status, fingerprint, run_id, key, identity) SELECT %(delivery_id)s, record_no, %(generation)s, "
    "%(source)s, %(partition)s, location, raw, fields, rules, status, %(fingerprint)s, %(run_id)s, key, identity "
    "FROM pg_temp.etl_rejected s WHERE NOT EXISTS (SELECT FROM etl.rejected r WHERE r.delivery_id = %(delivery_id)s "
    "AND r.record_no = s.record_no) ORDER BY record_no"
)
_TYPES: Final[dict[str, pl.DataType]] = {"delivery_id": pl.Int64(), "generation": pl.Int32()}
"""The types of a delivery's numbers in the quarantine."""
_COPIED_AT_ONCE: Final = 10_000
"""The largest number of records that are encoded at a time."""


@dataclass(frozen=True)
class ListedRecord:
    """A record in the quarantine, without its contents."""

    id: int
    delivery_id: int
    record_no: int
    source: str
    partition: str
    location: str
    rules: list[str]
    status: RecordStatus
    fingerprint: str
    run_id: str
    rejected_at: datetime
    replays: int
    reviewer: str | None
    reviewed_at: datetime | None
    note: str | None
    closed_by: int | None


@dataclass(frozen=True)
class Rejected(ListedRecord):
    """A record in the quarantine, as stored."""

    raw: bytes
    fields: dict[str, str | None] | None
    correction: dict[str, str | None] | None


COLUMNS: Final = tuple(Rejected.__dataclass_fields__)
_COLUMNS: Final = ", ".join(COLUMNS)
_LISTED: Final = ", ".join(ListedRecord.__dataclass_fields__)
ABOUT: Final = f"{_LISTED}, correction"
"""The columns of `Rejected` that a load may select; it asks for the others, see `with_contents`."""


def with_contents(
    found: LiteralString, columns: LiteralString = _COLUMNS, order: LiteralString = "record_no"
) -> LiteralString:
    """Return a query for records that another one finds, with their contents.

    The role of a loader may not select contents; it asks for those of the records that it reads.

    Args:
        found: Selects the ids of records, and what else is wanted but ``raw`` and ``fields``.
        columns: To return.
        order: In which they are returned.
    """
    return (
        f"WITH found AS MATERIALIZED ({found}) SELECT {columns} FROM found "
        f"JOIN etl.rejected_contents((SELECT array_agg(id) FROM found)) USING (id) ORDER BY {order}"
    )


def put(
    connection: Connection,
    delivery: Delivery,
    run_id: str,
    records: pl.DataFrame,
    *,
    same_partition: bool = False,
) -> None:
    """Put the rejected records of a batch into the quarantine, inside the batch's transaction.

    A record that an earlier generation of the delivery rejected is updated; its correction and dismissal are kept. If
    it was closed otherwise meanwhile, it waits again.

    Args:
        connection: In the transaction.
        delivery: The delivery that the records came in.
        run_id: Id of the run that rejected them.
        records: The columns of `NEW_REJECTED`; no number twice. ``fields`` is a JSON object of published name to text,
            null if the record could not be parsed or holds a NUL character. ``status`` is ``parked`` if the record
            lacks only a parent that may arrive, else ``open``. ``key`` has the texts of the key's columns as
            published; null if records cannot be recognised by their key.
        same_partition: Whether records of two partitions with one key are different cases.
    """
    if records.is_empty():
        return
    scope = delivery.partition if same_partition else ""
    records = records.with_columns(identities(records, delivery.partition, scope))
    of_delivery = {
        "delivery_id": delivery.id,
        "generation": delivery.generation,
        "source": delivery.source,
        "partition": delivery.partition,
        "fingerprint": delivery.fingerprint,
        "run_id": run_id,
    }
    if not _has_any(connection, delivery, records["record_no"]):
        constants = [pl.lit(value, dtype=_TYPES.get(name)).alias(name) for name, value in of_delivery.items()]
        _copy(connection, sql.Identifier("etl", "rejected"), records.with_columns(constants))
        return
    stage(connection, records)
    in_batch = {**of_delivery, "first": records["record_no"].min(), "last": records["record_no"].max()}
    for statement in (*_PUT_AGAIN, _PUT_NEW):
        connection.execute(statement, in_batch)
    connection.execute("TRUNCATE pg_temp.etl_rejected")


def _has_any(connection: Connection, delivery: Delivery, numbers: pl.Series) -> bool:
    """Return whether records of a delivery between some numbers are in the quarantine."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM etl.rejected WHERE delivery_id = %s AND record_no BETWEEN %s AND %s)",
        (delivery.id, numbers.min(), numbers.max()),
    ).fetchone()
    return bool(row and row[0])


def stage(connection: Connection, records: pl.DataFrame) -> None:
    """Copy rejected records into the temporary table ``etl_rejected``, which is empty again after the transaction.

    Args:
        connection: In the transaction.
        records: Some columns of `NEW_REJECTED`, and ``identity``; the others are null.
    """
    connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS etl_rejected ({_STAGED}) ON COMMIT DELETE ROWS")
    _copy(connection, sql.Identifier("pg_temp", "etl_rejected"), records)


def _copy(connection: Connection, table: sql.Composable, records: pl.DataFrame) -> None:
    """Copy records to a table; their columns are some of its."""
    for part in records.iter_slices(_COPIED_AT_ONCE):
        wire = part.with_columns(wire_jsonb("fields")) if "fields" in part.columns else part
        copy_in(connection, table, wire.columns, encode(wire))


def carry_over(connection: Connection, delivery: Delivery) -> None:
    """Move rejected records of the previous generation to the new one, together with their ledger entries.

    Args:
        connection: In the transaction that begins the generation, after the entries were moved.
        delivery: In its new generation.
    """
    connection.execute(
        "UPDATE etl.rejected r SET generation = b.generation FROM etl.batch b WHERE r.delivery_id = %(id)s "
        "AND r.generation = %(new)s - 1 AND b.delivery_id = r.delivery_id AND b.generation = %(new)s "
        "AND b.kind = 'ingest' AND r.record_no BETWEEN b.first_record AND b.last_record",
        {"id": delivery.id, "new": delivery.generation},
    )


def supersede(connection: Connection, delivery: Delivery, first_record: int, last_record: int) -> None:
    """Close records that an earlier generation rejected and the current one, which reloaded them, did not."""
    if delivery.generation > 1:
        connection.execute(
            "UPDATE etl.rejected SET status = 'superseded' WHERE delivery_id = %s AND generation < %s "
            "AND record_no BETWEEN %s AND %s AND status NOT IN ('replayed', 'superseded')",
            (delivery.id, delivery.generation, first_record, last_record),
        )


def rejected_record_numbers(connection: Connection, delivery: Delivery) -> list[int]:
    """Return the numbers of the records that are rejected at present, so that the table has no rows of them."""
    rows = connection.execute(
        "SELECT record_no FROM etl.rejected WHERE delivery_id = %s AND generation = %s "
        "AND status NOT IN ('replayed', 'superseded')",
        (delivery.id, delivery.generation),
    ).fetchall()
    return [record_no for (record_no,) in rows]


class Filters(TypedDict, total=False):
    """Which records of the quarantine to find.

    Attributes:
        source: Only records of this source.
        partition: Only records of this partition.
        delivery: Only records of the delivery with this id.
        statuses: Only records with one of these, by default those that wait; ignored when ids are given.
        rule: Only records that broke this rule.
        values: Only records that were published with these values: for each, the names under which it may be
            published, and its text, which is empty for no value.
        ids: Only records with these ids.
        limit: The largest number of records.
    """

    source: str | None
    partition: str | None
    delivery: int | None
    statuses: Sequence[str]
    rule: str | None
    values: Sequence[tuple[Sequence[str], str]]
    ids: Sequence[int] | None
    limit: int | None


def _matching(filters: Filters) -> LiteralString:
    """Return the clauses that choose records; contents are read only if values are asked for."""
    published: LiteralString = (
        "AND fields IS NOT NULL AND NOT EXISTS (SELECT FROM jsonb_to_recordset(%(values)s) AS w (names text[], "
        "text text) WHERE coalesce((SELECT fields ->> name FROM unnest(w.names) name WHERE fields ? name LIMIT 1), '') "
        "<> w.text) "
    )
    return (
        f"FROM etl.rejected WHERE ({no_rebuild()} AND %(source)s::text IS NULL OR source = %(source)s) "
        "AND (%(ids)s::bigint[] IS NOT NULL OR status = ANY (%(statuses)s)) "
        "AND (%(rule)s::text IS NULL OR %(rule)s = ANY (rules)) "
        "AND (%(partition)s::text IS NULL OR partition = %(partition)s) "
        "AND (%(delivery)s::bigint IS NULL OR delivery_id = %(delivery)s) "
        f"AND (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s)) {published if filters.get('values') else ''}"
        "ORDER BY id LIMIT %(limit)s"
    )


def stream(connection: Connection, **filters: Unpack[Filters]) -> Iterator[Rejected]:
    """Yield records of the quarantine, oldest first, one at a time; the connection is busy until the last one."""
    with connection.cursor(row_factory=class_row(Rejected)) as cursor:
        yield from cursor.stream(f"SELECT {_COLUMNS} {_matching(filters)}", _parameters(filters))


def listed(connection: Connection, **filters: Unpack[Filters]) -> list[ListedRecord]:
    """Return records of the quarantine without their contents, oldest first."""
    with connection.cursor(row_factory=class_row(ListedRecord)) as cursor:
        return cursor.execute(f"SELECT {_LISTED} {_matching(filters)}", _parameters(filters)).fetchall()


class Place(NamedTuple):
    """Where a record of the quarantine belongs, and its status."""

    source: str
    partition: str
    status: str


def places(connection: Connection, **filters: Unpack[Filters]) -> dict[int, Place]:
    """Return source, partition and status of records of the quarantine, without their contents, by id."""
    query = f"SELECT id, source, partition, status {_matching(filters)}"
    rows = connection.execute(query, _parameters(filters)).fetchall()
    return {id_: Place(*place) for id_, *place in rows}


def _parameters(filters: Filters) -> dict[str, object]:
    ids, values = filters.get("ids"), filters.get("values")
    return {
        "source": filters.get("source"),
        "partition": filters.get("partition"),
        "delivery": filters.get("delivery"),
        "statuses": list(filters.get("statuses", WAITING)),
        "rule": filters.get("rule"),
        "values": Jsonb([{"names": list(names), "text": text} for names, text in values]) if values else None,
        "ids": None if ids is None else list(ids),
        "limit": filters.get("limit"),
    }


def find(connection: Connection, **filters: Unpack[Filters]) -> list[Rejected]:
    """Return records of the quarantine, oldest first; with their bytes, so only where they are known to be few."""
    return list(stream(connection, **filters))


def counts(connection: Connection, source: str | None = None) -> list[tuple[str, str, str, int]]:
    """Count the records by source, status and rule; a record counts once for each rule that it broke."""
    rows = connection.execute(
        "SELECT source, status, rule, count(*) FROM etl.rejected CROSS JOIN unnest(rules) rule "
        f"WHERE ({no_rebuild()} AND %(source)s::text IS NULL) OR source = %(source)s "
        "GROUP BY 1, 2, 3 ORDER BY 1, 2, 4 DESC, 3",
        {"source": source},
    ).fetchall()
    return [(name, status, rule, number) for name, status, rule, number in rows]


def counts_of(connection: Connection, **filters: Unpack[Filters]) -> list[tuple[str, str, str, int]]:
    """Count some records as `counts` does."""
    rows = connection.execute(
        f"SELECT source, status, rule, count(*) FROM (SELECT source, status, rules {_matching(filters)}) record "
        "CROSS JOIN unnest(rules) rule GROUP BY 1, 2, 3 ORDER BY 1, 2, 4 DESC, 3",
        _parameters(filters),
    ).fetchall()
    return [(name, status, rule, number) for name, status, rule, number in rows]


def count_waiting(connection: Connection, source: str, partition: str | None = None) -> dict[str, int]:
    """Return the number of open and of parked records of a source, by status."""
    rows = connection.execute(
        "SELECT status, count(*) FROM etl.rejected WHERE source = %(source)s AND status = ANY (%(waiting)s) "
        "AND (%(partition)s::text IS NULL OR partition = %(partition)s) GROUP BY 1",
        {"source": source, "partition": partition, "waiting": list(WAITING)},
    ).fetchall()
    return dict.fromkeys(WAITING, 0) | dict(rows)
