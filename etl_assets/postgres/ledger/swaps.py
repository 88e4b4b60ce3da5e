"""What the ledger says of deliveries whose rows go to a new table, and the counts of their batches at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.model.rule import KEY_UNIQUE
from etl_assets.postgres.ledger.entries import NOT_SWAPPED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.new_table import Compared

_HAD_OBSTACLES: Final = (
    "SELECT EXISTS (SELECT FROM etl.batch b WHERE b.delivery_id = (SELECT max(c.delivery_id) FROM etl.batch c "
    "JOIN etl.delivery d ON d.id = c.delivery_id WHERE d.source = %(source)s AND c.kind = 'completion' "
    "AND d.id <> %(id)s) AND (jsonb_exists(b.rules, %(unique)s) OR jsonb_exists(b.notes, %(note)s)))"
)


def is_pending(connection: Connection, delivery: Delivery) -> bool:
    """Return whether rows of a delivery's generation are in a new table that is not in place."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM etl.batch WHERE delivery_id = %s AND generation = %s AND jsonb_exists(notes, %s))",
        (delivery.id, delivery.generation, NOT_SWAPPED),
    ).fetchone()
    return bool(row and row[0])


def had_obstacles(connection: Connection, delivery: Delivery) -> bool:
    """Return whether the delivery that was completed last repeated keys, or had a new table that was not put in place.

    Then the next one probably does, too.
    """
    values = {"source": delivery.source, "id": delivery.id, "unique": KEY_UNIQUE, "note": NOT_SWAPPED}
    row = connection.execute(_HAD_OBSTACLES, values).fetchone()
    return bool(row and row[0])


def are_loaded(connection: Connection, ids: Sequence[int]) -> bool:
    """Return whether the ledger has any entry of some deliveries."""
    if not ids:
        return False
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM etl.batch WHERE delivery_id = ANY (%s))", (list(ids),)
    ).fetchone()
    return bool(row and row[0])


def last_of_others(connection: Connection, delivery: Delivery) -> int:
    """Return the id of the last ledger entry of a source that is not of a batch of a delivery; 0 if there is none."""
    row = connection.execute(
        "SELECT coalesce(max(b.id), 0) FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id "
        "WHERE d.source = %s AND (d.id <> %s OR b.kind <> 'ingest')",
        (delivery.source, delivery.id),
    ).fetchone()
    return int(row[0]) if row else 0


def enter_counts(connection: Connection, delivery: Delivery, counts: Mapping[int, Compared]) -> None:
    """Enter what became of the rows of a new table, in the transaction that puts it in place.

    Args:
        connection: In that transaction.
        delivery: The delivery.
        counts: Of each batch that was written into the new table, by its number.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE etl.batch SET inserted = %s, updated = %s, unchanged = %s, confirmed = %s, notes = notes - %s "
            "WHERE delivery_id = %s AND generation = %s AND kind = 'ingest' AND number = %s",
            [
                (
                    *(found.inserted, found.updated, found.unchanged, found.unchanged, NOT_SWAPPED),
                    *(delivery.id, delivery.generation, number),
                )
                for number, found in counts.items()
            ],
        )
