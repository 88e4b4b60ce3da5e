"""What the database knows of deliveries: counts, runs, causes of rejection, and everything that is about them.

Each function reads several deliveries with one statement, for the pages show several of each table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from psycopg.rows import class_row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import LiteralString

    from etl_assets.postgres.connection import Connection

    T = TypeVar("T")

_RUNS: Final = (
    "SELECT delivery_id, run_id FROM etl.batch WHERE delivery_id = ANY (%(ids)s) "
    "UNION SELECT delivery_id, run_id FROM etl.run WHERE delivery_id = ANY (%(ids)s)"
)
"""The runs that have entries of each delivery, or ended with it; the results of its checks are theirs."""
_MOST: Final = 50
"""So many runs, changes, alerts and checks of one delivery are read at most."""


class Facts(NamedTuple):
    """A delivery, as it is entered; ``batches`` is how many its index has."""

    id: int
    source: str
    partition: str
    status: str
    generation: int
    fingerprint: str
    needs_reload: bool
    sha256: str
    size: int
    records: int
    batches: int
    name: str
    origin: str
    validators: dict[str, str]
    notes: list[str]
    fetched_at: datetime
    completed_at: datetime | None
    refusal: str | None
    previous: int | None
    next: int | None


class Counts(NamedTuple):
    """What the ledger counts of one kind of entries of the current generation; see `Entry`."""

    delivery_id: int
    kind: str
    entries: int
    read: int
    rejected: int
    filtered: int
    accepted: int
    produced: int
    inserted: int
    updated: int
    unchanged: int
    duplicate: int
    expired: int
    deleted: int
    skipped: int

    @property
    def add_up(self) -> bool:
        """Whether every record and every row is counted exactly once."""
        written = self.inserted + self.updated + self.unchanged + self.duplicate + self.expired
        return self.read == self.rejected + self.filtered + self.accepted and self.produced == written


class Number(NamedTuple):
    """How many records of a delivery are under one name: a status, or a rule."""

    delivery_id: int
    name: str
    records: int


class Run(NamedTuple):
    """A run of the delivery's partition that loaded it, or ended with it."""

    delivery_id: int
    run_id: str
    status: str
    attempt: int
    step: str
    started_at: datetime
    ended_at: datetime | None
    error_class: str | None


class Change(NamedTuple):
    """A change of what is published that a delivery opened or closed, without the names that it is about."""

    delivery_id: int
    id: int
    kind: str
    status: str
    opened: bool


class AlertOf(NamedTuple):
    """An alert about a delivery."""

    delivery_id: int
    id: int
    rule: str
    severity: str
    status: str
    summary: str


class Check(NamedTuple):
    """The newest result of a check of a delivery."""

    delivery_id: int
    name: str
    passed: bool
    blocking: bool
    failed_records: int
    at: datetime


class Correction(NamedTuple):
    """How many records of a delivery a person has corrected, and how many of these corrections count."""

    delivery_id: int
    reviewer: str
    records: int
    counting: int
    last_at: datetime


def newest_first(connection: Connection, source: str, limit: int | None = None) -> list[tuple[int, str]]:
    """Return the ids of the deliveries of a source with their partitions, the newest first."""
    return connection.execute(
        "SELECT id, partition FROM etl.delivery WHERE source = %s ORDER BY rank DESC, id DESC LIMIT %s", (source, limit)
    ).fetchall()


def facts(connection: Connection, ids: Sequence[int]) -> list[Facts]:
    """Return deliveries by their ids, each with the ids of its neighbours in the order of its source."""
    return _fetch(
        connection,
        Facts,
        "SELECT d.id, source, partition, status, generation, fingerprint, needs_reload, sha256, size, records, "
        "(SELECT coalesce(sum(jsonb_array_length(m -> 'spans')), 0)::int FROM "
        "jsonb_array_elements(manifest -> 'members') m) AS batches, manifest ->> 'name' AS name, "
        "manifest ->> 'origin' AS origin, coalesce(manifest -> 'validators', '{}') AS validators, "
        "coalesce(manifest -> 'notes', '[]') AS notes, fetched_at, completed_at, refusal, "
        "(SELECT o.id FROM etl.delivery o WHERE o.source = d.source AND (o.rank, o.id) < (d.rank, d.id) "
        "ORDER BY o.rank DESC, o.id DESC LIMIT 1) AS previous, "
        "(SELECT o.id FROM etl.delivery o WHERE o.source = d.source AND (o.rank, o.id) > (d.rank, d.id) "
        "ORDER BY o.rank, o.id LIMIT 1) AS next FROM etl.delivery d WHERE d.id = ANY (%(ids)s) "
        "ORDER BY array_position(%(ids)s::bigint[], d.id)",
        ids,
    )


def counts(connection: Connection, ids: Sequence[int]) -> list[Counts]:
    """Return what the ledger counts of each delivery, by kind of entry."""
    sums = ", ".join(f"sum(b.{name})::bigint AS {name}" for name in Counts._fields[3:])
    return _fetch(
        connection,
        Counts,
        f"SELECT b.delivery_id, b.kind, count(*)::int AS entries, {sums} FROM etl.batch b JOIN etl.delivery d "
        "ON d.id = b.delivery_id AND d.generation = b.generation WHERE b.delivery_id = ANY (%(ids)s) "
        "GROUP BY 1, 2 ORDER BY 1, 2",
        ids,
    )


def rejected_by_status(connection: Connection, ids: Sequence[int]) -> list[Number]:
    """Return how many records of each delivery are in the quarantine, by status."""
    return _fetch(
        connection,
        Number,
        "SELECT delivery_id, status AS name, count(*) AS records FROM etl.rejected WHERE delivery_id = ANY (%(ids)s) "
        "GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2",
        ids,
    )


def rejected_by_rule(connection: Connection, ids: Sequence[int]) -> list[Number]:
    """Return how many records of each delivery broke each rule, whatever became of them; one may break several."""
    return _fetch(
        connection,
        Number,
        "SELECT delivery_id, rule AS name, count(*) AS records FROM etl.rejected CROSS JOIN unnest(rules) rule "
        "WHERE delivery_id = ANY (%(ids)s) GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2",
        ids,
    )


def runs(connection: Connection, ids: Sequence[int]) -> list[Run]:
    """Return the runs that have entries of each delivery, or ended with it, the oldest first."""
    return _fetch(
        connection,
        Run,
        "SELECT o.delivery_id, r.run_id, r.status, r.attempt, r.step, r.started_at, r.ended_at, r.error_class "
        f"FROM ({_RUNS}) o "
        "JOIN etl.delivery d ON d.id = o.delivery_id JOIN etl.run r ON r.run_id = o.run_id "
        "AND r.source = d.source AND r.partition = d.partition ORDER BY r.id DESC "
        f"LIMIT {_MOST} * cardinality(%(ids)s)",
        ids,
    )[::-1]


def changes(connection: Connection, ids: Sequence[int]) -> list[Change]:
    """Return the changes of what is published that each delivery opened or closed."""
    return _fetch(
        connection,
        Change,
        "SELECT first_delivery AS delivery_id, id, kind, status, true AS opened FROM etl.drift "
        "WHERE first_delivery = ANY (%(ids)s) UNION ALL SELECT closed_delivery, id, kind, status, false FROM etl.drift "
        f"WHERE closed_delivery = ANY (%(ids)s) ORDER BY 2, 5 DESC LIMIT {_MOST} * cardinality(%(ids)s)",
        ids,
    )


def alerts(connection: Connection, ids: Sequence[int]) -> list[AlertOf]:
    """Return the alerts about each delivery."""
    return _fetch(
        connection,
        AlertOf,
        "SELECT delivery_id, id, rule, severity, status, summary FROM etl.alert WHERE delivery_id = ANY (%(ids)s) "
        f"ORDER BY id LIMIT {_MOST} * cardinality(%(ids)s)",
        ids,
    )


def checks(connection: Connection, ids: Sequence[int]) -> list[Check]:
    """Return the newest result of each check of each delivery; those that failed first."""
    return _fetch(
        connection,
        Check,
        "SELECT * FROM (SELECT DISTINCT ON (delivery_id, name) delivery_id, name, passed, blocking, failed_records, at "
        f"FROM ({_RUNS}) o JOIN etl.check_result USING (run_id, delivery_id) ORDER BY delivery_id, name, id DESC) c "
        f"ORDER BY delivery_id, passed, name LIMIT 10 * {_MOST} * cardinality(%(ids)s)",
        ids,
    )


def deleted(connection: Connection, ids: Sequence[int]) -> list[Number]:
    """Return how many rows were deleted because each delivery no longer had their key."""
    return _fetch(
        connection,
        Number,
        "SELECT deleted_by AS delivery_id, 'deleted' AS name, count(*) AS records FROM etl.deletion "
        "WHERE deleted_by = ANY (%(ids)s) GROUP BY 1",
        ids,
    )


def corrections(connection: Connection, ids: Sequence[int]) -> list[Correction]:
    """Return how many records of each delivery each person has corrected."""
    return _fetch(
        connection,
        Correction,
        "SELECT delivery_id, coalesce(reviewer, '') AS reviewer, count(*) AS records, "
        "count(*) FILTER (WHERE correction_counts) AS counting, max(reviewed_at) AS last_at FROM etl.rejected "
        "WHERE delivery_id = ANY (%(ids)s) AND correction IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2",
        ids,
    )


def _fetch(connection: Connection, class_: type[T], query: LiteralString, ids: Sequence[int]) -> list[T]:
    values: dict[str, Any] = {"ids": list(ids)}
    with connection.cursor(row_factory=class_row(class_)) as cursor:
        return cursor.execute(query, values).fetchall()
