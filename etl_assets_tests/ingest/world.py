"""A publisher's folder, a source that reads it, and a warehouse: the complete ingest without Dagster."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from etl_assets import doctor, ingest, watch
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.landing import LandingStore, Warehouse
from etl_assets.load import PostgresLoader
from etl_assets.load.transaction import BatchTransaction
from etl_assets.model.partitions import Files
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import decisions, deliveries, quarantine
from etl_assets.schema import Column, Schema
from etl_assets.source import Source

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.extract.base import Extractor, Format
    from etl_assets.load import LoadReport
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.ledger.entries import Entry

GOODS = Schema(
    columns=(
        Column("code", "text", required=True, pattern="[a-z]+"),
        Column("amount", "integer", minimum=0),
        Column("note", "text"),
    ),
    key=("code",),
)


def ending_after(batches: int) -> type[BatchTransaction]:
    """Return a transaction with which a load ends, as if it were interrupted, after it has committed some batches."""

    class Ending(BatchTransaction):
        left = batches

        def write_entry(self, entry: Entry) -> None:
            if type(self).left == 0:
                raise KeyboardInterrupt
            type(self).left -= 1
            super().write_entry(entry)

    return Ending


@dataclass
class World:
    """One source: by default of a single file; with ``files``, each file is a partition."""

    url: str
    folder: Path
    schema: Schema = GOODS
    name: str = "goods"
    max_rejected: float = 1.0
    files: bool = False
    format: Format = field(default_factory=lambda: Csv(batch_bytes=4096))
    more: dict[str, Any] = field(default_factory=dict)
    extractor: Extractor | None = None

    @property
    def source(self) -> Source:
        return Source(
            name=self.name,
            description="Goods in stock.",
            owner="team:tests",
            extractor=self.extractor
            or FileExtractor(
                location=str(self.folder / self.name / ("*.csv" if self.files else "goods.csv")),
                format=self.format,
                settle_seconds=0,
            ),
            schema=self.schema,
            partitions=Files() if self.files else None,
            max_rejected=self.max_rejected,
            **self.more,
        )

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.url, LandingStore(str(self.folder / "landing")))

    def publish(self, *lines: str | bytes, file: str = "goods.csv", header: str = "code,amount,note") -> None:
        """Put a file where the source reads it."""
        path = self.folder / self.name / file
        path.parent.mkdir(exist_ok=True)
        body = [line if isinstance(line, bytes) else line.encode() for line in (header, *lines)]
        path.write_bytes(b"\n".join(body) + b"\n")

    def land(self, file: str | None = None) -> ingest.Landed:
        """Land what is published, and check its columns as a run does."""
        source = self.source
        landed = ingest.land(source, source.partition(file if self.files else None), self.warehouse)
        watch.observe_delivery(source, landed.delivery, self.warehouse)
        ingest.admit(source, landed.delivery, self.warehouse)
        return landed

    def load(self, delivery: Delivery, transaction: type[BatchTransaction] = BatchTransaction) -> LoadReport:
        with connected(self.url) as connection:
            delivery = deliveries.by_id(connection, delivery.id) or delivery
        source = replace(self.source, loader=PostgresLoader(transaction=transaction))
        return ingest.load(source, delivery, self.warehouse, "run")

    def take(self, *lines: str | bytes, file: str = "goods.csv", header: str = "code,amount,note") -> LoadReport:
        """Publish, land and load."""
        self.publish(*lines, file=file, header=header)
        return self.load(self.land(file).delivery)

    def take_bytes(self, data: bytes) -> LoadReport:
        """Publish a file, land and load."""
        path = self.folder / self.name / "goods.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return self.load(self.land().delivery)

    def rows(self) -> list[tuple[Any, ...]]:
        return self.query(f"SELECT {', '.join(self.schema.names)} FROM core.{self.name} ORDER BY {self.schema.key[0]}")

    def query(self, question: str) -> list[tuple[Any, ...]]:
        with connected(self.url) as connection:
            return connection.execute(question.encode()).fetchall()

    def waiting(self) -> list[quarantine.Rejected]:
        with connected(self.url) as connection:
            return quarantine.find(connection, source=self.name)

    def correct(self, record: quarantine.Rejected, **changes: str | None) -> None:
        correction = ingest.published_correction(self.source, record, changes)
        with connected(self.url) as connection:
            decisions.correct(connection, record.id, correction, "ada", None)

    def replay(self, *ids: int) -> ingest.ReplayReport:
        return ingest.replay(self.source, self.warehouse, "replay", list(ids) or None)

    def violations(self) -> list[str]:
        """Return the violations that the doctor finds, also by reading every delivery again."""
        sources = [self.source]
        found = doctor.examine(self.warehouse, sources) + doctor.reread(self.warehouse, sources).violations
        return [f"{violation.invariant}: {violation.subject} {violation.problem}" for violation in found]

    def other(self, **changes: Any) -> World:
        """Return the same source with another declaration."""
        return replace(self, **changes)
