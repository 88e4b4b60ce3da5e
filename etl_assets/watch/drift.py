"""Drift with memory: each delivery is held against the one before it, and what changed stands until it is closed.

Here live the two looks at a delivery, at its names when it has landed and at its cells when its batches have passed,
and what a person decides about an event. What counts as a change is ``validate``'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from etl_assets import alerts
from etl_assets.landing import batches
from etl_assets.model.drift import CELL_KINDS, STRUCTURE_KINDS, Published
from etl_assets.postgres.connection import connected
from etl_assets.postgres.faults import translating
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.watch import drift_events as memory
from etl_assets.watch.cell_changes import amended, cell_changes, taken_back
from etl_assets.watch.cell_changes import declared_since as cells_declared
from etl_assets.watch.cell_samples import from_json
from etl_assets.watch.column_changes import changes, first_changes
from etl_assets.watch.column_changes import declared_since as names_declared
from etl_assets.watch.proposals import proposal
from etl_assets.watch.renames import likeness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import polars as pl

    from etl_assets.landing import Warehouse
    from etl_assets.model.alert import AlertRule
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.drift import Change, DriftEvent, DriftStatus, Observation, Values
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema
    from etl_assets.source import Source
    from etl_assets.watch.cell_samples import ColumnCells

HISTORY: Final = 8
"""Deliveries that the cells of one after them are held against, at most."""
LIKENESS_RECORDS: Final = 4096
"""Records of a delivery that the likenesses of its columns are made of, at most."""
HASHES: Final = 64
"""Hashes of a column's values that are remembered, at most: the smallest, so that of the same values the same are."""


@dataclass(frozen=True)
class Drift:
    """What came of looking at a delivery.

    Attributes:
        opened: Events that it brought. Among them are some that are closed already: those that were foreseen
            (``accepted``), and, of a delivery that came late, those that the next one takes back (``resolved``).
        closed: Events of other deliveries that it took back.
    """

    opened: tuple[DriftEvent, ...] = ()
    closed: tuple[DriftEvent, ...] = ()

    def __add__(self, other: Drift) -> Drift:
        return Drift(self.opened + other.opened, self.closed + other.closed)

    @property
    def unforeseen(self) -> tuple[DriftEvent, ...]:
        """The events it brought that somebody must look at."""
        return tuple(event for event in self.opened if event.status == "open")


def observe_delivery(source: Source, delivery: Delivery, warehouse: Warehouse) -> Drift:
    """Compare the published names of a landed delivery with those of the one before it; see `observe_names`.

    Raises:
        LoadError: If the database broke off. Nothing was written; it is compared when it is landed again.
    """

    def sample() -> pl.DataFrame:
        first = frozenset(span.batch for span in delivery.manifest.spans[:1])
        return next(iter(batches(source.extractor, warehouse.store, delivery.manifest, first))).frame

    with translating(f"comparing {delivery} with those before it"), connected(warehouse.url) as connection:
        return observe_names(connection, source, delivery, sample)


def observe_names(
    connection: Connection, source: Source, delivery: Delivery, sample: Callable[[], pl.DataFrame]
) -> Drift:
    """Hold the published names of a delivery against those of the one before it, in a transaction of its own.

    A delivery that was looked at before brings nothing. Open events that the declaration has come to provide for are
    accepted.

    Args:
        connection: In autocommit.
        source: The declaration.
        delivery: Has landed; it may be about to be refused.
        sample: Gives records of its first batch, String columns by published name. Called once, when the delivery is
            new and has records.
    """
    _accept_declared(connection, source, lambda event: names_declared(source.schema, event.change))
    if memory.observed(connection, delivery):
        return Drift()
    records = sample().head(LIKENESS_RECORDS) if delivery.manifest.spans else None
    with connection.transaction():
        memory.lock_source(connection, source.name)
        if memory.observed(connection, delivery):
            return Drift()
        drift = _compare_names(connection, source, delivery, records)
        _alert(connection, source, delivery, drift)
    return drift


def observe_cells(connection: Connection, source: Source, delivery: Delivery, cells: Mapping[str, Any]) -> Drift:
    """Hold the cells of a delivery against those of deliveries before it, in a transaction of its own.

    A delivery that is read anew is remembered as it looks now, and brings nothing. Open events that the declaration has
    come to provide for are accepted.

    Args:
        connection: In autocommit.
        source: The declaration.
        delivery: Every batch of it has passed.
        cells: From `cell_samples.merge`.
    """
    drift, looks = Drift(), from_json(cells)
    with connection.transaction():
        memory.lock_source(connection, source.name)
        if not memory.observed(connection, delivery):
            drift = _compare_names(connection, source, delivery, None)
        if not memory.looked_into(connection, delivery):
            drift += _compare_cells(connection, source, delivery, cells)
        else:
            _accept_declared(connection, source, lambda event: _cells_fit(source.schema, event, delivery, looks))
        memory.remember_cells(connection, delivery, cells)
        _alert(connection, source, delivery, drift)
    return drift


def open_events(connection: Connection, source: str) -> list[DriftEvent]:
    """The open events of a source, oldest first."""
    return memory.find(connection, source=source)


def facts(events: Iterable[DriftEvent]) -> list[dict[str, Any]]:
    """Events as rows for whoever looks: names, deliveries and proposals; nothing that a cell holds."""
    return [
        {
            "id": event.id,
            "kind": event.change.kind,
            "subject": event.change.subject,
            "replacement": event.change.replacement,
            "blocking": event.change.blocking,
            "since delivery": event.first_delivery,
            "last delivery": event.last_delivery,
            "proposal": event.change.proposal,
        }
        for event in events
    ]


def accept(
    connection: Connection, rules: Sequence[AlertRule], id_: int, reviewer: str, note: str | None = None
) -> DriftEvent:
    """Close an event: what is published now is normal, and taking it back would be a change.

    Args:
        connection: In autocommit.
        rules: The alert rules of the event's source.
        id_: Of the event.
        reviewer: Who decided.
        note: Why.

    Raises:
        DriftError: If the event is not open.
    """
    return _review(connection, rules, id_, "accepted", reviewer, note)


def ignore(
    connection: Connection, rules: Sequence[AlertRule], id_: int, reviewer: str, note: str | None = None
) -> DriftEvent:
    """Close an event for good: neither this change nor its taking back is told again. Otherwise like `accept`."""
    return _review(connection, rules, id_, "ignored", reviewer, note)


def _accept_declared(connection: Connection, source: Source, provided: Callable[[DriftEvent], bool]) -> None:
    """Accept the open events that the declaration provides for by now."""
    if not any(provided(event) for event in open_events(connection, source.name)):
        return
    with connection.transaction():
        memory.lock_source(connection, source.name)
        for event in open_events(connection, source.name):
            if provided(event):
                accept(connection, source.alert_rules, event.id, memory.THE_DECLARATION, "declared since")


def _cells_fit(schema: Schema, event: DriftEvent, delivery: Delivery, looks: Mapping[str, ColumnCells]) -> bool:
    """Whether an event of cells is over because the delivery that last had it was read under a new declaration."""
    of_delivery = event.change.kind in CELL_KINDS and event.last_delivery == delivery.id
    return of_delivery and cells_declared(schema, event.change, looks)


def _review(
    connection: Connection, rules: Sequence[AlertRule], id_: int, status: DriftStatus, reviewer: str, note: str | None
) -> DriftEvent:
    with connection.transaction():
        for found in memory.find(connection, ids=[id_]):
            memory.lock_source(connection, found.source)
        event = memory.review(connection, id_, status, reviewer, note)
        first = deliveries.by_id(connection, event.first_delivery)
        partition = first.partition if first is not None else ""
        alerts.of_drift(connection, rules, event.source, partition, (), (event,))
    return event


def _alert(connection: Connection, source: Source, delivery: Delivery, drift: Drift) -> None:
    rules, partition = source.alert_rules, delivery.partition
    alerts.of_drift(connection, rules, source.name, partition, drift.unforeseen, drift.closed)


def _compare_names(connection: Connection, source: Source, delivery: Delivery, sample: pl.DataFrame | None) -> Drift:
    """Compare with the delivery before, remember what was published, write the events."""
    schema = source.schema
    now = Published(delivery.manifest.names, _likenesses(schema, delivery.manifest.names, sample))
    baseline = memory.before(connection, delivery)
    standing = memory.standing(connection, delivery, STRUCTURE_KINDS)
    if baseline is None:
        found = first_changes(schema, now)
    else:
        found = changes(schema, baseline.published, now, [event.change for event in standing])
    if source.extractor.format.naming == "union":
        found = [change for change in found if change.kind != "reordered"]
    remembered = {} if baseline is None else baseline.published.values
    memory.remember(connection, delivery, _to_keep(schema, now, remembered))
    told = {change.identity for change in found}
    undone = [event for event in standing if event.change.inverse in told]
    decimal = source.extractor.format.decimal
    proposed = [replace(change, proposal=proposal(schema, change, sample, decimal)) for change in found]

    def back(change: Change, later: Observation) -> bool:
        return change.inverse in {each.identity for each in changes(schema, now, later.published, [change])}

    return _write(connection, delivery, _Comparison(proposed, standing, undone, back))


def _compare_cells(connection: Connection, source: Source, delivery: Delivery, cells: Mapping[str, Any]) -> Drift:
    """Compare with the deliveries before, write the events."""
    schema = source.schema
    now = from_json(cells)
    earlier = [from_json(told) for told in memory.cells_before(connection, delivery, HISTORY)]
    standing = memory.standing(connection, delivery, CELL_KINDS)
    undone = [event for event in standing if taken_back(schema, event.change, now)]
    former = {event.change.slot: event.change for event in standing if event not in undone}
    found = [
        amended(former[change.slot], change) if change.slot in former and not change.foreseen else change
        for change in cell_changes(schema, earlier, now)
    ]
    proposed = [replace(change, proposal=proposal(schema, change)) for change in found]

    def back(change: Change, later: Observation) -> bool:
        return later.cells is not None and taken_back(schema, change, from_json(later.cells))

    return _write(connection, delivery, _Comparison(proposed, standing, undone, back))


@dataclass(frozen=True)
class _Comparison:
    """What a comparison found.

    Attributes:
        found: The changes.
        standing: Open events that the delivery may take back.
        undone: Those of them that it does take back.
        back: Whether a later delivery takes back a change of this one.
    """

    found: Sequence[Change]
    standing: Sequence[DriftEvent]
    undone: Sequence[DriftEvent]
    back: Callable[[Change, Observation], bool]


def _write(connection: Connection, delivery: Delivery, comparison: _Comparison) -> Drift:
    """Close what was taken back, open what is new, and move on what stands."""
    closed = memory.resolve(connection, delivery.id, comparison.undone)
    standing = [event for event in comparison.standing if event not in comparison.undone]
    memory.seen_again(connection, delivery, standing)
    amendable = {event.id for event in standing}
    held = {event.change.slot: event for event in open_events(connection, delivery.source)}
    later = memory.after(connection, delivery)
    brought = [] if later is None else memory.find(connection, first_delivery=later.delivery_id)
    brought_later = {event.change.identity: event for event in brought}
    opened: list[DriftEvent] = []
    for change in _unreported(connection, delivery, comparison):
        of_its_own = change.foreseen and change.kind in CELL_KINDS
        known = (None if of_its_own else held.get(change.slot)) or brought_later.get(change.identity)
        if known is None:
            opened.append(memory.enter(connection, delivery, change))
        elif change.kind in CELL_KINDS and known.id in amendable:
            memory.amend(connection, known, change)
        else:
            memory.seen_earlier(connection, delivery, known)
    if later is not None:
        gone = [event for event in opened if event.status == "open" and comparison.back(event.change, later)]
        resolved = {event.id: event for event in memory.resolve(connection, later.delivery_id, gone)}
        opened = [resolved.get(event.id, event) for event in opened]
    return Drift(tuple(opened), tuple(closed))


def _unreported(connection: Connection, delivery: Delivery, comparison: _Comparison) -> list[Change]:
    """The changes that neither take an open event back nor were ignored."""
    ignored = memory.find(connection, source=delivery.source, statuses=("ignored",))
    silent = {event.change.inverse for event in (*comparison.undone, *ignored)}
    silent |= {event.change.identity for event in ignored}
    return [change for change in comparison.found if change.identity not in silent]


def _likenesses(schema: Schema, names: Sequence[str], sample: pl.DataFrame | None) -> dict[str, Values]:
    """Likenesses of the columns that are not sensitive."""
    if sample is None:
        return {}
    secret = _sensitive(schema)
    return {name: found for name in names if name not in secret and (found := likeness(sample.get_column(name)))}


def _to_keep(schema: Schema, now: Published, remembered: Mapping[str, Values]) -> Published:
    """What is remembered of a delivery: for a column without values, what was remembered of it before.

    Where some column is sensitive, a name that the declaration does not know may be that column's new one: its values
    are not remembered.
    """
    secret = _sensitive(schema)
    known = {name for column in schema.published for name in column.published_names} | {*schema.ignored}
    kept = {name for name in now.names if name not in secret and (not secret or name in known)}
    values = {**remembered, **now.values}
    return Published(now.names, {name: value.shortened(HASHES) for name, value in values.items() if name in kept})


def _sensitive(schema: Schema) -> frozenset[str]:
    """The published names of sensitive columns."""
    return frozenset(name for column in schema.published if column.sensitive for name in column.published_names)
