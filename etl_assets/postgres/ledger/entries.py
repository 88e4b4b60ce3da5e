"""The ledger ``etl.batch``: one entry for each committed batch, with its counts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from psycopg.types.json import Jsonb

from etl_assets.model.batch import Counts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.locks import Holder

Kind = Literal["ingest", "replay"]
COUNT_NAMES: Final = tuple(field.name for field in fields(Counts))


@dataclass(frozen=True)
class Line:
    """One line of the ledger."""

    number: int
    first_record: int
    last_record: int
    counts: Counts
    rules: dict[str, int]


def enter(
    connection: Connection,
    delivery: Delivery,
    holder: Holder,
    line: Line,
    *,
    kind: Kind,
    hash_seed: int,
) -> None:
    """Write a line of the ledger, in the transaction of what it accounts for."""
    columns = ", ".join(COUNT_NAMES)
    marks = ", ".join(["%s"] * len(COUNT_NAMES))
    connection.execute(
        "INSERT INTO etl.batch (delivery_id, generation, kind, number, run_id, epoch, first_record, last_record, "
        f"rules, hash_seed, {columns}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, {marks})",
        (
            delivery.id,
            delivery.generation,
            kind,
            line.number,
            holder.run_id,
            holder.epoch,
            line.first_record,
            line.last_record,
            Jsonb(line.rules),
            hash_seed,
            *line.counts.values,
        ),
    )


def lines(connection: Connection, delivery: Delivery, kind: Kind = "ingest") -> dict[int, Line]:
    """The lines of a delivery's present generation, by batch number."""
    rows = connection.execute(
        f"SELECT number, first_record, last_record, rules, {', '.join(COUNT_NAMES)} FROM etl.batch "
        "WHERE delivery_id = %s AND generation = %s AND kind = %s ORDER BY number",
        (delivery.id, delivery.generation, kind),
    ).fetchall()
    return {row[0]: _line(row) for row in rows}


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
class Confirming:
    """A line of the ledger that left rows as they were: its id, and what it accounts for."""

    id: int
    delivery_id: int
    kind: Kind
    number: int


def confirming(connection: Connection, delivery: Delivery, record_no: int, after_line: int = 0) -> list[Confirming]:
    """Lines that hold newer sightings of rows which they left as they were.

    A row that a newer delivery merely confirms keeps the mark of the older one; whoever wants to overwrite it from
    in between must look there first.

    Args:
        connection: To the warehouse.
        delivery: From which rows are to be written out of order.
        record_no: The lowest record number concerned.
        after_line: Only lines with a higher id.

    Returns:
        The lines, by delivery, oldest first. Those of replays may be of any generation: what people corrected stands
        when the delivery is read anew.
    """
    rows = connection.execute(
        "SELECT b.id, d.id, b.kind, b.number FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id "
        "AND (d.generation = b.generation OR b.kind = 'replay') WHERE d.source = %s AND b.unchanged > 0 AND b.id > %s "
        "AND ((d.rank, d.id) > (%s, %s) OR (d.id = %s AND (b.kind = 'replay' OR b.last_record > %s))) "
        "ORDER BY d.rank, d.id, b.kind, b.number",
        (delivery.source, after_line, delivery.rank, delivery.id, delivery.id, record_no),
    ).fetchall()
    return [Confirming(*row) for row in rows]


def add_up(lines_: Mapping[int, Line]) -> tuple[Counts, dict[str, int]]:
    """The sums of some lines: all counts, and how many records broke each rule."""
    counts, rules = Counts(), dict[str, int]()
    for line in lines_.values():
        counts += line.counts
        for rule, broken in line.rules.items():
            rules[rule] = rules.get(rule, 0) + broken
    return counts, rules


def _line(row: tuple[Any, ...]) -> Line:
    number, first, last, rules, *counts = row
    return Line(number, first, last, Counts(*counts), dict(rules))
