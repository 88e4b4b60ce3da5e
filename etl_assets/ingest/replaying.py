"""Replays quarantined records, corrected or as they came, with the current schema and transformer.

The path is that of any batch, but the records come from the quarantine and not from the landing store.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from etl_assets.errors import EtlAssetsError
from etl_assets.ingest.batch import quarantined_batch
from etl_assets.ingest.loading import target_of
from etl_assets.load import ReplayRequest, Target
from etl_assets.load.lookups import Lookups
from etl_assets.model.counts import Counts
from etl_assets.model.text import nearest_text
from etl_assets.postgres.connection import connected, in_session
from etl_assets.postgres.faults import translating
from etl_assets.postgres.ledger import deliveries, quarantine, replays

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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


def replay(
    source: Source, warehouse: Warehouse, run_id: str, ids: Sequence[int] | None = None, *, page: int = replays.PAGE
) -> ReplayReport:
    """Replay waiting records of a source, in pages: each is committed before the next one is read.

    Args:
        source: The declaration, as it is now.
        warehouse: Has the quarantine and the table.
        run_id: Id of the run that replays.
        ids: Only these records; when None, all that are open or parked, but for those that may have been cut and are
            not corrected.
        page: The largest number of records of one transaction.

    Raises:
        BusyError: If a run is loading the partition of a delivery; pages before stay committed, as the text says.
        LoadError: If the database refuses the records of a page; pages before stay committed, as the text says.
    """
    counts: defaultdict[str, Counts] = defaultdict(Counts)
    touched: set[int] = set()
    pages = 0
    try:
        with connected(warehouse.url) as connection, translating(f"reading the quarantine of {source.name}"):
            for delivery, page_ids in _pages(connection, source, quarantine.WAITING, ids, page):
                counts[delivery.partition] += _replay_page(source, delivery, page_ids, warehouse, run_id)
                touched.add(delivery.id)
                pages += 1
    except EtlAssetsError as error:
        if pages:
            error.args = (f"{error} {_kept(pages, ReplayReport(counts, 0).counts)}", *error.args[1:])
        raise
    return ReplayReport(dict(counts), len(touched))


def _kept(pages: int, counts: Counts) -> str:
    """Return what stays of a replay that an error ended."""
    transactions = "1 transaction" if pages == 1 else f"{pages} transactions"
    return f"The replay had committed {transactions} with {counts.read} records before, which stay; replay again."


def releasable_ids(source: Source, warehouse: Warehouse, *, page: int = replays.PAGE) -> list[int]:
    """Return the ids of parked records whose parents have all arrived.

    Args:
        source: The declaration.
        warehouse: Has the quarantine and the parents.
        page: The largest number of records in memory.
    """
    return in_session(warehouse.url, partial(_find_releasable, source=source, page=page))


def _find_releasable(connection: Connection, source: Source, page: int) -> list[int]:
    ids: list[int] = []
    lookups = Lookups(Target(source.table, source.schema, source.fingerprint))
    for delivery, page_ids in _pages(connection, source, ("parked",), None, page):
        parked = replays.read(connection, page_ids)
        rows = quarantined_batch(source, delivery, parked, 0).rows
        orphans = {
            number
            for lookup, missing in lookups.missing_parents(connection, rows)
            if lookup.missing != "report"
            for number in missing
        }
        ids += [record.id for record in parked if record.record_no not in orphans]
    return ids


def _replay_page(source: Source, delivery: Delivery, ids: Sequence[int], warehouse: Warehouse, run_id: str) -> Counts:
    request = ReplayRequest(
        url=warehouse.url,
        run_id=run_id,
        target=replace(target_of(source, warehouse), max_rejected=1.0),
        delivery=delivery,
        ids=ids,
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
        ValueError: If a name is neither a column nor a published name; or if the record could not be parsed, so that
            none of its values is known, and its first correction lacks a column.
    """
    columns = {alias: column for column in source.schema.columns for alias in column.published_names}
    columns |= {column.name: column for column in source.schema.columns if not column.derived}
    published = record.fields or {}
    correction: dict[str, str | None] = {}
    for name, value in changes.items():
        if name in published:
            correction[name] = value
        elif name in columns:
            names = columns[name].published_names
            correction[next((alias for alias in names if alias in published), names[0])] = value
        else:
            hint = nearest_text(name, [*columns, *published])
            raise ValueError(f"{name!r} is neither a column of source {source.name!r} nor a name it publishes{hint}")
    of_format = {rule.name for rule in source.extractor.frozen_format.rules}
    if record.fields is not None or record.correction is not None or of_format.isdisjoint(record.rules):
        return correction
    given = {columns[name].name for name in correction}
    lacking = [column.name for column in source.schema.columns if not column.derived and column.name not in given]
    if lacking:
        raise ValueError(
            f"Record {record.id} could not be parsed, so that none of its values is known, and these columns would be "
            f"empty: {', '.join(lacking)}. Give each of them a value, or --null"
        )
    return {name: value for name, value in correction.items() if value is not None}


def _pages(
    connection: Connection, source: Source, statuses: Sequence[str], ids: Sequence[int] | None, size: int
) -> Iterator[tuple[Delivery, list[int]]]:
    """Yield the ids of records, page by page: the oldest delivery first, its records by their number."""
    if size < 1:
        raise ValueError(f"A page of {size} records is too small. Nothing was replayed. Write 1 or more.")
    stored = [deliveries.by_id(connection, id_) for id_ in replays.delivery_ids(connection, source.name, statuses, ids)]
    for delivery in sorted(filter(None, stored), key=lambda delivery: (delivery.rank, delivery.id)):
        for page in replays.pages(connection, delivery.id, statuses, ids, size=size):
            yield delivery, page
