"""Quarantined records again, corrected or as they came, through the current schema and transformer.

The same way as `ingest`'s, with the quarantine in the place of the landing store.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from etl_assets.ingest.batch import quarantined
from etl_assets.ingest.loading import target_of
from etl_assets.load import ReplayRequest, Target
from etl_assets.load.lookups import Lookups
from etl_assets.model.counts import Counts
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries, quarantine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.landing import Warehouse
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.source import Source


@dataclass(frozen=True)
class ReplayReport:
    """What a replay did.

    Attributes:
        counts: Of the records taken: ``rejected`` are those that still break rules and wait on.
        deliveries: How many deliveries the records came from.
    """

    counts: Counts
    deliveries: int

    @property
    def replayed(self) -> int:
        """How many records left the quarantine."""
        return self.counts.read - self.counts.rejected


def replay(source: Source, warehouse: Warehouse, run_id: str, ids: Sequence[int] | None = None) -> ReplayReport:
    """Replay waiting records of a source.

    Args:
        source: The declaration, as it is now.
        warehouse: Has the quarantine and the table.
        run_id: Of the run that replays.
        ids: Only these records; all that are open or parked when None.

    Raises:
        BusyError: If a run is loading a partition concerned; replays of partitions before it stand.
        LoadError: If the database refuses; replays of deliveries before it stand.
    """
    with connected(warehouse.url) as connection:
        waiting = _by_delivery(connection, source, ids=ids)
    counts = Counts()
    for delivery, records in waiting:
        counts += _replay_delivery(source, delivery, records, warehouse, run_id)
    return ReplayReport(counts, len(waiting))


def releasable(source: Source, warehouse: Warehouse) -> list[int]:
    """Ids of parked records whose parents have all arrived.

    Args:
        source: The declaration.
        warehouse: Has the quarantine and the parents.
    """
    found: list[int] = []
    target = Target(source.table, source.schema, source.fingerprint)
    with connected(warehouse.url) as connection:
        lookups = Lookups(target)
        for delivery, parked in _by_delivery(connection, source, statuses=("parked",)):
            rows = quarantined(source, delivery, parked, 0).rows
            lonely = {
                number
                for lookup, missing in lookups.missing_parents(connection, rows)
                if lookup.missing != "report"
                for number in missing
            }
            found += [record.id for record in parked if record.record_no not in lonely]
    return found


def _replay_delivery(
    source: Source, delivery: Delivery, records: Sequence[Rejected], warehouse: Warehouse, run_id: str
) -> Counts:
    request = ReplayRequest(
        url=warehouse.url,
        run_id=run_id,
        target=replace(target_of(source, delivery, warehouse), max_rejected=1.0),
        delivery=delivery,
        ids=[record.id for record in records],
        make_batch=partial(quarantined, source, delivery),
    )
    return source.loader.replay(request)


def published_correction(source: Source, record: Rejected, changes: Mapping[str, str | None]) -> dict[str, str | None]:
    """A correction as the quarantine keeps it, by published names.

    Args:
        source: The declaration.
        record: To be corrected.
        changes: Column or published name to the text the publisher should have sent; None for no value.

    Raises:
        ValueError: If a name is neither a column nor a published name.
    """
    published = record.fields or {}
    correction: dict[str, str | None] = {}
    for name, value in changes.items():
        if name in published:
            correction[name] = value
        elif name in source.schema.names and not source.schema[name].derived:
            names = source.schema[name].published_names
            correction[next((known for known in names if known in published), names[0])] = value
        else:
            raise ValueError(f"{name!r} is neither a column of source {source.name!r} nor a name it publishes")
    return correction


def _by_delivery(
    connection: Connection,
    source: Source,
    *,
    statuses: Sequence[str] = ("open", "parked"),
    ids: Sequence[int] | None = None,
) -> list[tuple[Delivery, list[Rejected]]]:
    """Waiting records, by the delivery they came in; the oldest delivery first, records in their order."""
    grouped: defaultdict[int, list[Rejected]] = defaultdict(list)
    for rejected in quarantine.find(connection, source=source.name, statuses=statuses, ids=ids):
        grouped[rejected.delivery_id].append(rejected)
    known = [deliveries.by_id(connection, id_) for id_ in grouped]
    ordered = sorted(filter(None, known), key=lambda delivery: (delivery.rank, delivery.id))
    return [(delivery, sorted(grouped[delivery.id], key=lambda r: r.record_no)) for delivery in ordered]
