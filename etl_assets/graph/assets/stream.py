"""What `core/x` hands to the IO manager: deliveries that wait, not yet read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from etl_assets import ingest, watch
from etl_assets.errors import DeliveryMissingError, TooManyRejectedError
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries, entries

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets.landing import Warehouse
    from etl_assets.load import LoadReport
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.partitions import Partition
    from etl_assets.source import Source


OnRefusal: TypeAlias = "Callable[[Delivery, TooManyRejectedError], None]"


@dataclass
class Stream:
    """Every pending delivery of a source partition, loaded when someone asks for it.

    Attributes:
        source: The declaration.
        partition: Which deliveries.
        run_id: Of the run that loads them.
        force: Whether to read the newest delivery anew though it is complete.
        batches: Numbers of the only batches of the newest delivery to be read anew; none for no such wish.
        on_refusal: Told of a delivery that breaks too many rules, before the error goes on.
        reports: What became of the deliveries, oldest first; empty until they are loaded. Their counts and rules are
            those of the whole delivery even when there was nothing to do.
    """

    source: Source
    partition: Partition
    run_id: str
    force: bool
    batches: tuple[int, ...]
    on_refusal: OnRefusal
    reports: list[LoadReport] = field(default_factory=list)

    def load(self, warehouse: Warehouse) -> None:
        """Load the deliveries, oldest first, after concluding what an earlier run loaded and left there.

        Raises:
            DeliveryMissingError: If nothing was ever landed.
            EtlAssetsError: What `ingest.load` raises; deliveries before it stand.
        """
        with connected(warehouse.url) as connection:
            for delivery in deliveries.unconcluded(connection, self.source.name, self.partition.key):
                watch.conclude(connection, self.source, delivery)
            pending = deliveries.pending(connection, self.source.name, self.partition.key)
        if not pending:
            raise DeliveryMissingError(
                f"Nothing was ever landed of source {self.source.name!r} for {self.partition}. Nothing was written. "
                f"Materialize landing/{self.source.name} first."
            )
        self.reports.clear()
        for delivery in pending:
            batches = self.batches if delivery is pending[-1] else ()
            try:
                report = ingest.load(self.source, delivery, warehouse, self.run_id, force=self.force, batches=batches)
            except TooManyRejectedError as error:
                self.on_refusal(delivery, error)
                raise
            with connected(warehouse.url) as connection:
                watch.conclude(connection, self.source, report.delivery)
            self.reports.append(_whole(report, warehouse))


def _whole(report: LoadReport, warehouse: Warehouse) -> LoadReport:
    """A report with what the ledger says of the delivery, where the loader had nothing to do."""
    if report.status != "unchanged":
        return report
    with connected(warehouse.url) as connection:
        counts, rules = entries.add_up(entries.find(connection, report.delivery))
    return replace(report, counts=counts, rules=rules)
