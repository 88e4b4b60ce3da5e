"""Replays of quarantined records: find the records page by page, lock those of a page, and enter what became of them.

A page is a bounded number of records of one delivery, so that a replay needs as little memory for a million records as
for one page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg.rows import class_row

from etl_assets.model.rule import UNTERMINATED
from etl_assets.postgres.ledger.quarantine import ABOUT, COLUMNS, WAITING, Rejected, stage, with_contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from etl_assets.postgres.connection import Connection

PAGE: Final = 10_000
"""The largest number of records of a page."""
_PAGE_BYTES: Final = 16 * 1024 * 1024
"""A page has no further record once it has so many bytes."""
_COLUMNS: Final = ", ".join(
    "CASE WHEN correction IS NOT NULL THEN fields END AS fields" if name == "fields" else name for name in COLUMNS
)


def delivery_ids(
    connection: Connection, source: str, statuses: Sequence[str] = WAITING, ids: Sequence[int] | None = None
) -> list[int]:
    """Return the ids of the deliveries of a source that have records with these statuses and, if given, these ids."""
    rows = connection.execute(
        "SELECT DISTINCT delivery_id FROM etl.rejected WHERE source = %(source)s AND status = ANY (%(statuses)s) "
        "AND (%(ids)s::bigint[] IS NULL OR id = ANY (%(ids)s)) ORDER BY 1",
        {"source": source, "statuses": list(statuses), "ids": None if ids is None else list(ids)},
    ).fetchall()
    return [delivery_id for (delivery_id,) in rows]


def pages(
    connection: Connection,
    delivery_id: int,
    statuses: Sequence[str] = WAITING,
    ids: Sequence[int] | None = None,
    *,
    size: int = PAGE,
    last_first: bool = False,
) -> Iterator[list[int]]:
    """Yield the ids of the records of a delivery, page by page, by record number.

    A page is found when it is asked for, so the caller may change the records of the pages before.

    Args:
        connection: To the warehouse.
        delivery_id: Id of the delivery.
        statuses: Only records with one of these.
        ids: Only records with these ids. If None, a record that may have been cut is left out unless it is corrected:
            only a person can say that it is whole.
        size: The largest number of records of a page, at least 1.
        last_first: Whether the page with the last records comes first.
    """
    order, beyond, after = ("DESC", "<", 2**63 - 1) if last_first else ("ASC", ">", 0)
    while True:
        rows = connection.execute(
            "SELECT id, record_no FROM (SELECT id, record_no, "
            f"sum(raw_bytes) OVER (ORDER BY record_no {order}) - raw_bytes AS bytes_before "
            "FROM (SELECT id, record_no, raw_bytes FROM etl.rejected WHERE delivery_id = %(delivery)s "
            "AND status = ANY (%(statuses)s) AND CASE WHEN %(ids)s::bigint[] IS NULL "
            "THEN correction IS NOT NULL OR %(unterminated)s <> ALL (rules) ELSE id = ANY (%(ids)s) END "
            f"AND record_no {beyond} %(after)s ORDER BY record_no {order} LIMIT %(size)s) record) page "
            f"WHERE bytes_before < %(bytes)s ORDER BY record_no {order}",
            {
                "delivery": delivery_id,
                "statuses": list(statuses),
                "ids": None if ids is None else list(ids),
                "unterminated": UNTERMINATED,
                "after": after,
                "size": size,
                "bytes": _PAGE_BYTES,
            },
        ).fetchall()
        if not rows:
            return
        after = rows[-1][1]
        yield [id_ for id_, _ in rows]


def read(connection: Connection, ids: Sequence[int]) -> list[Rejected]:
    """Return the records of a page, by their number; with fields only if they are corrected, for the bytes suffice."""
    with connection.cursor(row_factory=class_row(Rejected)) as cursor:
        return cursor.execute(
            with_contents(f"SELECT {ABOUT} FROM etl.rejected WHERE id = ANY (%s)", _COLUMNS), (list(ids),)
        ).fetchall()


def claim(connection: Connection, ids: Sequence[int]) -> list[Rejected]:
    """Lock waiting records for a replay, inside its transaction, and return them as `read` does; skip all others."""
    with connection.cursor(row_factory=class_row(Rejected)) as cursor:
        return cursor.execute(
            with_contents(
                f"SELECT {ABOUT} FROM etl.rejected WHERE id = ANY (%s) AND status = ANY (%s) "
                "ORDER BY record_no FOR UPDATE",
                _COLUMNS,
            ),
            (list(ids), list(WAITING)),
        ).fetchall()


def finish(connection: Connection, claimed: Sequence[Rejected], rejected: pl.DataFrame, fingerprint: str) -> None:
    """Enter the outcome of a replay for its records, inside its transaction.

    A record that may have been cut, and that a person replays as it came, gets a correction without any change: it is
    whole, and a reload must not reject it again. If it breaks other rules still, it may have been cut as before.

    Args:
        connection: In the transaction of the replay.
        claimed: The records, from `claim`, of one delivery.
        rejected: ``record_no``, ``rules`` and ``status`` of those that still break rules; the others are replayed.
        fingerprint: Of the declaration.
    """
    stage(connection, rejected.select("record_no", "rules", "status"))
    connection.execute(
        "UPDATE etl.rejected r SET status = coalesce(s.status, 'replayed'), "
        "rules = CASE WHEN coalesce(s.rules, '{}') = '{}' THEN r.rules "
        "WHEN r.correction IS NULL AND %(unterminated)s = ANY (r.rules) THEN s.rules || %(unterminated)s "
        "ELSE s.rules END, fingerprint = %(fingerprint)s, replays = replays + 1, "
        "correction = CASE WHEN s.status IS NULL AND %(unterminated)s = ANY (r.rules) "
        "THEN coalesce(correction, '{}') ELSE correction END, "
        "correction_counts = correction IS NOT NULL OR (s.status IS NULL AND %(unterminated)s = ANY (r.rules)) "
        "FROM unnest(%(ids)s::bigint[], %(numbers)s::bigint[]) AS c (id, record_no) "
        "LEFT JOIN pg_temp.etl_rejected s USING (record_no) WHERE r.id = c.id",
        {
            "fingerprint": fingerprint,
            "unterminated": UNTERMINATED,
            "ids": [record.id for record in claimed],
            "numbers": [record.record_no for record in claimed],
        },
    )
    connection.execute("TRUNCATE pg_temp.etl_rejected")
