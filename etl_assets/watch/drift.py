"""Drift events: compare each delivery with the one before it, and keep every change open until it is closed.

A delivery is compared twice: its names when it has landed, and its cells when its batches are loaded. This module also
enters what a person decides about an event. Modules `column_changes` and `cell_changes` decide what is a change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from etl_assets import alerts
from etl_assets.landing import first_batch
from etl_assets.model.drift import AMENDED_KINDS, CELL_KINDS, STRUCTURE_KINDS, Published
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.watch import drift_events as memory
from etl_assets.watch.cell_changes import cell_changes, is_undone, merge_changes
from etl_assets.watch.cell_changes import is_declared_now as cells_declared
from etl_assets.watch.cell_samples import from_json
from etl_assets.watch.column_changes import catalogue_changes, changes, file_changes, first_changes
from etl_assets.watch.column_changes import is_declared_now as names_declared
from etl_assets.watch.proposals import propose
from etl_assets.watch.renames import sketch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from etl_assets.landing import Warehouse
    from etl_assets.model.alert import AlertRule
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.drift import Change, DriftEvent, DriftStatus, Observation, Values
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema
    from etl_assets.source import Source
    from etl_assets.watch.cell_samples import ColumnCells

HISTORY: Final = 8
"""Maximum number of earlier deliveries with which the cells of a delivery are compared."""
SKETCH_RECORDS: Final = 4096
"""Maximum number of records from which the sketches of a delivery's columns are made."""
SKETCH_CELLS: Final = 400_000
"""Approximate maximum number of cells from which they are made."""
MOST_HASHES: Final = 64
"""Maximum number of remembered hashes of a column: the smallest ones, so that equal values have equal hashes."""


@dataclass(frozen=True)
class Drift:
    """The drift events that a delivery opened and closed.

    Attributes:
        opened: Events that it brought. Some of them may be closed already: those that were foreseen (``accepted``),
            and, for a delivery that came late, those that the next delivery takes back (``resolved``).
        closed: Events of other deliveries that it took back.
    """

    opened: tuple[DriftEvent, ...] = ()
    closed: tuple[DriftEvent, ...] = ()

    def __add__(self, other: Drift) -> Drift:
        return Drift(self.opened + other.opened, self.closed + other.closed)

    @property
    def unforeseen(self) -> tuple[DriftEvent, ...]:
        """The events that it brought and that a person must review."""
        return tuple(event for event in self.opened if event.status == "open")


def observe_delivery(source: Source, delivery: Delivery, warehouse: Warehouse) -> Drift:
    """Compare the published names of a landed delivery with those of the delivery before; see `observe_names`.

    Raises:
        LoadError: If the database broke off. Nothing was written; the delivery is compared when it is landed again.
    """

    def read_first() -> RawBatch:
        extractor = source.extractor.of_partition(delivery.partition)
        return first_batch(extractor, warehouse.store, delivery.manifest)

    return in_session(
        warehouse.url,
        lambda connection: observe_names(connection, source, delivery, read_first),
        f"comparing {delivery} with those before it",
    )


def observe_names(
    connection: Connection, source: Source, delivery: Delivery, first_batch: Callable[[], RawBatch]
) -> Drift:
    """Compare the published names of a delivery with those of the delivery before, in a transaction of its own.

    For a delivery that was compared before, or has neither names nor records, the result is empty. Open events that the
    declaration now provides for are accepted.

    Args:
        connection: In autocommit.
        source: The declaration.
        delivery: A landed delivery; it may still be refused.
        first_batch: Returns its first batch. Called once, if the delivery is new and has records.
    """
    _accept_declared(connection, source, lambda event: names_declared(source.schema, event.change))
    if not _shows_names(delivery) or memory.names_observed(connection, delivery):
        return Drift()
    records = _first_texts(first_batch(), _records_to_sketch(delivery)) if delivery.manifest.records else None
    with connection.transaction():
        memory.lock_source(connection, source.name)
        if memory.names_observed(connection, delivery):
            return Drift()
        drift = _compare_names(connection, source, delivery, records)
        _alert(connection, source, delivery, drift)
    return drift


def observe_cells(connection: Connection, source: Source, delivery: Delivery, cells: Mapping[str, Any]) -> Drift:
    """Compare the cells of a delivery with those of the deliveries before, in a transaction of its own.

    For a reloaded delivery, the new cells replace the remembered ones, and the result is empty. Of a delivery that has
    neither names nor records, nothing is remembered. Open events that the declaration now provides for are accepted.

    Args:
        connection: In autocommit.
        source: The declaration.
        delivery: A delivery whose batches have all been observed.
        cells: From `cell_samples.merge`.
    """
    drift, columns = Drift(), from_json(cells)
    if not _shows_names(delivery):
        return drift
    with connection.transaction():
        memory.lock_source(connection, source.name)
        names_observed, cells_observed = memory.observed(connection, delivery)
        if not names_observed:
            drift = _compare_names(connection, source, delivery, None)
        if not cells_observed:
            drift += _compare_cells(connection, source, delivery, cells)
        else:
            _accept_declared(connection, source, lambda event: _cells_fit(source.schema, event, delivery, columns))
        memory.remember_cells(connection, delivery, cells)
        _alert(connection, source, delivery, drift)
    return drift


def open_events(connection: Connection, source: str) -> list[DriftEvent]:
    """Return the open events of a source, oldest first."""
    return memory.find(connection, source=source)


def facts(events: Iterable[DriftEvent]) -> list[dict[str, Any]]:
    """Return events as rows to show: names, deliveries and proposals; no contents of cells."""
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
    """Close an event as normal: from now on, taking the change back is a change.

    Args:
        connection: In autocommit.
        rules: The alert rules of the event's source.
        id_: Id of the event.
        reviewer: Who decided.
        note: The reason.

    Raises:
        DriftError: If the event is not open.
    """
    return _review(connection, rules, id_, "accepted", reviewer, note)


def ignore(
    connection: Connection, rules: Sequence[AlertRule], id_: int, reviewer: str, note: str | None = None
) -> DriftEvent:
    """Close an event for good: neither the change nor its inverse is reported again. Otherwise like `accept`."""
    return _review(connection, rules, id_, "ignored", reviewer, note)


def _accept_declared(connection: Connection, source: Source, is_declared: Callable[[DriftEvent], bool]) -> None:
    """Accept the open events that the declaration now provides for."""
    if not any(is_declared(event) for event in open_events(connection, source.name)):
        return
    with connection.transaction():
        memory.lock_source(connection, source.name)
        for event in open_events(connection, source.name):
            if is_declared(event):
                accept(connection, source.alert_rules, event.id, memory.THE_DECLARATION, "declared since")


def _cells_fit(schema: Schema, event: DriftEvent, delivery: Delivery, cells: Mapping[str, ColumnCells]) -> bool:
    """Whether a reload of the last delivery of a cell event shows that the new declaration provides for it."""
    of_delivery = event.change.kind in CELL_KINDS and event.last_delivery == delivery.id
    return of_delivery and cells_declared(schema, event.change, cells)


def _review(
    connection: Connection, rules: Sequence[AlertRule], id_: int, status: DriftStatus, reviewer: str, note: str | None
) -> DriftEvent:
    with connection.transaction():
        for present in memory.find(connection, ids=[id_]):
            memory.lock_source(connection, present.source)
        event = memory.review(connection, id_, status, reviewer, note)
        first = deliveries.by_id(connection, event.first_delivery)
        partition = first.partition if first is not None else ""
        alerts.update_for_drift(connection, rules, event.source, partition, (), (event,))
    return event


def _alert(connection: Connection, source: Source, delivery: Delivery, drift: Drift) -> None:
    rules, partition = source.alert_rules, delivery.partition
    alerts.update_for_drift(connection, rules, source.name, partition, drift.unforeseen, drift.closed)


def _shows_names(delivery: Delivery) -> bool:
    """Return whether a delivery shows which columns are published: records of JSON and XML bring their names."""
    return bool(delivery.manifest.names) or delivery.manifest.records > 0


def _compare_names(connection: Connection, source: Source, delivery: Delivery, sample: pl.DataFrame | None) -> Drift:
    """Compare a delivery's names with the delivery before, remember what was published, write the events."""
    schema = source.schema
    manifest = delivery.manifest
    sketches = _sketches(schema, manifest.names, sample)
    now = Published(manifest.names, sketches, manifest.unterminated > 0, manifest.skipped > 0, manifest.catalogue)
    format_ = source.extractor.frozen_format
    declared = format_.on_unterminated == "report"
    baseline = memory.observation_before(connection, delivery)
    open_before = memory.find_open_before(connection, delivery, STRUCTURE_KINDS)
    if baseline is None:
        found = first_changes(schema, now)
    else:
        found = changes(schema, baseline.published, now, [event.change for event in open_before])
        found += file_changes(baseline.published, now, declared=declared)
        found += catalogue_changes(baseline.published, now)
    if format_.naming == "union":
        found = [change for change in found if change.kind != "reordered"]
    remembered = {} if baseline is None else baseline.published.values
    memory.remember(connection, delivery, _to_remember(schema, now, remembered))
    identities = {change.identity for change in found}
    undone = [event for event in open_before if event.change.inverse in identities]
    found = _with_former(found, _without(open_before, undone))
    proposed = [replace(change, proposal=propose(schema, change, sample, format_.decimal)) for change in found]

    def undone_later(change: Change, later: Observation) -> bool:
        others = [
            *changes(schema, now, later.published, [change]),
            *file_changes(now, later.published, declared=declared),
            *catalogue_changes(now, later.published),
        ]
        return change.inverse in {other.identity for other in others}

    return _write(connection, delivery, _Comparison(proposed, open_before, undone, undone_later))


def _compare_cells(connection: Connection, source: Source, delivery: Delivery, cells: Mapping[str, Any]) -> Drift:
    """Compare a delivery's cells with the deliveries before, write the events."""
    schema = source.schema
    now = from_json(cells)
    earlier = [from_json(past) for past in memory.cells_before(connection, delivery, HISTORY)]
    open_before = memory.find_open_before(connection, delivery, CELL_KINDS)
    undone = [event for event in open_before if is_undone(schema, event.change, now)]
    found = _with_former(cell_changes(schema, earlier, now), _without(open_before, undone))
    proposed = [replace(change, proposal=propose(schema, change)) for change in found]

    def undone_later(change: Change, later: Observation) -> bool:
        return later.cells is not None and is_undone(schema, change, from_json(later.cells))

    return _write(connection, delivery, _Comparison(proposed, open_before, undone, undone_later))


@dataclass(frozen=True)
class _Comparison:
    """The result of comparing a delivery.

    Attributes:
        changes: The changes that it shows.
        open_before: Open events that the delivery may take back.
        undone: The events of `open_before` that it does take back.
        is_undone: Whether a later delivery takes back a change of this delivery.
    """

    changes: Sequence[Change]
    open_before: Sequence[DriftEvent]
    undone: Sequence[DriftEvent]
    is_undone: Callable[[Change, Observation], bool]


def _write(connection: Connection, delivery: Delivery, comparison: _Comparison) -> Drift:
    """Close events that were taken back, open new ones, and move on the last delivery of those that stay open."""
    if not comparison.changes and not comparison.open_before:
        return Drift()
    closed = memory.resolve(connection, delivery.id, comparison.undone)
    still_open = _without(comparison.open_before, comparison.undone)
    memory.move_last_delivery(connection, delivery, still_open)
    amendable = {event.id for event in still_open}
    by_slot = {event.change.slot: event for event in open_events(connection, delivery.source)}
    later = memory.observation_after(connection, delivery)
    of_later = [] if later is None else memory.find(connection, first_delivery=later.delivery_id)
    by_identity = {event.change.identity: event for event in of_later}
    opened: list[DriftEvent] = []
    for change in _changes_to_report(connection, delivery, comparison):
        of_its_own = change.foreseen and change.kind in CELL_KINDS
        known = (None if of_its_own else by_slot.get(change.slot)) or by_identity.get(change.identity)
        if known is None:
            opened.append(memory.enter(connection, delivery, change))
        elif change.kind in AMENDED_KINDS and known.id in amendable:
            memory.amend(connection, known, change)
        else:
            memory.move_first_delivery(connection, delivery, known)
    if later is not None:
        undone = [event for event in opened if event.status == "open" and comparison.is_undone(event.change, later)]
        resolved = {event.id: event for event in memory.resolve(connection, later.delivery_id, undone)}
        opened = [resolved.get(event.id, event) for event in opened]
    return Drift(tuple(opened), tuple(closed))


def _with_former(found: Iterable[Change], open_before: Iterable[DriftEvent]) -> list[Change]:
    """Return changes; one of a column whose open event goes on begins where that event does."""
    former = {event.change.slot: event.change for event in open_before if event.change.kind in AMENDED_KINDS}
    return [
        merge_changes(former[change.slot], change) if change.slot in former and not change.foreseen else change
        for change in found
    ]


def _without(events: Iterable[DriftEvent], others: Iterable[DriftEvent]) -> list[DriftEvent]:
    unwanted = {event.id for event in others}
    return [event for event in events if event.id not in unwanted]


def _changes_to_report(connection: Connection, delivery: Delivery, comparison: _Comparison) -> list[Change]:
    """Return the changes that do not take back an open event and were not ignored."""
    ignored = memory.find(connection, source=delivery.source, statuses=("ignored",))
    unreported = {event.change.inverse for event in (*comparison.undone, *ignored)}
    unreported |= {event.change.identity for event in ignored}
    return [change for change in comparison.changes if change.identity not in unreported]


def _first_texts(batch: RawBatch, most: int) -> pl.DataFrame:
    """Return the text of the first records of a batch."""
    records = min(batch.texts(()).height, most)
    return batch.texts(batch.names, pl.Series(range(records), dtype=pl.UInt32))


def _records_to_sketch(delivery: Delivery) -> int:
    """Return the number of records from which to make sketches: fewer if there are many names."""
    return max(MOST_HASHES, min(SKETCH_RECORDS, SKETCH_CELLS // max(1, len(delivery.manifest.names))))


def _sketches(schema: Schema, names: Sequence[str], sample: pl.DataFrame | None) -> dict[str, Values]:
    """Make sketches of the columns that are not sensitive."""
    if sample is None:
        return {}
    secret = _sensitive_names(schema)
    return {name: values for name in names if name not in secret and (values := sketch(sample.get_column(name)))}


def _to_remember(schema: Schema, now: Published, remembered: Mapping[str, Values]) -> Published:
    """Select what to remember of a delivery; a column without values keeps what was remembered of it before.

    If some column is sensitive, a name that is not declared may be that column's new name: its values are not
    remembered.
    """
    secret = _sensitive_names(schema)
    known = {name for column in schema.published for name in column.published_names} | {*schema.ignored}
    kept = {name for name in now.names if name not in secret and (not secret or name in known)}
    values = {**remembered, **now.values}
    kept_values = {name: value.shortened(MOST_HASHES) for name, value in values.items() if name in kept}
    return replace(now, values=kept_values)


def _sensitive_names(schema: Schema) -> frozenset[str]:
    """Return the published names of sensitive columns."""
    return frozenset(name for column in schema.published if column.sensitive for name in column.published_names)
