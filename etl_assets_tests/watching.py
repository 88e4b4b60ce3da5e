"""Freezes deliveries of a source and observes their drift, without loading them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from etl_assets.landing import batches, land
from etl_assets.postgres.ledger import deliveries
from etl_assets.watch import cell_samples, drift

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets.landing import Warehouse
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import Delivery, Manifest
    from etl_assets.model.drift import Change, DriftEvent
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source
    from etl_assets.watch.drift import Drift


@dataclass
class Watch:
    """Observes the drift of deliveries of one source.

    Attributes:
        source: The declaration.
        warehouse: Keeps the deliveries.
        connection: A connection to its database.
        reads: How often the first batch was read.
    """

    source: Source
    warehouse: Warehouse
    connection: Connection
    reads: int = field(default=0, init=False)

    def poll(self, key: str | None = None, *, cells: bool = True) -> Drift:
        """Freeze what the publisher has for a partition, and return the drift of its names and, if asked, its cells."""
        delivery = self.delivered(key)
        of_names = self.observe_names(delivery)
        return of_names + self.observe_cells(delivery) if cells else of_names

    def delivered(self, key: str | None = None) -> Delivery:
        """Freeze and record the delivery of a partition, and return it."""
        partition = self.source.partition(key)
        manifest = land(self.source.extractor, partition, self.warehouse.store)
        delivery, _ = deliveries.record(self.connection, self.source.name, partition, manifest)
        return delivery

    def observe_names(self, delivery: Delivery) -> Drift:
        """Observe the names of a delivery and return their drift."""
        return drift.observe_names(
            self.connection, self.source, delivery, partial(self._first_batch, delivery.manifest)
        )

    def observe_cells(self, delivery: Delivery) -> Drift:
        """Observe the cells of a delivery and return their drift."""
        raw = batches(self.source.extractor, self.warehouse.store, delivery.manifest)
        cells = cell_samples.merge(cell_samples.observe(self.source.schema, batch) for batch in raw)
        return drift.observe_cells(self.connection, self.source, delivery, cells)

    def open_changes(self) -> list[Change]:
        """Return the open changes, oldest first."""
        return [event.change for event in self.open_events()]

    def open_events(self) -> list[DriftEvent]:
        return drift.open_events(self.connection, self.source.name)

    def accept(self, events: Iterable[DriftEvent]) -> None:
        for event in events:
            drift.accept(self.connection, self.source.alert_rules, event.id, "ada", "seen")

    def ignore(self, events: Iterable[DriftEvent]) -> None:
        for event in events:
            drift.ignore(self.connection, self.source.alert_rules, event.id, "ada", "noise")

    def _first_batch(self, manifest: Manifest) -> RawBatch:
        self.reads += 1
        first = manifest.spans[0].batch
        (batch,) = batches(self.source.extractor, self.warehouse.store, manifest, {first})
        return batch


def slots(events: Iterable[DriftEvent]) -> list[tuple[str, str, str]]:
    """Return kind, subject and replacement of each event."""
    return [event.change.slot for event in events]
