"""What must hold of one source in the database, asked here in other words than the doctor's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from etl_assets.postgres.connection import connected

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World


def check(world: World, sent: dict[str, list[bytes]]) -> list[str]:
    """Everything that is not as it should be.

    Args:
        world: With its source loaded at least once.
        sent: SHA-256 of every file that was published to its records, in order.
    """
    return [*_counts(world), *_quarantine(world, sent), *_rows(world), *_left_behind(world)]


def _counts(world: World) -> list[str]:
    found = []
    lines = world.query(
        "SELECT d.id, b.kind, b.generation = d.generation, b.number, b.first_record, b.last_record, b.read, "
        "b.rejected, b.filtered, b.accepted, b.produced, b.inserted, b.updated, b.unchanged, b.duplicate "
        "FROM etl.batch b "
        f"JOIN etl.delivery d ON d.id = b.delivery_id WHERE d.source = '{world.name}' ORDER BY d.id, b.number"
    )
    for delivery, kind, _, number, _, _, read, rejected, filtered, accepted, produced, *rows in lines:
        if read != rejected + filtered + accepted or produced != sum(rows):
            found.append(f"{kind} batch {number} of {delivery} does not add up")
    for delivery, records, status in world.query(
        f"SELECT id, records, status FROM etl.delivery WHERE source = '{world.name}'"
    ):
        mine = [line for line in lines if line[0] == delivery and line[1] == "ingest" and line[2]]
        if status == "complete" and sum(line[6] for line in mine) != records:
            found.append(f"{delivery} is complete, and not all of its records were read")
        ends = [0, *(line[5] for line in mine)]
        if [line[4] for line in mine] != [end + 1 for end in ends[:-1]]:
            found.append(f"the batches of {delivery} do not follow one another: {mine}")
    return found


def _quarantine(world: World, sent: dict[str, list[bytes]]) -> list[str]:
    found = []
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
            found.append(f"{delivery} rejected {rejected}, and {len(kept)} are kept")
        found += [
            f"record {number} of {delivery} is not kept as sent"
            for number, raw in kept
            if raw != sent[sha256][number - 1]
        ]
    return found


def _rows(world: World) -> list[str]:
    ((rows,),) = world.query(f"SELECT count(*) FROM core.{world.name}")
    ((entered,),) = world.query(
        "SELECT coalesce(sum(inserted - deleted), 0) FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id "
        f"WHERE d.source = '{world.name}'"
    )
    found = [] if rows == entered else [f"{rows} rows, and {entered} were entered"]
    strange = world.query(
        f"SELECT t._delivery_id, t._record_no FROM core.{world.name} t LEFT JOIN etl.delivery d "
        f"ON d.id = t._delivery_id AND d.source = '{world.name}' AND t._record_no BETWEEN 1 AND d.records "
        "WHERE d.id IS NULL"
    )
    return found + [f"a row of delivery {delivery}, record {number}" for delivery, number in strange]


def _left_behind(world: World) -> list[str]:
    """Locks and staging tables; the server takes a moment to notice that a session has ended."""
    until = time.monotonic() + 5
    while (left := _left(world)) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def _left(world: World) -> list[str]:
    with connected(world.url) as connection:
        held: list[tuple[Any, ...]] = connection.execute(
            "SELECT 'a lock is held by ' || l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE l.locktype = 'advisory' AND d.datname = current_database() UNION ALL SELECT 'table ' || relname "
            "FROM pg_class WHERE relkind = 'r' AND starts_with(relname, 'etl_')"
        ).fetchall()
    return [what for (what,) in held]
