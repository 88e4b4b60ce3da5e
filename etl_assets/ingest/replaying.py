"""Replays quarantined records, corrected or as they came, with the current schema and transformer.

The path is that of any batch, but the records come from the quarantine and not from the landing store.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from etl_assets.ingest.batch import quarantined_batch
from etl_assets.ingest.loading import target_of
from etl_assets.load import ReplayRequest, Target
from etl_assets.load.lookups import Lookups
from etl_assets.model.counts import Counts
from etl_assets.postgres.connection import in_session
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
    """The result of a replay.

    Attributes:
        by_partition: Counts of the records that were replayed, by the key of their partition; ``rejected`` are those
            that still break rules and keep waiting.
        deliveries: How many deliveries the records came from.
    """

    by_partition: Mapping[str, Counts]
    deliveries: int

    @property
    def counts(self) -> Counts:
        """Counts of all records that were replayed."""
        return sum(self.by_partition.values(), Counts())

    @property
    def replayed(self) -> int:
        """How many records left the quarantine."""
        return self.counts.read - self.counts.rejected


def replay(source: Source, warehouse: Warehouse, run_id: str, ids: Sequence[int] | None = None) -> ReplayReport:
    """Replay waiting records of a source.

    Args:
        source: The declaration, as it is now.
        warehouse: Has the quarantine and the table.
        run_id: Id of the run that replays.
        ids: Only these records; all that are open or parked when None.

    Raises:
        BusyError: If a run is loading the partition of a delivery; replays of deliveries before it stay committed.
        LoadError: If the database refuses the records of a delivery; replays of deliveries before it stay committed.
    """
    waiting = in_session(warehouse.url, partial(_by_delivery, source=source, ids=ids))
    counts: defaultdict[str, Counts] = defaultdict(Counts)
    for delivery, records in waiting:
        counts[delivery.partition] += _replay_delivery(source, delivery, records, warehouse, run_id)
    return ReplayReport(dict(counts), len(waiting))


def releasable_ids(source: Source, warehouse: Warehouse) -> list[int]:
    """Return the ids of parked records whose parents have all arrived.

    Args:
        source: The declaration.
        warehouse: Has the quarantine and the parents.
    """
    return in_session(warehouse.url, partial(_find_releasable, source=source))


def _find_releasable(connection: Connection, source: Source) -> list[int]:
    ids: list[int] = []
    lookups = Lookups(Target(source.table, source.schema, source.fingerprint))
    for delivery, parked in _by_delivery(connection, source, statuses=("parked",)):
        rows = quarantined_batch(source, delivery, parked, 0).rows
        orphans = {
            number
            for lookup, missing in lookups.missing_parents(connection, rows)
            if lookup.missing != "report"
            for number in missing
        }
        ids += [record.id for record in parked if record.record_no not in orphans]
    return ids


def _replay_delivery(
    source: Source, delivery: Delivery, records: Sequence[Rejected], warehouse: Warehouse, run_id: str
) -> Counts:
    request = ReplayRequest(
        url=warehouse.url,
        run_id=run_id,
        target=replace(target_of(source, warehouse), max_rejected=1.0),
        delivery=delivery,
        ids=[record.id for record in records],
        make_batch=partial(quarantined_batch, source, delivery),
    )
    return source.loader.replay(request)


def published_correction(source: Source, record: Rejected, changes: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return a correction in the form that the quarantine stores, by published names.

    Args:
        source: The declaration.
        record: The record to correct.
        changes: Column or published name to the text that the publisher should have sent; None for no value.

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
            correction[next((alias for alias in names if alias in published), names[0])] = value
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
    """Return waiting records grouped by delivery: the oldest delivery first, records by their number."""
    grouped: defaultdict[int, list[Rejected]] = defaultdict(list)
    for record in quarantine.find(connection, source=source.name, statuses=statuses, ids=ids):
        grouped[record.delivery_id].append(record)
    stored = [deliveries.by_id(connection, id_) for id_ in grouped]
    ordered = sorted(filter(None, stored), key=lambda delivery: (delivery.rank, delivery.id))
    return [(delivery, sorted(grouped[delivery.id], key=lambda record: record.record_no)) for delivery in ordered]
