"""The quarantine ``etl.rejected``: add, find, correct and dismiss records, and mark them as replayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from etl_assets.errors import QuarantineError
from etl_assets.model.rule import UNTERMINATED
from etl_assets.postgres.ledger.cases import IDENTITY, KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection

Status = Literal["open", "parked", "replayed", "dismissed", "superseded", "repeated", "known", "corrected"]
STATUSES: Final[tuple[str, ...]] = get_args(Status)
_WAITING: Final = ("open", "parked")
_CORRECTED: Final = "correction IS NOT NULL AND replays > 0 AND status <> 'dismissed'"
"""The condition that a record was replayed with a correction; a reload reads it as corrected."""


@dataclass(frozen=True)
class NewRejected:
    """A rejected record that is not in the quarantine yet.

    Attributes:
        record_no: Its number in its delivery.
        location: Its member and line, as shown to people.
        raw: Its bytes as delivered.
        fields: Published name to text; None if it could not be parsed.
        rules: Every rule that it broke.
        status: ``parked`` if it lacks only a parent that may arrive, else ``open``.
    """

    record_no: int
    location: str
    raw: bytes
    fields: dict[str, str | None] | None
    rules: tuple[str, ...]
    status: Status


@dataclass(frozen=True)
class Rejected:
    """A record in the quarantine, as stored."""

    id: int
    delivery_id: int
    record_no: int
    source: str
    partition: str
    location: str
    raw: bytes
    fields: dict[str, str | None] | None
    rules: list[str]
    status: Status
    fingerprint: str
    run_id: str
    rejected_at: datetime
    replays: int
    correction: dict[str, str | None] | None
    reviewer: str | None
    reviewed_at: datetime | None
    note: str | None
    closed_by: int | None


_COLUMNS: Final = ", ".join(Rejected.__dataclass_fields__)


def put(
    connection: Connection,
    delivery: Delivery,
    run_id: str,
    records: Sequence[NewRejected],
    key_names: Sequence[str] = (),
    *,
    same_partition: bool = False,
) -> None:
    """Put the rejected records of a batch into the quarantine, inside the batch's transaction.

    A record that an earlier generation of the delivery rejected is updated; its correction and dismissal are kept. If
    it was closed otherwise meanwhile, it waits again.

    Args:
        connection: In the batch's transaction.
        delivery: The batch's delivery.
        run_id: Id of the run.
        records: The rejected records.
        key_names: The published names of the key's columns; none if records cannot be recognised by their key.
        same_partition: Whether records of two partitions with one key are different cases.
    """
    if not records:
        return
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS etl_rejected (record_no bigint, location text, raw bytea, fields jsonb, "
        "rules text[], status text) ON COMMIT DELETE ROWS"
    )
    with connection.cursor() as cursor, cursor.copy("COPY pg_temp.etl_rejected FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "text", "bytea", "jsonb", "text[]", "text"])
        for new in records:
            fields = None if new.fields is None else Jsonb(new.fields)
            copy.write_row((new.record_no, new.location, new.raw, fields, list(new.rules), new.status))
    connection.execute(
        "INSERT INTO etl.rejected AS r (delivery_id, record_no, generation, source, partition, location, raw, fields, "
        "rules, status, fingerprint, run_id, key, identity) SELECT %(id)s, record_no, %(generation)s, %(source)s, "
        "%(partition)s, location, raw, fields, rules, status, %(fingerprint)s, %(run)s, k.key, "
        f"{IDENTITY} FROM pg_temp.etl_rejected CROSS JOIN LATERAL (SELECT {KEY} AS key) k ORDER BY record_no "
        "ON CONFLICT (delivery_id, record_no) DO UPDATE SET generation = excluded.generation, rules = excluded.rules, "
        "location = excluded.location, raw = excluded.raw, run_id = excluded.run_id, "
        "fields = CASE WHEN r.correction IS NULL THEN excluded.fields ELSE r.fields END, "
        "fingerprint = excluded.fingerprint, key = excluded.key, identity = excluded.identity, closed_by = NULL, "
        "status = CASE WHEN r.status = 'dismissed' THEN r.status ELSE excluded.status END",
        {
            "id": delivery.id,
            "generation": delivery.generation,
            "source": delivery.source,
            "partition": delivery.partition,
            "fingerprint": delivery.fingerprint,
            "run": run_id,
            "key_names": list(key_names),
            "key_scope": delivery.partition if same_partition else "",
        },
    )
    connection.execute("TRUNCATE pg_temp.etl_rejected")


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
            "AND record_no BETWEEN %s AND %s AND status IN ('open', 'parked')",
            (delivery.id, delivery.generation, first_record, last_record),
        )


def corrected(connection: Connection, delivery: Delivery) -> list[Rejected]:
    """Return the records of a delivery that a reload reads as people corrected them, by their number."""
    with connection.cursor(row_factory=class_row(Rejected)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM etl.rejected WHERE delivery_id = %s AND {_CORRECTED} ORDER BY record_no",
            (delivery.id,),
        ).fetchall()


def lock_corrections(
    connection: Connection, delivery: Delivery, first_record: int, last_record: int
) -> dict[int, dict[str, str | None]]:
    """Lock the corrections of some records until the transaction ends, and return them by record number."""
    rows = connection.execute(
        f"SELECT record_no, correction FROM etl.rejected WHERE delivery_id = %s AND {_CORRECTED} "
        "AND record_no BETWEEN %s AND %s FOR UPDATE",
        (delivery.id, first_record, last_record),
    ).fetchall()
    return dict(rows)


def rejected_record_numbers(connection: Connection, delivery: Delivery) -> list[int]:
    """Return the numbers of the records that are rejected at present, so that the table has no rows of them."""
    rows = connection.execute(
        "SELECT record_no FROM etl.rejected WHERE delivery_id = %s AND generation = %s "
        "AND status NOT IN ('replayed', 'superseded')",
        (delivery.id, delivery.generation),
    ).fetchall()
    return [record_no for (record_no,) in rows]


def find(
    connection: Connection,
    *,
    source: str | None = None,
    delivery_id: int | None = None,
    statuses: Sequence[str] = _WAITING,
    rule: str | None = None,
    ids: Sequence[int] | None = None,
    limit: int | None = None,
) -> list[Rejected]:
    """Return records of the quarantine, oldest first.

    Args:
        connection: To the warehouse.
        source: Only records of this source.
        delivery_id: Only records of this delivery.
        statuses: Only records with one of these; ignored when ids are given.
        rule: Only records that broke this rule.
        ids: Only records with these ids.
        limit: The largest number of records to return.
    """
    with connection.cursor(row_factory=class_row(Rejected)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM etl.rejected WHERE (%(source)s::text IS NULL OR source = %(source)s) "
            "AND (%(delivery)s::bigint IS NULL OR delivery_id = %(delivery)s) "
            "AND (%(ids)s::bigint[] IS NOT NULL OR status = ANY (%(statuses)s)) "
            "AND (%(rule)s::text IS NULL OR %(rule)s = ANY (rules)) "
            "AND (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s)) ORDER BY id LIMIT %(limit)s",
            {
                "source": source,
                "delivery": delivery_id,
                "statuses": list(statuses),
                "rule": rule,
                "ids": None if ids is None else list(ids),
                "limit": limit,
            },
        ).fetchall()


def counts(connection: Connection, source: str | None = None) -> list[tuple[str, str, str, int]]:
    """Count the records by source, status and rule; a record counts once for each rule that it broke."""
    rows = connection.execute(
        "SELECT source, status, rule, count(*) FROM etl.rejected CROSS JOIN unnest(rules) rule "
        "WHERE %(source)s::text IS NULL OR source = %(source)s GROUP BY 1, 2, 3 ORDER BY 1, 2, 4 DESC, 3",
        {"source": source},
    ).fetchall()
    return [(name, status, rule, number) for name, status, rule, number in rows]


def count_waiting(connection: Connection, source: str, partition: str | None = None) -> dict[str, int]:
    """Return the number of open and of parked records of a source, by status."""
    rows = connection.execute(
        "SELECT status, count(*) FROM etl.rejected WHERE source = %(source)s AND status = ANY (%(waiting)s) "
        "AND (%(partition)s::text IS NULL OR partition = %(partition)s) GROUP BY 1",
        {"source": source, "partition": partition, "waiting": list(_WAITING)},
    ).fetchall()
    return dict.fromkeys(_WAITING, 0) | dict(rows)


def correct(connection: Connection, id_: int, correction: dict[str, str | None], who: str, note: str | None) -> None:
    """Store a correction, published name to the text it should have had, and set the record to ``open``.

    Raises:
        QuarantineError: If the record was closed otherwise than by a dismissal, or there is none of that id.
    """
    row = connection.execute(
        "UPDATE etl.rejected SET correction = coalesce(correction, '{}') || %s, reviewer = %s, "
        "reviewed_at = clock_timestamp(), note = coalesce(%s, note), status = 'open', closed_by = NULL "
        "WHERE id = %s AND status IN ('open', 'parked', 'dismissed', 'known') RETURNING id",
        (Jsonb(correction), who, note, id_),
    ).fetchone()
    if row is None:
        raise QuarantineError(
            f"Record {id_} is not waiting in the quarantine. Nothing was changed. "
            "See `etl-assets quarantine list --status open` for those that are."
        )


def dismiss(connection: Connection, ids: Iterable[int], who: str, note: str | None) -> int:
    """Dismiss records: close them for good, since they are known and not wanted.

    Returns:
        Number of records that were waiting and are now dismissed.
    """
    return connection.execute(
        "UPDATE etl.rejected SET status = 'dismissed', reviewer = %s, reviewed_at = clock_timestamp(), "
        "note = coalesce(%s, note) WHERE id = ANY (%s) AND status IN ('open', 'parked')",
        (who, note, list(ids)),
    ).rowcount


def claim(connection: Connection, ids: Sequence[int]) -> list[Rejected]:
    """Lock waiting records for a replay, inside its transaction; skip those that no longer wait."""
    with connection.cursor(row_factory=class_row(Rejected)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM etl.rejected WHERE id = ANY (%s) AND status IN ('open', 'parked') "
            "ORDER BY record_no FOR UPDATE",
            (list(ids),),
        ).fetchall()


def finish_replay(
    connection: Connection, outcomes: Iterable[tuple[int, Status, Sequence[str]]], fingerprint: str
) -> None:
    """Write the outcome of a replay for its records, inside its transaction.

    A record that may have been cut, and that a person replays as it came, gets a correction without any change: it is
    whole, and a reload must not reject it again.

    Args:
        connection: In the transaction of the replay.
        outcomes: For each record its id, its new status, and the rules that it still breaks.
        fingerprint: Of the declaration.
    """
    values: list[tuple[Any, ...]] = [(status, list(rules), fingerprint, id_) for id_, status, rules in outcomes]
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE etl.rejected SET status = %s, rules = CASE WHEN %s::text[] = '{}' THEN rules ELSE %s::text[] END, "
            "fingerprint = %s, replays = replays + 1, correction = CASE WHEN %s = 'replayed' AND %s = ANY (rules) "
            "THEN coalesce(correction, '{}') ELSE correction END WHERE id = %s",
            [
                (status, rules, rules, fingerprint_, status, UNTERMINATED, id_)
                for status, rules, fingerprint_, id_ in values
            ],
        )
