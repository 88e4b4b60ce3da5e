"""A feed in memory for tests of the loader: it enters deliveries directly and makes batches from typed rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import polars as pl

from etl_assets.load import LoadRequest, PostgresLoader, Target
from etl_assets.load.transaction import BatchTransaction
from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES, Batch, RawBatch
from etl_assets.model.delivery import Manifest, MemberIndex, Span
from etl_assets.model.partitions import Partition
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.schema import RECORD_NO, Column, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.load import Loader, LoadReport
    from etl_assets.load.base import OpenBatches
    from etl_assets.model.delivery import Delivery

    Row = tuple[Any, ...]

STOCK = Schema(
    columns=(Column("code", "text", required=True), Column("amount", "integer"), Column("note", "text")),
    key=("code",),
)
_NO_REJECTED: dict[str, Any] = {REJECTED_RECORD_NO: pl.Int64, REJECTED_RULES: pl.List(pl.String)}


class TypedBatch(RawBatch):
    """A batch whose rows the test provides; rejected records are only numbers."""

    def __init__(self, span: Span, rows: pl.DataFrame, schema: Schema) -> None:
        self.span = span
        self.names = schema.names
        self._rows = rows

    @property
    def frame(self) -> pl.DataFrame:
        return self._rows.with_columns(pl.col(self.names).cast(pl.String))

    @property
    def malformed(self) -> pl.DataFrame:
        return pl.DataFrame(schema=_NO_REJECTED)

    def raw(self, record_no: int) -> bytes:
        return f"record {record_no}".encode()

    def location(self, record_no: int) -> str:
        return f":{record_no + 1}"


@dataclass
class Feed:
    """The deliveries of one source, and the loader that loads them."""

    url: str
    schema: Schema = STOCK
    source: str = "stock"
    max_rejected: float = 1.0
    transaction: type[BatchTransaction] = BatchTransaction
    fingerprint: str = "f1"
    loader: Loader | None = None
    open: OpenBatches | None = None
    _sent: dict[int, list[Batch]] = field(default_factory=dict)

    @property
    def table(self) -> str:
        return f"core.{self.source}"

    def send(
        self,
        *batches: Sequence[Row],
        partition: str = "",
        rejected: Mapping[int, Sequence[str]] | None = None,
        filtered: int = 0,
    ) -> Delivery:
        """Enter a delivery. Each batch is a list of rows; record numbers continue, rejected records have no row."""
        sent, first = list[Batch](), 1
        for number, rows in enumerate(batches, start=1):
            broken = {n: r for n, r in (rejected or {}).items() if number == 1 or n >= first}
            broken = {n: r for n, r in broken.items() if n < first + len(rows) + len(broken)}
            sent.append(self.batch(number, first, rows, broken, filtered if number == 1 else 0))
            first += sent[-1].read
        content = repr((batches, rejected, filtered))
        spans = tuple(batch.span for batch in sent)
        manifest = Manifest(
            sha256(content.encode()).hexdigest(),
            len(content),
            "stock.csv",
            "memory",
            members=(MemberIndex("", len(content), self.schema.names, spans),),
        )
        with connected(self.url) as connection:
            delivery, _ = deliveries.record(connection, self.source, Partition(partition, partition), manifest)
        self._sent[delivery.id] = sent
        return delivery

    def load(self, delivery: Delivery, *, force: bool = False, run_id: str = "run") -> LoadReport:
        with connected(self.url) as connection:
            delivery = deliveries.by_id(connection, delivery.id) or delivery
        target = Target(self.table, self.schema, self.fingerprint, self.max_rejected)
        opened = self.open or (lambda skip: iter([b for b in self.batches(delivery) if b.span.batch not in skip]))
        request = LoadRequest(self.url, run_id, target, delivery, opened, force=force)
        return (self.loader or PostgresLoader(transaction=self.transaction)).load(request)

    def take(self, *batches: Sequence[Row], **how: Any) -> LoadReport:
        """Send a delivery and load it."""
        return self.load(self.send(*batches, **how))

    def rows(self) -> list[Row]:
        """Return the rows of the table, ordered by key."""
        names = ", ".join(self.schema.names)
        with connected(self.url) as connection:
            return connection.execute(
                f"SELECT {names} FROM {self.table} ORDER BY {', '.join(self.schema.key)}"
            ).fetchall()

    def query(self, question: str) -> list[Row]:
        with connected(self.url) as connection:
            return connection.execute(question.encode()).fetchall()

    def batches(self, delivery: Delivery) -> list[Batch]:
        """Return the batches of a delivery that was sent."""
        return self._sent[delivery.id]

    def batch(
        self, number: int, first: int, rows: Sequence[Row], broken: Mapping[int, Sequence[str]], filtered: int = 0
    ) -> Batch:
        """Return a batch from a record number on: first filtered records, then rows; broken records have no row."""
        records = len(rows) + len(broken) + filtered
        span = Span(number, "", 0, 0, first, records, first + 1)
        numbers = [n for n in range(first + filtered, first + records) if n not in broken]
        types: dict[str, Any] = {column.name: column.type.polars for column in self.schema.columns}
        frame = pl.DataFrame(list(rows), schema=types, orient="row").with_columns(
            pl.Series(RECORD_NO, numbers, dtype=pl.Int64)
        )
        rejected = pl.DataFrame(
            {REJECTED_RECORD_NO: list(broken), REJECTED_RULES: [list(r) for r in broken.values()]}, schema=_NO_REJECTED
        )
        return Batch(TypedBatch(span, frame, self.schema), frame, rejected, filtered)
