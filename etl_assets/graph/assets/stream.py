"""The output of `core/x` for the IO manager: the pending deliveries, not yet read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from etl_assets import ingest, watch
from etl_assets.errors import BusyError, DeliveryMissingError, TooManyRejectedError
from etl_assets.graph.assets import metadata
from etl_assets.graph.runs.retries import retried_errors
from etl_assets.graph.shares import HAND_OUT
from etl_assets.model.counts import Counts
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.ledger import deliveries, entries

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from etl_assets.graph.runs.run_record import RunRecord
    from etl_assets.landing import Warehouse
    from etl_assets.load import LoadReport
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.partitions import Partition
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source


OnRefusal: TypeAlias = "Callable[[Delivery, TooManyRejectedError], None]"


@dataclass
class Stream:
    """All pending deliveries of a source partition; `load` loads them.

    Attributes:
        source: The declaration.
        partition: The partition of the deliveries.
        run_id: Id of the run that loads them.
        force: Whether to reload the newest delivery even if it is complete.
        batches: Numbers of the batches of the newest delivery to reload; empty if all of it is loaded as usual.
        on_refusal: Called with a delivery that has too many rejected records, before the error is raised again.
        accept_deletes: Whether a person consents to the deletion of any number of rows.
        reports: The reports of the pending deliveries, oldest first; empty until they are loaded. Their counts and
            rules are those of the whole delivery, even when there was nothing to do.
        reloaded: The reports of the other deliveries, of this partition or another, that were stale.
    """

    source: Source
    partition: Partition
    run_id: str
    force: bool
    batches: tuple[int, ...]
    on_refusal: OnRefusal
    accept_deletes: bool = False
    reports: list[LoadReport] = field(default_factory=list)
    reloaded: list[LoadReport] = field(default_factory=list)

    @property
    def touched(self) -> dict[str, Counts]:
        """Counts of what was written in other partitions, by their keys."""
        counts: defaultdict[str, Counts] = defaultdict(Counts)
        for report in self.reloaded:
            if report.delivery.partition != self.partition.key:
                counts[report.delivery.partition] += report.written
        return dict(counts)

    def load(self, warehouse: Warehouse) -> None:
        """Load the pending deliveries, oldest first, then reload the stale ones.

        Before that, conclude the deliveries that an earlier run loaded and left.

        Raises:
            DeliveryMissingError: If no delivery was ever landed.
            EtlAssetsError: Any error of `ingest.load`; the deliveries before it stay loaded.
        """
        pending = in_session(warehouse.url, self._pending)
        if not pending:
            raise DeliveryMissingError(
                f"Nothing was ever landed of source {self.source.name!r} for {self.partition}. Nothing was written. "
                f"Materialize landing/{self.source.name} first."
            )
        self.reports.clear()
        self.reloaded.clear()
        for delivery in pending:
            batches = self.batches if delivery is pending[-1] else ()
            report = self._load_one(delivery, warehouse, batches, force=self.force)
            self.reports.append(_with_ledger_counts(report, warehouse))
        self._reload_stale(warehouse)

    def _load_one(
        self, delivery: Delivery, warehouse: Warehouse, batches: tuple[int, ...] = (), *, force: bool = False
    ) -> LoadReport:
        try:
            report = ingest.load(
                self.source,
                delivery,
                warehouse,
                self.run_id,
                force=force,
                batches=batches,
                accept_deletes=self.accept_deletes,
                hand_out=HAND_OUT.get(),
            )
        except TooManyRejectedError as error:
            self.on_refusal(delivery, error)
            raise
        in_session(warehouse.url, partial(watch.conclude, source=self.source, delivery=report.delivery))
        return report

    def _reload_stale(self, warehouse: Warehouse) -> None:
        """Reload the stale deliveries of the partition, newest first, then those of other partitions.

        Newest first, each is reloaded once: what a newer one no longer yields is still missing when an older one is
        read. Those of other partitions wait until every delivery was read under the declaration, for the same reason.
        """
        busy = set[str]()
        while (delivery := self._next_stale(warehouse, busy)) is not None:
            try:
                self.reloaded.append(self._load_one(delivery, warehouse))
            except BusyError:
                if delivery.partition == self.partition.key:
                    raise
                busy.add(delivery.partition)  # its own run, or the next one of the source, reloads it

    def _next_stale(self, warehouse: Warehouse, busy: Collection[str]) -> Delivery | None:
        fingerprint = self.source.fingerprint
        find = partial(deliveries.stale, source=self.source.name, fingerprint=fingerprint)
        stale = in_session(warehouse.url, find)
        own = [delivery for delivery in stale if delivery.partition == self.partition.key]
        others = [delivery for delivery in stale if delivery.partition not in busy]
        if not own and any(delivery.fingerprint != fingerprint for delivery in stale):
            return None
        return next(iter([*own, *others]), None)

    def _pending(self, connection: Connection) -> list[Delivery]:
        """Conclude the deliveries that an earlier run loaded and left; return those that wait to be loaded."""
        for delivery in deliveries.deliveries_to_conclude(connection, self.source.name, self.partition.key):
            watch.conclude(connection, self.source, delivery)
        return deliveries.deliveries_to_load(connection, self.source.name, self.partition.key)


def load_stream(stream: Stream, warehouse: Warehouse, record: RunRecord, tries: int) -> metadata.Metadata:
    """Load a stream in a step, and return the metadata of what was loaded.

    Args:
        stream: The pending deliveries.
        warehouse: Where they are loaded.
        record: Of the step.
        tries: How often Dagster has tried the step before.
    """
    with record.entering_errors(retried_errors(tries)):
        stream.load(warehouse)
        table, name = stream.source.table, stream.source.name
        return in_session(
            warehouse.url, lambda session: metadata.loaded(session, table, name, stream.partition, stream.reports)
        )


def _with_ledger_counts(report: LoadReport, warehouse: Warehouse) -> LoadReport:
    """Return the report; if the loader had nothing to do, with the delivery's counts and rules from the ledger."""
    if report.status != "unchanged":
        return report
    counts, rules = entries.sum_entries(in_session(warehouse.url, partial(entries.find_all, delivery=report.delivery)))
    return replace(report, counts=counts, rules=rules)
