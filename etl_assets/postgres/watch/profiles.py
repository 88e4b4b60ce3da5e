"""Read and write ``etl.profile_part`` and ``etl.profile``, and find the deliveries to compare one with.

A part is written in the transaction of its batch; parts become profiles when their delivery is complete. Package
``watch`` defines the contents of parts and profiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from psycopg.types.json import Jsonb

from etl_assets.model.profile import ColumnProfile
from etl_assets.postgres.ledger.order import newest_first, older, order_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from etl_assets.model.batch import BatchProfile
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection

_READ_AT_ONCE: Final = 20
"""So many parts are in memory at a time."""
_BEFORE: Final = (
    "(SELECT id, partition, rank, records, fetched_at FROM etl.delivery d WHERE source = %(source)s "
    "AND status = 'complete' AND partition {own} %(partition)s AND {others} "
    f"ORDER BY {newest_first()} LIMIT 1)"
)
"""The next older delivery: a search of an index, however many deliveries there are."""


_MOST_KNOWN: Final = 5_000
"""So many profiles of columns are remembered for each connection."""


@dataclass(frozen=True)
class _Profiles:
    """The profiles of a delivery, and what Postgres says of their rows: the transaction that wrote them."""

    version: str
    columns: dict[str, ColumnProfile]


_known: Final[WeakKeyDictionary[Connection, dict[int, _Profiles]]] = WeakKeyDictionary()
"""The profiles that were read last on each connection, by delivery."""


@dataclass(frozen=True)
class Parts:
    """Counts of the parts of a complete delivery that wait to be merged.

    Attributes:
        generation: The delivery's current generation.
        written: Number of its parts.
        batches: Number of its batches in the ledger.
    """

    generation: int
    written: int
    batches: int


@dataclass(frozen=True)
class EarlierDelivery:
    """An earlier delivery with which another one is compared.

    Attributes:
        id: Id of the delivery.
        partition: Key of its partition.
        records: Number of its records.
        fetched_at: When it was first fetched.
        rank: Rank of its partition.
    """

    id: int
    partition: str
    records: int
    fetched_at: datetime
    rank: str


def put_part(connection: Connection, delivery: Delivery, number: int, profile: BatchProfile) -> None:
    """Write the profile of a batch, in the batch's transaction.

    Args:
        connection: In that transaction.
        delivery: The batch's delivery.
        number: Number of the batch.
        profile: The profile of the batch.
    """
    connection.execute(
        "INSERT INTO etl.profile_part (delivery_id, generation, number, statistics, cells) VALUES (%s, %s, %s, %b, %s)",
        (delivery.id, delivery.generation, number, profile.statistics, Jsonb(dict(profile.cells))),
    )


def claim(connection: Connection, delivery: Delivery, fingerprint: str) -> Parts | None:
    """Lock a delivery until the transaction ends, so that no other process concludes it.

    Args:
        connection: In a transaction.
        delivery: Its state may be out of date.
        fingerprint: Fingerprint of the declaration under which its parts can be read.

    Returns:
        The counts of its parts; None when it is not complete under that declaration.
    """
    row = connection.execute(
        "SELECT generation FROM etl.delivery WHERE id = %s AND status = 'complete' AND fingerprint = %s "
        "FOR NO KEY UPDATE",
        (delivery.id, fingerprint),
    ).fetchone()
    if row is None:
        return None
    counts = connection.execute(
        "SELECT (SELECT count(*) FROM etl.profile_part WHERE delivery_id = %(id)s AND generation = %(generation)s), "
        "(SELECT count(*) FROM etl.batch WHERE delivery_id = %(id)s AND generation = %(generation)s "
        "AND kind = 'ingest')",
        {"id": delivery.id, "generation": row[0]},
    ).fetchone()
    written, batches = counts or (0, 0)
    return Parts(row[0], written, batches)


def read_parts(
    connection: Connection, delivery: Delivery, parts: Parts
) -> tuple[Iterator[bytes], Iterator[Mapping[str, Any]]]:
    """Return the statistics and the cell summaries of a delivery's batches, by batch.

    Those of many batches are read few at a time, for there may be thousands. Needs a transaction.
    """
    if parts.written > _READ_AT_ONCE:
        statistics = map(bytes, _read_parts(connection, "statistics", delivery, parts.generation))
        return statistics, _read_parts(connection, "cells", delivery, parts.generation)
    rows = connection.execute(
        "SELECT statistics, cells FROM etl.profile_part WHERE delivery_id = %s AND generation = %s ORDER BY number",
        (delivery.id, parts.generation),
    ).fetchall()
    return (bytes(statistics) for statistics, _ in rows), (cells for _, cells in rows)


def drop_parts(connection: Connection, delivery: Delivery) -> None:
    """Delete a delivery's parts, including those of earlier generations."""
    connection.execute("DELETE FROM etl.profile_part WHERE delivery_id = %s", (delivery.id,))


def replace(connection: Connection, delivery: Delivery, profiles: Iterable[ColumnProfile]) -> None:
    """Replace the profiles of a delivery."""
    _known.get(connection, {}).pop(delivery.id, None)  # the version says nothing if one transaction writes twice
    connection.execute("DELETE FROM etl.profile WHERE delivery_id = %s", (delivery.id,))
    rows = [
        (
            profile.column,
            profile.rows,
            profile.nulls,
            profile.distinct,
            profile.minimum,
            profile.maximum,
            profile.mean,
            profile.deviation,
            Jsonb({str(rank): value for rank, value in profile.quantiles.items()}),
            Jsonb([list(pair) for pair in profile.top]),
        )
        for profile in profiles
    ]
    if rows:
        connection.execute(
            "INSERT INTO etl.profile (delivery_id, column_name, rows, nulls, distinct_estimate, minimum, maximum, "
            "mean, deviation, quantiles, top) SELECT %s, u.* FROM unnest(%s::text[], %s::bigint[], %s::bigint[], "
            "%s::bigint[], %s::text[], %s::text[], %s::float8[], %s::float8[], %s::jsonb[], %s::jsonb[]) u",
            (delivery.id, *map(list, zip(*rows, strict=True))),
        )


def find_earlier(connection: Connection, delivery: Delivery, limit: int, *, partitioned: bool) -> list[EarlierDelivery]:
    """Return the complete deliveries before a delivery, oldest first.

    Args:
        connection: To the warehouse.
        delivery: The delivery.
        limit: Maximum number of deliveries; the newest are returned.
        partitioned: Whether the source has partitions. If so, only the newest delivery of each earlier partition
            counts, in the order of their ranks; otherwise every earlier delivery counts.
    """
    own, key = ("<>", "partition") if partitioned else ("=", "id")
    newest = _BEFORE.format(own=own, others=older())
    next_ = _BEFORE.format(own=own, others=f"(d.rank, d.id) < (o.rank, o.id) AND d.{key} <> o.{key}")
    rows = connection.execute(
        f"WITH RECURSIVE earlier AS ({newest} UNION ALL SELECT n.* FROM earlier o CROSS JOIN LATERAL {next_} n), "
        "picked AS (SELECT * FROM earlier LIMIT %(limit)s) SELECT id, partition, records, fetched_at, rank FROM "
        f"(SELECT DISTINCT ON ({key}) * FROM picked ORDER BY {key}, id DESC) p ORDER BY {newest_first('id')}",
        {**order_of(delivery), "limit": limit},
    ).fetchall()
    return [EarlierDelivery(*row) for row in reversed(rows)]


def find_profiles(connection: Connection, delivery_ids: Sequence[int]) -> dict[int, Mapping[str, ColumnProfile]]:
    """Return the profiles of some deliveries, by delivery and column, without the values of data in them.

    Those that were returned on the same connection before, and are unchanged, are not read again: the next delivery of
    a source is compared with nearly the same ones.
    """
    known = _known.get(connection, {})
    rows = connection.execute(
        "SELECT v.id, v.version, p.column_name, p.rows, p.nulls, p.distinct_estimate, p.mean, p.deviation, p.quantiles "
        "FROM (SELECT i.*, (SELECT xmin::text FROM etl.profile WHERE delivery_id = i.id LIMIT 1) AS version "
        "FROM unnest(%s::bigint[], %s::text[]) i(id, known)) v "
        "LEFT JOIN etl.profile p ON p.delivery_id = v.id AND v.version IS DISTINCT FROM v.known "
        "WHERE v.version IS NOT NULL",
        (list(delivery_ids), [known[id_].version if id_ in known else None for id_ in delivery_ids]),
    ).fetchall()
    found: dict[int, _Profiles] = {}
    for id_, version, column, count, nulls, distinct, mean, deviation, quantiles in rows:
        if column is None:
            found[id_] = known[id_]
            continue
        ranked = {float(rank): value for rank, value in (quantiles or {}).items()}
        found.setdefault(id_, _Profiles(version, {})).columns[column] = ColumnProfile(
            column, count, nulls, distinct, mean=mean, deviation=deviation, quantiles=ranked
        )
    few = sum(len(profiles.columns) for profiles in found.values()) <= _MOST_KNOWN
    _known[connection] = found if few else {}
    return {id_: profiles.columns for id_, profiles in found.items()}


def _read_parts(connection: Connection, column: str, delivery: Delivery, generation: int) -> Iterator[Any]:
    """Yield one column of a delivery's parts."""
    with connection.cursor(f"profile_{column}") as cursor:
        cursor.itersize = _READ_AT_ONCE
        cursor.execute(
            f"SELECT {column} FROM etl.profile_part WHERE delivery_id = %s AND generation = %s ORDER BY number",
            (delivery.id, generation),
        )
        for (value,) in cursor:
            yield value
