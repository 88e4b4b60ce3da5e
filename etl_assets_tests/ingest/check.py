"""Checks the invariants of one source in the database, independently of the doctor."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from etl_assets.postgres.connection import connected

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World


def check(world: World, sent: dict[str, list[bytes]]) -> list[str]:
    """Return every violation.

    Args:
        world: Its source was loaded at least once.
        sent: SHA-256 of every published file to its records, in order.
    """
    return [*_counts(world), *_quarantine(world, sent), *_rows(world), *_lasting_leftovers(world)]


def _counts(world: World) -> list[str]:
    violations = []
    entries = world.query(
        "SELECT d.id, b.kind, b.generation = d.generation, b.number, b.first_record, b.last_record, b.read, "
        "b.rejected, b.filtered, b.accepted, b.produced, b.inserted, b.updated, b.unchanged, b.duplicate, b.expired "
        "FROM etl.batch b "
        f"JOIN etl.delivery d ON d.id = b.delivery_id WHERE d.source = '{world.name}' ORDER BY d.id, b.number"
    )
    for delivery, kind, _, number, _, _, read, rejected, filtered, accepted, produced, *rows in entries:
        if read != rejected + filtered + accepted or produced != sum(rows):
            violations.append(f"{kind} batch {number} of {delivery} does not add up")
    for delivery, records, status in world.query(
        f"SELECT id, records, status FROM etl.delivery WHERE source = '{world.name}'"
    ):
        own = [entry for entry in entries if entry[0] == delivery and entry[1] == "ingest" and entry[2]]
        if status == "complete" and sum(entry[6] for entry in own) != records:
            violations.append(f"{delivery} is complete, and not all of its records were read")
        ends = [0, *(entry[5] for entry in own)]
        if [entry[4] for entry in own] != [end + 1 for end in ends[:-1]]:
            violations.append(f"the batches of {delivery} do not follow one another: {own}")
    return violations


def _quarantine(world: World, sent: dict[str, list[bytes]]) -> list[str]:
    violations = []
    for delivery, sha256, rejected in world.query(
        "SELECT d.id, d.sha256, coalesce(sum(b.rejected), 0) FROM etl.delivery d LEFT JOIN etl.batch b ON "
        "b.delivery_id = d.id AND b.generation = d.generation AND b.kind = 'ingest' "
        f"WHERE d.source = '{world.name}' GROUP BY 1, 2"
    ):
        kept = world.query(
            "SELECT r.record_no, r.raw FROM etl.rejected r JOIN etl.delivery d ON d.id = r.delivery_id "
            f"AND d.generation = r.generation WHERE d.id = {delivery}"
        )
        if len(kept) != rejected:
            violations.append(f"{delivery} rejected {rejected}, and {len(kept)} are kept")
        violations += [
            f"record {number} of {delivery} is not kept as sent"
            for number, raw in kept
            if raw != sent[sha256][number - 1]
        ]
    return violations


def _rows(world: World) -> list[str]:
    ((rows,),) = world.query(f"SELECT count(*) FROM core.{world.name}")
    ((entered,),) = world.query(
        "SELECT coalesce(sum(inserted - deleted), 0) - (SELECT coalesce(sum(rows), 0) FROM etl.retention "
        f"WHERE source = '{world.name}') FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id "
        f"WHERE d.source = '{world.name}'"
    )
    violations = [] if rows == entered else [f"{rows} rows, and {entered} were entered"]
    unknown = world.query(
        f"SELECT t._delivery_id, t._record_no FROM core.{world.name} t LEFT JOIN etl.delivery d "
        f"ON d.id = t._delivery_id AND d.source = '{world.name}' AND t._record_no BETWEEN 1 AND d.records "
        "WHERE d.id IS NULL"
    )
    return violations + [f"a row of delivery {delivery}, record {number}" for delivery, number in unknown]


def _lasting_leftovers(world: World) -> list[str]:
    """Return locks and staging tables; wait, because the server needs a moment to notice that a session has ended."""
    until = time.monotonic() + 5
    while (leftovers := _leftovers(world)) and time.monotonic() < until:
        time.sleep(0.02)
    return leftovers


def _leftovers(world: World) -> list[str]:
    with connected(world.url) as connection:
        rows: list[tuple[Any, ...]] = connection.execute(
            "SELECT 'a lock is held by ' || l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE l.locktype = 'advisory' AND d.datname = current_database() UNION ALL SELECT 'table ' || relname "
            "FROM pg_class WHERE relkind = 'r' AND starts_with(relname, 'etl_')"
        ).fetchall()
    return [description for (description,) in rows]
