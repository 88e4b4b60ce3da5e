"""Reads deliveries of a source again from their frozen bytes, as a reload would, and compares them with the database.

The database compares rows. Of each batch, `batch_checks` compares what was rejected, and what the ledger counts. Rules
that depend on other rows, such as references, are not evaluated again.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from etl_assets import ingest, landing
from etl_assets.doctor.batch_checks import effective_rows, entry_problem, rejected_problems
from etl_assets.doctor.frozen_bytes import BYTES_ARE_FROZEN, MANIFESTS_DESCRIBE_BYTES
from etl_assets.doctor.sample import sample
from etl_assets.errors import DeliveryError
from etl_assets.load import PostgresLoader
from etl_assets.load.prepare import hash_seed, row_hashes
from etl_assets.postgres.ledger import deliveries, entries, retention
from etl_assets.postgres.ledger.invariants import BY_HAND, Invariant
from etl_assets.postgres.ledger.rereading import any_replayed, loaded_deliveries, rejected_now
from etl_assets.postgres.tables.comparison import Compared, Comparison, Order
from etl_assets.postgres.tables.ddl import is_comparable
from etl_assets.postgres.tables.record_comparison import RecordComparison
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    import polars as pl

    from etl_assets.landing import Warehouse
    from etl_assets.model.batch import Batch
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.invariants import Violation
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.postgres.tables.comparison import Found
    from etl_assets.source import Source

    AnyComparison: TypeAlias = Comparison | RecordComparison

ROWS_ARE_AS_READ: Final = Invariant(
    "rows_are_as_read",
    "Every row of a table is what the newest valid record of its key yields, and has the mark of such a record",
    "Somebody changed the table, a correction or a delivery by hand: `etl-assets rebuild NAME --verify` shows what, "
    "and `etl-assets rebuild NAME --swap` puts it right",
)
REJECTED_ARE_AS_READ: Final = Invariant(
    "rejected_are_as_read",
    "The quarantine has the records that break rules when they are read again, with these rules and their bytes",
    BY_HAND,
)
ENTRIES_ARE_AS_READ: Final = Invariant(
    "entries_are_as_read",
    "A ledger entry counts what its batch yields when it is read again",
    BY_HAND,
)
OF_READING: Final = (ROWS_ARE_AS_READ, REJECTED_ARE_AS_READ, ENTRIES_ARE_AS_READ)


@dataclass
class Extent:
    """How much of a source was read again.

    Attributes:
        source: Name of the source.
        loaded: How many batches the ledger has in the current generations of its deliveries.
        batches: How many of them were read.
        records: How many records these have.
        skipped: Ids of deliveries that cannot be compared: a run is to reload them or to go on with them, their bytes
            cannot be read, the table lacks its key or a column, or a loader of the source's own writes it.
    """

    source: str
    loaded: int = 0
    batches: int = 0
    records: int = 0
    skipped: list[int] = field(default_factory=list)


class SourceReading:
    """Reads deliveries of one source again and compares them.

    Args:
        source: The declaration.
        warehouse: Has the bytes.
        connection: In a transaction with one snapshot, which the caller rolls back.

    Attributes:
        extent: How much was read so far.
        violations: What was found so far.
    """

    def __init__(self, source: Source, warehouse: Warehouse, connection: Connection) -> None:
        self._source = source
        self._store = warehouse.store
        self._connection = connection
        self._seed = hash_seed(source.schema)
        self._kept_from = retention.kept_from(connection, source.name)
        self._loaded = loaded_deliveries(connection, source.name, source.fingerprint)
        ours = isinstance(source.loader, PostgresLoader)
        self._comparable = ours and is_comparable(connection, source.stored_table, source.row_schema, source.extension)
        skipped = [loaded.id for loaded in self._loaded if not (loaded.current and self._comparable)]
        self.extent = Extent(source.name, sum(loaded.batches for loaded in self._loaded), skipped=skipped)
        self.violations: list[Violation] = []
        deletes = source.write.deletes and not source.write.marks
        self._deleting = deliveries.partitions_of_completed(connection, source.name) if deletes else {}

    def read_all(self) -> None:
        """Read every delivery, the oldest first."""
        if not self._comparable:
            return
        comparison = self._open_comparison()
        located: dict[int, int] = {}
        for delivery, order in self._deliveries([loaded.id for loaded in self._loaded]):
            numbers = frozenset(span.batch for span in delivery.manifest.spans)
            compared = self._read(delivery, order, numbers, comparison, with_index=True)
            if compared is not None:
                located[delivery.id] = compared.own + compared.changed.rows
        self._check_marks(comparison, located)
        self._check_newest(comparison)

    def read_some(self, budget: int, today: date) -> int:
        """Read a sample. It finds less: what is wrong with a mark shows only when all deliveries are read.

        Args:
            budget: How many bytes may be read.
            today: The sample is another one on each day.

        Returns:
            How many bytes were read.
        """
        current = [loaded.id for loaded in self._loaded if loaded.current]
        if not self._comparable or not current:
            return 0
        comparison = self._open_comparison()
        chosen, read = sample(current, self._delivery, budget, today)
        for delivery, order in self._deliveries(chosen):
            self._read(delivery, order, chosen[delivery.id], comparison)
        return read

    def _open_comparison(self) -> AnyComparison:
        if not self._source.schema.key:
            return RecordComparison(self._connection, self._source.table, self._source.schema)
        hashes = not entries.other_seeds(self._connection, self._source.name, self._seed)
        return Comparison(
            self._connection,
            self._source.writer.keyed_in(self._source.table),
            self._source.row_schema,
            hashes=hashes,
            compared=self._source.writer.compared(self._source.row_schema),
            first_stays=self._source.write.first_stays,
        )

    def _delivery(self, id_: int) -> Delivery | None:
        return deliveries.by_id(self._connection, id_)

    def _deliveries(self, ids: Collection[int]) -> Iterator[tuple[Delivery, Order]]:
        """Yield those of some deliveries that can be compared, the oldest first, each with its place among all."""
        for place, loaded in enumerate(self._loaded):
            if loaded.current and loaded.id in ids and (delivery := self._delivery(loaded.id)) is not None:
                yield delivery, Order(loaded.id, place, [newer.id for newer in self._loaded[place + 1 :]])

    def _read(
        self,
        delivery: Delivery,
        order: Order,
        numbers: frozenset[int],
        comparison: AnyComparison,
        *,
        with_index: bool = False,
    ) -> Compared | None:
        """Read batches of a delivery, by their numbers; return how their rows compare, None if they are unreadable."""
        compared = Compared()
        try:
            if with_index:
                self._check_index(delivery)
            for batch in self._batches(delivery, numbers):
                compared += self._compare(delivery, batch, comparison, order)
        except DeliveryError as error:
            problem = f"cannot be read again from the landing store: {type(error).__name__}"
            self.violations.append(BYTES_ARE_FROZEN.violation(str(delivery), problem))
            self.extent.skipped.append(delivery.id)
            return None
        self._report_rows(delivery, compared.changed, "has {} rows with other contents than records of {} yield")
        if not self._may_be_deleted(delivery, order):
            self._report_rows(delivery, compared.missing, "lacks {} rows that records of {} yield")
        return compared

    def _may_be_deleted(self, delivery: Delivery, order: Order) -> bool:
        """Return whether a newer complete delivery may have deleted rows of this one."""
        of_source = self._source.partition_rule is None and bool(self._source.schema.key)
        partitions = {self._deleting[id_] for id_ in order.newer if id_ in self._deleting}
        return bool(partitions) if of_source else delivery.partition in partitions

    def _batches(self, delivery: Delivery, numbers: frozenset[int]) -> Iterator[Batch]:
        corrected = ingest.corrected_records(delivery, lambda: nullcontext(self._connection))
        skip = frozenset(span.batch for span in delivery.manifest.spans) - numbers
        return ingest.batches(self._source, delivery.partition, delivery.manifest, self._store, skip, corrected)

    def _compare(self, delivery: Delivery, batch: Batch, comparison: AnyComparison, order: Order) -> Compared:
        stored = rejected_now(self._connection, delivery, batch.span)
        for problem in rejected_problems(batch, stored, self._source):
            self._report_batch(REJECTED_ARE_AS_READ, delivery, batch, problem)
        if not any_replayed(self._connection, delivery, batch.span):
            entry = entries.find_batch(self._connection, delivery, batch.span.batch)
            problem = entry_problem(batch, stored, entry, self._source.row_schema) if entry else ""
            if problem:
                self._report_batch(ENTRIES_ARE_AS_READ, delivery, batch, problem)
        records = (batch.span.first_record, batch.span.last_record)
        compared = comparison.compare(self._rows(batch, stored), order, records)
        batch.raw.forget()
        self.extent.batches += 1
        self.extent.records += batch.read
        return compared

    def _rows(self, batch: Batch, stored: list[Rejected]) -> pl.DataFrame:
        """Return the rows of a batch with their hashes; of the rows that a record has for one key, the last one."""
        schema = self._source.row_schema
        rows = effective_rows(batch, stored)
        if self._source.partition_by is not None and self._kept_from is not None:
            rows = rows.filter(self._source.partition_by.is_kept(self._kept_from))
        if self._source.transformer is not None and schema.key:
            rows = rows.sort(schema.order_by, maintain_order=True) if schema.order_by else rows
            rows = rows.unique([*schema.key, RECORD_NO], keep="last", maintain_order=True)
        return rows.with_columns(row_hashes(rows, self._source.writer.compared(schema), self._seed))

    def _check_index(self, delivery: Delivery) -> None:
        """Index the bytes again, and compare the spans with those by which the delivery was read."""
        extractor = self._source.extractor.of_partition(delivery.partition)
        if landing.members_of(extractor, self._store, delivery.manifest) != delivery.manifest.members:
            problem = "has other members or batches in the database than its bytes have"
            self.violations.append(MANIFESTS_DESCRIBE_BYTES.violation(str(delivery), problem))

    def _check_marks(self, comparison: AnyComparison, located: dict[int, int]) -> None:
        """Find rows with the mark of a delivery, none of whose records has their key and that number.

        Args:
            comparison: Has compared all of these deliveries.
            located: By id of a delivery, how many rows of the table have the mark and the key of one of its records.
        """
        marked = comparison.rows_by_delivery()
        for id_, rows in located.items():
            if others := marked.get(id_, 0) - rows:
                problem = f"has {others} rows with marks of {self._delivery(id_)} whose records do not yield their keys"
                self.violations.append(ROWS_ARE_AS_READ.violation(f"table {self._source.table}", problem))

    def _check_newest(self, comparison: AnyComparison) -> None:
        skipped = set(self.extent.skipped)
        unread = [place for place, loaded in enumerate(self._loaded) if loaded.id in skipped]
        for id_, found in comparison.outdated(unread).items():
            delivery = self._delivery(id_)
            self._report_rows(delivery, found, "has {} rows that are older than what records of {} yield")

    def _report_rows(self, delivery: Delivery | None, found: Found, problem: str) -> None:
        if found.rows:
            text = f"{problem.format(found.rows, delivery)}, the first of record {found.first_record}"
            self.violations.append(ROWS_ARE_AS_READ.violation(f"table {self._source.table}", text))

    def _report_batch(self, invariant: Invariant, delivery: Delivery, batch: Batch, problem: str) -> None:
        subject = f"{delivery}, batch {batch.span.batch}"
        self.violations.append(invariant.violation(subject, problem))
