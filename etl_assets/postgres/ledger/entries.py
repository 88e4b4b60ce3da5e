"""The ledger ``etl.batch``: one entry for each committed batch, with its counts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from psycopg.types.json import Jsonb

from etl_assets.model.counts import Counts
from etl_assets.postgres.ledger.order import newer, oldest_first, order_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.locks import Holder

Kind = Literal["ingest", "replay"]
COUNT_NAMES: Final = tuple(field.name for field in fields(Counts))


@dataclass(frozen=True)
class Entry:
    """What the ledger has of one committed batch.

    Attributes:
        number: Of the batch.
        first_record: Number of its first record.
        last_record: Number of its last record.
        counts: What became of its records and rows.
        rules: How many records broke each rule.
        confirmed: How many of the unchanged rows, at most, have their contents from another delivery.
    """

    number: int
    first_record: int
    last_record: int
    counts: Counts
    rules: dict[str, int]
    confirmed: int = 0


def enter(
    connection: Connection,
    delivery: Delivery,
    holder: Holder,
    entry: Entry,
    *,
    kind: Kind,
    hash_seed: int,
) -> None:
    """Write a line of the ledger, in the transaction of what it accounts for."""
    columns = ", ".join(COUNT_NAMES)
    marks = ", ".join(["%s"] * len(COUNT_NAMES))
    connection.execute(
        "INSERT INTO etl.batch (delivery_id, generation, kind, number, run_id, epoch, first_record, last_record, "
        f"rules, hash_seed, confirmed, {columns}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, {marks})",
        (
            delivery.id,
            delivery.generation,
            kind,
            entry.number,
            holder.run_id,
            holder.epoch,
            entry.first_record,
            entry.last_record,
            Jsonb(entry.rules),
            hash_seed,
            entry.confirmed,
            *entry.counts.values,
        ),
    )


def find(connection: Connection, delivery: Delivery, kind: Kind = "ingest") -> dict[int, Entry]:
    """The lines of a delivery's present generation, by batch number."""
    rows = connection.execute(
        "SELECT number, first_record, last_record, rules, coalesce(confirmed, unchanged), "
        f"{', '.join(COUNT_NAMES)} FROM etl.batch "
        "WHERE delivery_id = %s AND generation = %s AND kind = %s ORDER BY number",
        (delivery.id, delivery.generation, kind),
    ).fetchall()
    return {row[0]: _entry(row) for row in rows}


def carry_over(connection: Connection, delivery: Delivery, read_anew: Collection[int]) -> None:
    """Let the lines of the generation before go with a new one, other than those of batches that are read anew.

    Args:
        connection: In the transaction that begins the generation.
        delivery: In its new generation.
        read_anew: Numbers of the batches whose lines stay behind, as history.
    """
    connection.execute(
        "UPDATE etl.batch SET generation = %(new)s WHERE delivery_id = %(id)s AND generation = %(new)s - 1 "
        "AND kind = 'ingest' AND number <> ALL (%(anew)s)",
        {"id": delivery.id, "new": delivery.generation, "anew": list(read_anew)},
    )


def has_gaps(connection: Connection, delivery: Delivery) -> bool:
    """Whether a later generation of a delivery has batches in the ledger beyond one that is still to be read."""
    row = connection.execute(
        "SELECT coalesce(max(b.last_record) > sum(b.read), false) FROM etl.batch b JOIN etl.delivery d "
        "ON d.id = b.delivery_id AND d.generation = b.generation "
        "WHERE d.id = %s AND d.generation > 1 AND b.kind = 'ingest'",
        (delivery.id,),
    ).fetchone()
    return bool(row and row[0])


def next_number(connection: Connection, delivery: Delivery, kind: Kind) -> int:
    """The number that the next line of that kind will have."""
    row = connection.execute(
        "SELECT coalesce(max(number), 0) + 1 FROM etl.batch WHERE delivery_id = %s AND generation = %s AND kind = %s",
        (delivery.id, delivery.generation, kind),
    ).fetchone()
    return int(row[0]) if row else 1


def other_seeds(connection: Connection, source: str, hash_seed: int) -> bool:
    """Whether any row of a source may carry a hash of another seed than today's."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id "
        "WHERE d.source = %s AND b.hash_seed <> %s)",
        (source, hash_seed),
    ).fetchone()
    return bool(row and row[0])


@dataclass(frozen=True)
class Confirmation:
    """An entry of the ledger that left rows of other deliveries as they were: its id, and what it accounts for."""

    id: int
    delivery_id: int
    kind: Kind
    number: int


def confirming(
    connection: Connection, delivery: Delivery, after_record: int, *, same_partition: bool = False
) -> list[Confirmation]:
    """Entries that hold newer sightings of rows which they left as they were.

    A row that a newer delivery merely confirms keeps the mark of the older one; whoever wants to overwrite it from
    in between must look there first.

    Args:
        connection: To the warehouse.
        delivery: From which rows are to be written out of order.
        after_record: Entries of the same delivery count that reach beyond this record, and its replays.
        same_partition: Only those of its own partition: others have no key in common with it.

    Returns:
        The entries, by delivery, oldest first. Those of replays may be of any generation: what people corrected stands
        when the delivery is reloaded.
    """
    rows = connection.execute(
        "SELECT b.id, d.id, b.kind, b.number FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id "
        "AND (d.generation = b.generation OR b.kind = 'replay') "
        "WHERE d.source = %(source)s AND coalesce(b.confirmed, b.unchanged) > 0 "
        f"AND ({newer()} OR (d.id = %(id)s AND (b.kind = 'replay' OR b.last_record > %(after)s))) "
        "AND (d.partition = %(partition)s OR NOT %(same_partition)s) "
        f"ORDER BY {oldest_first()}, b.kind, b.number",
        {**order_of(delivery), "after": after_record, "same_partition": same_partition},
    ).fetchall()
    return [Confirmation(*row) for row in rows]


def add_up(entries_: Mapping[int, Entry]) -> tuple[Counts, dict[str, int]]:
    """The sums of some lines: all counts, and how many records broke each rule."""
    counts, rules = Counts(), dict[str, int]()
    for entry in entries_.values():
        counts += entry.counts
        for rule, broken in entry.rules.items():
            rules[rule] = rules.get(rule, 0) + broken
    return counts, rules


def _entry(row: tuple[Any, ...]) -> Entry:
    number, first, last, rules, confirmed, *counts = row
    return Entry(number, first, last, Counts(*counts), dict(rules), confirmed)
