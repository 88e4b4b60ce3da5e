"""The tables ``etl.key_comparison`` and ``etl.absent_row``: which rows have a key that their source no longer has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 -- part of a dataclass
from typing import TYPE_CHECKING, Final

from psycopg import sql
from psycopg.rows import class_row

from etl_assets.postgres.ledger.invariants import DELIVERY, QueriedInvariant
from etl_assets.postgres.tables.listed_keys import NOT_LISTED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.listed_keys import ListedKeys


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        began_at: When it began, by the clock of the warehouse.
        keys: Number of records that the source listed.
        unreadable: How many of them have a key that is not written as declared.
        rows_compared: Rows of the table that were compared.
        newly_absent: How many of them are not listed, and were listed before.
        returned: Rows that were absent, and are listed again.
        absent: Rows of the partition that are entered as absent now.
        concluded: Whether the newly absent rows were entered.
    """

    began_at: datetime
    keys: int
    unreadable: int
    rows_compared: int
    newly_absent: int
    returned: int
    absent: int
    concluded: bool


@dataclass(frozen=True)
class Listing:
    """What a source lists.

    Attributes:
        source: Its name.
        partition: Key of the partition.
        run_id: Id of the run that lists it.
        began_at: When it began, by the clock of the warehouse.
        sha256: Of the frozen list.
    """

    source: str
    partition: str
    run_id: str
    began_at: datetime
    sha256: str


def last(connection: Connection, source: str, partition: str) -> Comparison | None:
    """Return the newest comparison of a partition; None if there never was one."""
    columns = ", ".join(Comparison.__dataclass_fields__)
    with connection.cursor(row_factory=class_row(Comparison)) as cursor:
        return cursor.execute(
            f"SELECT {columns} FROM etl.key_comparison WHERE source = %s AND partition = %s "
            "ORDER BY began_at DESC, id DESC LIMIT 1",
            (source, partition),
        ).fetchone()


def begin_if_due(connection: Connection, source: str, partition: str, every: timedelta) -> datetime | None:
    """Return the time now, by the clock of the warehouse; None if a comparison began less than some time ago."""
    row = connection.execute(
        "SELECT n.now FROM (SELECT clock_timestamp() AS now) n WHERE NOT EXISTS (SELECT FROM etl.key_comparison "
        "WHERE source = %s AND partition = %s AND began_at > n.now - %s)",
        (source, partition, every),
    ).fetchone()
    return row[0] if row else None


def conclude(
    connection: Connection,
    listing: Listing,
    listed: ListedKeys,
    *,
    keys: int,
    unreadable: int,
    max_absent: float,
    key_names: Sequence[str],
) -> None:
    """Enter a comparison, and which rows are absent now, unless a newer one is entered already.

    Rows that a delivery brought which was fetched later than the listing began are not judged.

    Args:
        connection: In a transaction.
        listing: What was listed.
        listed: Has its keys.
        keys: Number of records that were listed.
        unreadable: How many of them have an unreadable key; if there is one, no row is entered as absent.
        max_absent: The share of the rows that may be newly absent.
        key_names: The published names of the key's columns.
    """
    values: dict[str, object] = vars(listing) | {"keys": keys, "unreadable": unreadable}
    connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"keys {listing.source} {listing.partition}",))
    newest = last(connection, listing.source, listing.partition)
    if newest is not None and newest.began_at >= listing.began_at:
        return
    compared = listed.find_rows(_deliveries_before(connection, listing), key_names)
    newly = _count_newly_absent(connection)
    concluded = not unreadable and newly <= max_absent * compared
    returned = _remove(connection, listing, listed)
    absent = _count_absent(connection, listing) + (newly if concluded else 0)
    counts = {"compared": compared, "newly": newly, "returned": returned, "absent": absent, "concluded": concluded}
    row = connection.execute(
        "INSERT INTO etl.key_comparison (source, partition, run_id, began_at, sha256, keys, unreadable, rows_compared, "
        "newly_absent, returned, absent, concluded) VALUES (%(source)s, %(partition)s, %(run_id)s, %(began_at)s, "
        "%(sha256)s, %(keys)s, %(unreadable)s, %(compared)s, %(newly)s, %(returned)s, %(absent)s, %(concluded)s) "
        "RETURNING id",
        values | counts,
    ).fetchone()
    if concluded:
        connection.execute(
            sql.SQL(
                "INSERT INTO etl.absent_row (delivery_id, record_no, source, partition, comparison_id, absent_since) "
                "SELECT delivery_id, record_no, %(source)s, %(partition)s, %(id)s, %(began_at)s FROM {} "
                "ON CONFLICT DO NOTHING"
            ).format(NOT_LISTED),
            values | {"id": row[0] if row else None},
        )


def _deliveries_before(connection: Connection, listing: Listing) -> list[int]:
    """Return the ids of the deliveries of the partition that were fetched before the listing began."""
    rows = connection.execute(
        "SELECT id FROM etl.delivery WHERE source = %s AND partition = %s AND fetched_at < %s",
        (listing.source, listing.partition, listing.began_at),
    ).fetchall()
    return [id_ for (id_,) in rows]


def _count_newly_absent(connection: Connection) -> int:
    row = connection.execute(
        sql.SQL(
            "SELECT count(*) FROM {} n WHERE NOT EXISTS (SELECT FROM etl.absent_row a "
            "WHERE a.delivery_id = n.delivery_id AND a.record_no = n.record_no)"
        ).format(NOT_LISTED)
    ).fetchone()
    return row[0] if row else 0


def _count_absent(connection: Connection, listing: Listing) -> int:
    row = connection.execute(
        "SELECT count(*) FROM etl.absent_row WHERE source = %s AND partition = %s", (listing.source, listing.partition)
    ).fetchone()
    return row[0] if row else 0


def _remove(connection: Connection, listing: Listing, listed: ListedKeys) -> int:
    """Remove the entries of rows that are listed again, changed or deleted; return how many are listed again."""
    row = connection.execute(
        sql.SQL(
            "WITH gone AS (DELETE FROM etl.absent_row a WHERE source = %s AND partition = %s AND NOT EXISTS "
            "(SELECT FROM {} n WHERE n.delivery_id = a.delivery_id AND n.record_no = a.record_no) "
            "RETURNING delivery_id, record_no) SELECT count(*) FROM gone WHERE {}"
        ).format(NOT_LISTED, listed.has_row(sql.SQL("gone"))),
        (listing.source, listing.partition),
    ).fetchone()
    return row[0] if row else 0


ABSENT_ROWS_ARE_AS_FOUND: Final = QueriedInvariant(
    "absent_rows_are_as_found",
    "A row that is entered as absent is of a record of its partition that was fetched before the comparison began "
    "which found it",
    "Somebody changed etl.absent_row by hand: delete the entries of that source, and compare its keys again with "
    "`etl-assets run NAME --full`",
    f"SELECT {DELIVERY}, format('has %s records entered as absent that it did not bring, or only after the "
    "comparison began', count(*)) FROM etl.absent_row a JOIN etl.delivery d ON d.id = a.delivery_id "
    "JOIN etl.key_comparison c ON c.id = a.comparison_id WHERE (a.source, a.partition) <> (d.source, d.partition) "
    "OR (a.source, a.partition) <> (c.source, c.partition) OR NOT c.concluded OR a.absent_since <> c.began_at "
    "OR d.fetched_at >= c.began_at OR a.record_no NOT BETWEEN 1 AND d.records GROUP BY d.id ORDER BY d.id",
)
"""The invariant of both tables."""
