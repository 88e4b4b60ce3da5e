"""Removes records from schema ``etl``, and remembers in ``etl.redaction`` which they were, without their contents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql
from psycopg.types.json import Jsonb

from etl_assets.postgres.ledger.order import newest_first
from etl_assets.postgres.tables.names import identifier

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from etl_assets.model.delivery import Delivery, Manifest
    from etl_assets.postgres.connection import Connection

_NAMED: Final = (
    "SELECT EXISTS (SELECT FROM etl.delivery WHERE sha256 = %(sha256)s) "
    "OR EXISTS (SELECT FROM etl.key_comparison WHERE sha256 = %(sha256)s AND source <> %(source)s)"
)
_EMPTIED: Final = (
    # nothing reads such a record again: it neither waits nor counts as corrected
    (
        "UPDATE etl.rejected SET raw = '', fields = NULL, key = NULL, identity = DEFAULT, correction = NULL, "
        "correction_counts = false, note = NULL, status = 'superseded' WHERE delivery_id = %(id)s "
        "AND (record_no = ANY (%(records)s) OR %(all_rejected)s)"
    ),
    (
        "UPDATE etl.decision SET note = NULL, former_correction = NULL WHERE rejected_id IN (SELECT id FROM "
        "etl.rejected WHERE delivery_id = %(id)s AND (record_no = ANY (%(records)s) OR %(all_rejected)s))"
    ),
    "UPDATE etl.deletion SET key = '{}' WHERE delivery_id = %(id)s AND record_no = ANY (%(records)s)",
    "DELETE FROM etl.absent_row WHERE delivery_id = %(id)s AND record_no = ANY (%(records)s)",
    "DELETE FROM etl.profile WHERE delivery_id = %(id)s",
    "DELETE FROM etl.profile_part WHERE delivery_id = %(id)s",
    # the next reload describes the cells again; values have no other use than to recognise a renamed column
    (
        """UPDATE etl.observation SET published = published || '{"values": {}}', """
        "cells = CASE WHEN cells IS NOT NULL THEN '{}'::jsonb END WHERE delivery_id = %(id)s"
    ),
)


@dataclass(frozen=True)
class Decision:
    """The decision of a person to redact records.

    Attributes:
        reviewer: Who decided.
        reason: Why; without contents of the records.
    """

    reviewer: str
    reason: str


def redact(
    connection: Connection,
    delivery: Delivery,
    manifest: Manifest,
    records: Sequence[int],
    decision: Decision,
    *,
    all_rejected: bool,
) -> bool:
    """Name other bytes in a delivery, and remove some of its records from schema ``etl``.

    A delivery that has rows must be reloaded then; the reload removes those of the records.

    Args:
        connection: In a transaction of a session that holds the lock of the partition.
        delivery: The delivery, with the manifest of its bytes so far.
        manifest: Of its bytes without the records.
        records: Their numbers.
        decision: Whose it is, and why.
        all_rejected: Whether everything that the delivery rejected is emptied: it was read under another declaration,
            by which its records may have had other numbers.

    Returns:
        Whether it was done; False, with nothing changed, if the delivery has other bytes by now.
    """
    row = connection.execute(
        "UPDATE etl.delivery SET manifest = %(manifest)s, sha256 = %(new)s, size = %(size)s, "
        "needs_reload = status IN ('loading', 'complete') WHERE id = %(id)s AND sha256 = %(old)s RETURNING id",
        {
            "manifest": Jsonb(manifest.to_json()),
            "new": manifest.sha256,
            "size": manifest.size,
            "id": delivery.id,
            "old": delivery.manifest.sha256,
        },
    ).fetchone()
    if row is None:
        return False
    for statement in _EMPTIED:
        connection.execute(statement, {"id": delivery.id, "records": list(records), "all_rejected": all_rejected})
    connection.execute(
        "INSERT INTO etl.redaction (delivery_id, source, partition, records, removed_sha256, reason, reviewer) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            delivery.id,
            delivery.source,
            delivery.partition,
            list(records),
            delivery.manifest.sha256,
            decision.reason,
            decision.reviewer,
        ),
    )
    return True


def forget_texts(connection: Connection, source: str, texts: Collection[str]) -> None:
    """Remove texts of redacted records from the members and words that changes of a source name; and the proposals.

    Args:
        connection: In a transaction.
        source: Name of the source.
        texts: The texts of the records' cells.
    """
    connection.execute(
        "UPDATE etl.drift d SET detail = detail || (SELECT jsonb_object_agg(name, (SELECT coalesce(jsonb_agg(member), "
        "'[]') FROM jsonb_array_elements(d.detail -> name) member WHERE NOT member #>> '{}' = ANY (%(texts)s))) "
        "FROM unnest(ARRAY['members', 'words']) name WHERE jsonb_typeof(d.detail -> name) = 'array'), proposal = '' "
        "WHERE source = %(source)s AND (jsonb_exists_any(detail -> 'members', %(texts)s) "
        "OR jsonb_exists_any(detail -> 'words', %(texts)s))",
        {"source": source, "texts": list(texts)},
    )


def to_remove(connection: Connection, source: str) -> list[str]:
    """Return the SHA-256 of the frozen bytes that the landing store must no longer have.

    They had redacted records of a source, or are a list of its keys, and no delivery names them.
    """
    digests = connection.execute(
        "SELECT DISTINCT removed_sha256 FROM etl.redaction WHERE source = %(source)s UNION SELECT k.sha256 "
        "FROM etl.key_comparison k WHERE k.source = %(source)s "
        "AND EXISTS (SELECT FROM etl.redaction r WHERE r.source = k.source AND r.redacted_at > k.began_at)",
        {"source": source},
    ).fetchall()
    return [sha256 for (sha256,) in digests if not is_named(connection, source, sha256)]


def is_named(connection: Connection, source: str, sha256: str) -> bool:
    """Return whether a delivery of any source, or the list of keys of another one, still has these bytes."""
    row = connection.execute(_NAMED, {"sha256": sha256, "source": source}).fetchone()
    return bool(row and row[0])


def others_with(connection: Connection, source: str) -> list[str]:
    """Return the other sources whose deliveries have bytes from which records of a source were redacted."""
    rows = connection.execute(
        "SELECT DISTINCT d.source FROM etl.delivery d JOIN etl.redaction r ON r.removed_sha256 = d.sha256 "
        "WHERE r.source = %(source)s AND d.source <> %(source)s ORDER BY 1",
        {"source": source},
    ).fetchall()
    return [name for (name,) in rows]


def to_reload(connection: Connection, source: str) -> list[int]:
    """Return the ids of the deliveries from which records were redacted and that must be reloaded, newest first."""
    rows = connection.execute(
        "SELECT id FROM etl.delivery d WHERE source = %s AND needs_reload "
        f"AND EXISTS (SELECT FROM etl.redaction r WHERE r.delivery_id = d.id) ORDER BY {newest_first()}",
        (source,),
    ).fetchall()
    return [id_ for (id_,) in rows]


def count_rows(connection: Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Return how many rows of a table have some values.

    Args:
        connection: To the warehouse.
        table: ``schema.table``; it is there.
        rows: The values by column; each has the same columns.
    """
    query = sql.SQL("SELECT count(*) FROM {} WHERE {}")
    return sum(
        int((connection.execute(query.format(identifier(table), _condition(row)), row).fetchone() or (0,))[0])
        for row in rows
    )


def _condition(row: Mapping[str, Any]) -> sql.Composed:
    """Return the condition that a row of a table has some values, of which None is no value or an empty text."""
    return sql.SQL(" AND ").join(
        sql.SQL("coalesce({}::text, '') = ''" if value is None else "{} = {}").format(
            sql.Identifier(name), sql.Placeholder(name)
        )
        for name, value in row.items()
    )


def sources(connection: Connection) -> list[str]:
    """Return the sources from which records were redacted."""
    return [name for (name,) in connection.execute("SELECT DISTINCT source FROM etl.redaction ORDER BY 1").fetchall()]
