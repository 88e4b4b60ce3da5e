"""The life of rejected records across deliveries: the same bad record in many deliveries is one case.

Records are one case if they have the same key as published, or else the same bytes in the same partition. Of a case,
only the record of the newest delivery waits; all records stay in the quarantine.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.model.batch import RECORD_NO
from etl_assets.postgres.ledger.order import newer, newest_first, older, order_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import LiteralString

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection


def _of_batch(record: LiteralString) -> LiteralString:
    """The condition that a record was rejected in a batch."""
    return (
        f"{record}.delivery_id = %(id)s AND {record}.generation = %(generation)s "
        f"AND {record}.record_no BETWEEN %(first)s AND %(last)s"
    )


def _same_case(record: LiteralString, other: LiteralString) -> LiteralString:
    """The condition that two records are one case."""
    return f"{other}.source = {record}.source AND {other}.identity = {record}.identity"


def _decided(record: LiteralString) -> LiteralString:
    """The condition that a person dismissed or corrected a record."""
    return f"({record}.status = 'dismissed' OR ({record}.status = 'replayed' AND {record}.correction IS NOT NULL))"


def _watched(record: LiteralString) -> LiteralString:
    """The condition that a record is closed when its key arrives valid."""
    return (
        f"{record}.key IS NOT NULL AND {record}.closed_by IS NULL "
        f"AND ({record}.status IN ('open', 'parked') OR {_decided(record)})"
    )


_HAVE_OTHERS: Final = (
    "SELECT EXISTS (SELECT FROM etl.rejected b JOIN etl.rejected o "
    f"ON {_same_case('b', 'o')} AND o.delivery_id <> b.delivery_id WHERE {_of_batch('b')})"
)
_CLOSE_THOSE_WITH_A_NEWER_ONE: Final = (
    "UPDATE etl.rejected r SET closed_by = o.delivery_id, status = CASE o.status WHEN 'corrected' THEN 'corrected' "
    "ELSE 'repeated' END FROM (SELECT DISTINCT ON (b.id) b.id, n.status, n.delivery_id FROM etl.rejected b "
    f"JOIN etl.rejected n ON {_same_case('b', 'n')} JOIN etl.delivery d ON d.id = n.delivery_id "
    f"AND d.generation = n.generation WHERE {_of_batch('b')} AND {newer()} ORDER BY b.id, {newest_first()}) o "
    "WHERE r.id = o.id AND r.status IN ('open', 'parked')"
)
_CLOSE_THOSE_THAT_ARE_KNOWN: Final = (
    "UPDATE etl.rejected r SET closed_by = o.delivery_id, status = 'known' FROM (SELECT DISTINCT ON (b.id) b.id, "
    f"e.delivery_id, e.raw_sha256 = b.raw_sha256 AND e.closed_by IS NULL AND {_decided('e')} AS is_known "
    f"FROM etl.rejected b JOIN etl.rejected e ON {_same_case('b', 'e')} AND e.status NOT IN ('known', 'superseded') "
    "AND (e.status <> 'repeated' OR e.raw_sha256 <> b.raw_sha256) "  # one with other bytes waited until b came
    f"JOIN etl.delivery d ON d.id = e.delivery_id WHERE {_of_batch('b')} AND {older()} "
    f"ORDER BY b.id, {newest_first()}) o WHERE r.id = o.id AND o.is_known AND r.status = 'open'"
)
# the status is asked outside, or the server would read every waiting record of the source for each of the batch
_CLOSE_THE_EARLIER_ONES: Final = (
    "UPDATE etl.rejected r SET closed_by = %(id)s, status = 'repeated' FROM (SELECT DISTINCT e.id FROM etl.rejected b "
    f"JOIN etl.rejected e ON {_same_case('b', 'e')} JOIN etl.delivery d ON d.id = e.delivery_id "
    f"WHERE {_of_batch('b')} AND b.status IN ('open', 'parked', 'known') AND {older()}) o "
    "WHERE r.id = o.id AND r.status IN ('open', 'parked')"
)


def identities(records: pl.DataFrame, partition: str, scope: str) -> pl.Series:
    """Return the identity of each record: the hash of its key as a JSON array, or of its partition and bytes.

    Args:
        records: Has ``raw`` and ``key``, a list of texts or null.
        partition: Of the records.
        scope: The partition if records of two partitions with one key are different cases, else empty.
    """
    of_key, of_content = sha256(f"key {scope}\n".encode()), sha256(f"content {partition}\n".encode())
    found = []
    for raw, key in zip(records["raw"].to_list(), records["key"].to_list(), strict=True):
        identity = (of_content if key is None else of_key).copy()
        identity.update(raw if key is None else json.dumps(key, ensure_ascii=False, separators=(",", ":")).encode())
        found.append(identity.digest())
    return pl.Series("identity", found, dtype=pl.Binary)


def relate(connection: Connection, delivery: Delivery, first_record: int, last_record: int) -> None:
    """Set the statuses of the rejected records of a batch, and of earlier records of their cases.

    A record whose case has a newer delivery does not wait. One with the same bytes as the last record of its case that
    a person dismissed or corrected is known. Any other one waits, and earlier ones of its case no longer do.

    Args:
        connection: In the batch's transaction, after the rejected records were put into the quarantine.
        delivery: The batch's delivery.
        first_record: Number of its first record.
        last_record: Number of its last record.
    """
    batch = {"generation": delivery.generation, "first": first_record, "last": last_record}
    others = connection.execute(_HAVE_OTHERS, {**order_of(delivery), **batch}).fetchone()
    if not (others and others[0]):
        return
    for statement in (_CLOSE_THOSE_WITH_A_NEWER_ONE, _CLOSE_THOSE_THAT_ARE_KNOWN, _CLOSE_THE_EARLIER_ONES):
        connection.execute(statement, {**order_of(delivery), **batch})


def are_watched(connection: Connection, source: str) -> bool:
    """Return whether a source has records that are closed when their keys arrive valid."""
    row = connection.execute(
        f"SELECT EXISTS (SELECT FROM etl.rejected r WHERE r.source = %s AND {_watched('r')})", (source,)
    ).fetchone()
    return bool(row and row[0])


def close_corrected(connection: Connection, delivery: Delivery, keys: pl.DataFrame, *, same_partition: bool) -> None:
    """Close the records of older deliveries whose keys have arrived valid: the publisher has corrected them.

    What a person decided about a record stays; if it comes again, it waits again.

    Args:
        connection: In the batch's transaction.
        delivery: The delivery that brought the keys.
        keys: The keys of valid records as published, a String column for each part; other columns are ignored.
        same_partition: Only of its own partition, for disjoint partitions: they have no key in common.
    """
    parts = [name for name in keys.columns if name != RECORD_NO]
    columns = ", ".join(("array_agg(r.id)", *(f"array_agg(r.key[{place}])" for place in range(1, len(parts) + 1))))
    answer = connection.execute(
        f"SELECT {columns} FROM etl.rejected r JOIN etl.delivery d ON d.id = r.delivery_id "
        f"WHERE r.source = %(source)s AND {_watched('r')} AND {older()} AND cardinality(r.key) = %(parts)s "
        "AND (d.partition = %(partition)s OR NOT %(same_partition)s)",
        {**order_of(delivery), "same_partition": same_partition, "parts": len(parts)},
    ).fetchone()
    arrays: tuple[list[object] | None, ...] = answer or ()  # one row; each array is null if no record waits
    schema = {"#id": pl.Int64, **dict.fromkeys(parts, pl.String)}
    waiting = pl.DataFrame([array or [] for array in arrays], schema=schema)
    arrived = waiting.join(keys, on=parts, how="semi")["#id"].to_list() if parts else []
    connection.execute(
        "UPDATE etl.rejected SET closed_by = %s, "
        "status = CASE WHEN status IN ('open', 'parked') THEN 'corrected' ELSE status END WHERE id = ANY (%s)",
        (delivery.id, arrived),
    )


def times_seen(connection: Connection, ids: Sequence[int]) -> dict[int, int]:
    """Return in how many deliveries the cases of some records were rejected, by id of the record."""
    rows = connection.execute(
        "SELECT r.id, count(DISTINCT o.delivery_id) FROM etl.rejected r JOIN etl.rejected o ON o.source = r.source "
        "AND o.identity = r.identity WHERE r.id = ANY (%s) GROUP BY 1",
        (list(ids),),
    ).fetchall()
    return dict(rows)
