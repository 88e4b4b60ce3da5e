"""The ledger ``etl.batch``: one entry for each committed batch, with its counts."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from psycopg.types.json import Jsonb

from etl_assets.model.counts import Counts
from etl_assets.postgres.ledger.order import newer, oldest_first, order_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.locks import Holder

Kind = Literal["ingest", "replay", "completion", "rebuild"]
"""Of an entry: a batch, a replay, what the write mode did when every batch was written, or a table put in place."""
STAGED: Final = "staged"
"""The note of an entry whose rows are beside the table until the delivery is complete."""
NOT_SWAPPED: Final = "not_swapped"
"""The note of an entry whose rows are in a new table that is not in place; they count as unchanged until then."""
VERSIONS: Final = "versions"
"""The note of an entry: how many rows the table of versions has more than were inserted and not deleted."""
MERGED: Final = "merged"
"""The note of an entry: how many of its confirmed rows it counts as inserted or updated."""
MARKED: Final = "marked"
"""The note of a completion whose deleted rows are marked, and still in the table."""
STORED: Final = (
    f"(SELECT coalesce(sum(b.inserted + coalesce((b.notes ->> '{VERSIONS}')::bigint, 0)), 0) AS inserted, "
    f"coalesce(sum(b.deleted) FILTER (WHERE NOT jsonb_exists(b.notes, '{MARKED}')), 0) + (SELECT "
    "coalesce(sum(r.rows), 0) FROM etl.retention r WHERE r.source = ANY (%(sources)s)) AS deleted FROM etl.batch b "
    "JOIN etl.delivery d ON d.id = b.delivery_id WHERE d.source = ANY (%(sources)s) AND (NOT jsonb_exists(b.notes, "
    f"'{STAGED}') OR EXISTS (SELECT FROM etl.batch c WHERE c.delivery_id = b.delivery_id AND c.kind = 'completion')))"
)
"""SQL: how many rows the ledger inserted into the tables of some sources, and removed or dropped from them."""
COUNT_NAMES: Final = tuple(count.name for count in fields(Counts))
_COLUMNS: Final = (
    f"number, first_record, last_record, rules, notes, coalesce(confirmed, unchanged), kind, {', '.join(COUNT_NAMES)}"
)


@dataclass(frozen=True)
class Entry:
    """The ledger entry of one committed batch or replay.

    Attributes:
        number: Number of the batch.
        first_record: Number of its first record.
        last_record: Number of its last record.
        counts: What became of its records and rows.
        rules: Number of records that broke each rule.
        confirmed: At most so many of the unchanged rows have their contents from another delivery.
        places: Places of the first records that broke each rule which only reports; empty in an entry that was read.
        notes: What the write mode found, numbers by name; or `STAGED`, `NOT_SWAPPED`, `VERSIONS`, `MERGED`, `MARKED`.
        kind: What it counts; of an entry that was read.
    """

    number: int
    first_record: int
    last_record: int
    counts: Counts
    rules: dict[str, int]
    confirmed: int = 0
    places: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    kind: Kind = "ingest"


def enter(
    connection: Connection,
    delivery: Delivery,
    holder: Holder,
    entry: Entry,
    *,
    kind: Kind,
    hash_seed: int,
) -> None:
    """Write an entry to the ledger, in the transaction of the batch or replay that it counts."""
    columns = ", ".join(COUNT_NAMES)
    placeholders = ", ".join(["%s"] * len(COUNT_NAMES))
    connection.execute(
        "INSERT INTO etl.batch (delivery_id, generation, kind, number, run_id, epoch, first_record, last_record, "
        f"rules, hash_seed, confirmed, places, notes, {columns}) "
        f"VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, {placeholders})",
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
            Jsonb(dict(entry.places)),
            Jsonb(dict(entry.notes)),
            *entry.counts.values,
        ),
    )


def find(connection: Connection, delivery: Delivery, kind: Kind = "ingest") -> dict[int, Entry]:
    """Return the entries of a delivery's current generation, by batch number."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM etl.batch WHERE delivery_id = %s AND generation = %s AND kind = %s ORDER BY number",
        (delivery.id, delivery.generation, kind),
    ).fetchall()
    return {row[0]: _entry(row) for row in rows}


def find_all(connection: Connection, delivery: Delivery) -> list[Entry]:
    """Return the entries of a delivery's current generation that account for it: of its batches and completions."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM etl.batch WHERE delivery_id = %s AND generation = %s "
        "AND kind IN ('ingest', 'completion') ORDER BY kind DESC, number",
        (delivery.id, delivery.generation),
    ).fetchall()
    return [_entry(row) for row in rows]


def rejected(connection: Connection, delivery: Delivery) -> int:
    """Return how many records of a delivery's current generation were rejected so far."""
    row = connection.execute(
        "SELECT coalesce(sum(rejected), 0)::bigint FROM etl.batch WHERE delivery_id = %s AND generation = %s "
        "AND kind IN ('ingest', 'completion')",
        (delivery.id, delivery.generation),
    ).fetchone()
    return row[0] if row else 0


def find_batch(connection: Connection, delivery: Delivery, number: int) -> Entry | None:
    """Return the entry of one batch of a delivery's current generation; None if the ledger has none."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM etl.batch WHERE delivery_id = %s AND generation = %s AND kind = 'ingest' "
        "AND number = %s",
        (delivery.id, delivery.generation, number),
    ).fetchone()
    return None if row is None else _entry(row)


def carry_over(connection: Connection, delivery: Delivery, reloaded: Collection[int]) -> None:
    """Move the entries of the previous generation to the new one, except those of batches to reload.

    Args:
        connection: In the transaction that begins the generation.
        delivery: In its new generation.
        reloaded: Numbers of the batches to reload; their entries stay in the previous generation, as history.
    """
    connection.execute(
        "UPDATE etl.batch SET generation = %(new)s WHERE delivery_id = %(id)s AND generation = %(new)s - 1 "
        "AND kind = 'ingest' AND number <> ALL (%(reloaded)s)",
        {"id": delivery.id, "new": delivery.generation, "reloaded": list(reloaded)},
    )


def has_gaps(connection: Connection, delivery: Delivery) -> bool:
    """Return whether a generation after the first has entries beyond a batch that is not loaded yet."""
    row = connection.execute(
        "SELECT coalesce(max(b.last_record) > sum(b.read), false) FROM etl.batch b JOIN etl.delivery d "
        "ON d.id = b.delivery_id AND d.generation = b.generation "
        "WHERE d.id = %s AND d.generation > 1 AND b.kind = 'ingest'",
        (delivery.id,),
    ).fetchone()
    return bool(row and row[0])


def has_other_epochs(connection: Connection, delivery: Delivery, holder: Holder) -> bool:
    """Return whether a delivery's current generation has entries of batches that the holder did not write."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM etl.batch WHERE delivery_id = %s AND generation = %s AND kind = 'ingest' "
        "AND epoch <> %s)",
        (delivery.id, delivery.generation, holder.epoch),
    ).fetchone()
    return bool(row and row[0])


def next_number(connection: Connection, delivery: Delivery, kind: Kind) -> int:
    """Return the number of the next entry of that kind."""
    row = connection.execute(
        "SELECT coalesce(max(number), 0) + 1 FROM etl.batch WHERE delivery_id = %s AND generation = %s AND kind = %s",
        (delivery.id, delivery.generation, kind),
    ).fetchone()
    return int(row[0]) if row else 1


def other_seeds(connection: Connection, source: str, hash_seed: int) -> bool:
    """Return whether any row of a source may have a hash of another seed than the current one."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id "
        "WHERE d.source = %s AND b.hash_seed <> %s)",
        (source, hash_seed),
    ).fetchone()
    return bool(row and row[0])


@dataclass(frozen=True)
class Confirmation:
    """A ledger entry that confirmed rows of other deliveries: its id, and the batch or replay that it counts."""

    id: int
    delivery_id: int
    kind: Kind
    number: int


def find_confirmations(
    connection: Connection, delivery: Delivery, after_record: int, *, same_partition: bool = False
) -> list[Confirmation]:
    """Find the newer entries that confirmed rows.

    A row that a newer delivery only confirms keeps the mark of the older delivery. A load of a delivery between the
    two must check these entries before it overwrites the row.

    Args:
        connection: To the warehouse.
        delivery: The delivery whose rows are written out of order.
        after_record: Of the same delivery, entries that reach beyond this record are included, and all its replays.
        same_partition: Only of its own partition, for disjoint partitions: they have no key in common.

    Returns:
        The entries, by delivery, oldest first. Entries of replays may be of any generation: corrections stay valid
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


def confirm(connection: Connection, marks: Sequence[tuple[int, int]]) -> None:
    """Count rows as confirmed that the entries had counted as written.

    Args:
        connection: In the transaction that makes them confirmed.
        marks: Delivery and record of the rows.
    """
    connection.execute(
        "UPDATE etl.batch b SET confirmed = coalesce(b.confirmed, b.unchanged) + m.rows, notes = b.notes || "
        f"jsonb_build_object('{MERGED}', coalesce((b.notes ->> '{MERGED}')::bigint, 0) + m.rows) FROM (SELECT e.id, "
        "count(*) AS rows FROM unnest(%s::bigint[], %s::bigint[]) mark (delivery_id, record_no) "
        "JOIN etl.batch e ON e.delivery_id = mark.delivery_id AND e.kind <> 'completion' "
        "AND mark.record_no BETWEEN e.first_record AND e.last_record GROUP BY e.id) m WHERE b.id = m.id",
        ([delivery for delivery, _ in marks], [record for _, record in marks]),
    )


def sum_entries(entries_: Iterable[Entry]) -> tuple[Counts, dict[str, int]]:
    """Add up entries: return the sums of all counts, and the number of records that broke each rule."""
    counts, rules = Counts(), dict[str, int]()
    for entry in entries_:
        counts += entry.counts
        for rule, broken in entry.rules.items():
            rules[rule] = rules.get(rule, 0) + broken
    return counts, rules


def _entry(row: tuple[Any, ...]) -> Entry:
    number, first, last, rules, notes, confirmed, kind, *counts = row
    return Entry(number, first, last, Counts(*counts), dict(rules), confirmed, notes=notes, kind=kind)
