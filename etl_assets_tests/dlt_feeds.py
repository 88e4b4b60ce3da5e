"""Fetches of resources of dlt, and a source of one with its warehouse, for tests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from etl_assets import DltExtractor, Source, doctor, ingest, watch
from etl_assets.landing import LandingStore, Warehouse
from etl_assets.model.partitions import Partition
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from etl_assets import Schema
    from etl_assets.model.delivery import Delivery

    Make = Callable[[], Any]


@dataclass
class Fetch:
    """What a fetch brought."""

    data: bytes
    state: dict[str, Any]
    origin: str
    name: str
    notes: list[str]
    statistics: dict[str, float]

    @property
    def records(self) -> list[Any]:
        return [json.loads(line) for line in self.data.splitlines() if line]


def fetch(make: Callable[..., Any], state: Mapping[str, Any] | None = None, **declared: Any) -> Fetch:
    """Fetch a resource, with the state of an earlier fetch if there is one."""
    return fetch_by(DltExtractor(make, **declared), state)


def fetch_by(
    extractor: DltExtractor, state: Mapping[str, Any] | None = None, partition: Partition | None = None
) -> Fetch:
    """Fetch by an extractor."""
    partition = partition or Partition()
    fetching = extractor.fetch_since(partition, state) if state else extractor.fetch(partition)
    with fetching as fetched:
        data = fetched.stream.read()
    return Fetch(data, fetched.state, fetched.origin, fetched.name, fetched.notes, fetched.statistics)


def yielding(*items: Any, name: str = "things") -> Make:
    """Return a function that makes a resource which yields some items."""

    def make() -> Any:
        import dlt

        return dlt.resource(lambda: iter(items), name=name)

    return make


@dataclass
class Feed:
    """A source of a resource, and its warehouse."""

    url: str
    folder: Path
    extractor: DltExtractor
    schema: Schema
    name: str = "feed"
    runs: list[Delivery] = field(default_factory=list)

    @property
    def source(self) -> Source:
        return Source(
            name=self.name,
            description="A resource of dlt.",
            owner="team:tests",
            extractor=self.extractor,
            schema=self.schema,
        )

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.url, LandingStore(str(self.folder / "landing")))

    def run(self, *, full: bool = False) -> dict[str, Any]:
        """Fetch and load as a run does; returns the state that was kept with the delivery."""
        source = self.source
        landed = ingest.land(source, source.partition(None), self.warehouse, full=full)
        watch.observe_delivery(source, landed.delivery, self.warehouse)
        ingest.admit(source, landed.delivery, self.warehouse)
        self.runs.append(landed.delivery)
        with connected(self.url) as connection:
            waiting = deliveries.deliveries_to_load(connection, source.name, "")
        for delivery in waiting:
            ingest.load(source, delivery, self.warehouse, "run")
        return landed.delivery.manifest.state

    def state(self) -> dict[str, Any] | None:
        """The state with which the next fetch would begin."""
        with connected(self.url) as connection:
            return deliveries.last_state(connection, self.name, "")

    def drift(self) -> int:
        """The number of changes that were found in the feed."""
        with connected(self.url) as connection:
            (number,) = connection.execute("SELECT count(*) FROM etl.drift").fetchone() or (0,)
        return int(number)

    def violations(self) -> list[str]:
        """The violations that the doctor finds, also by reading every delivery again."""
        sources = [self.source]
        found = doctor.examine(self.warehouse, sources) + doctor.reread(self.warehouse, sources).violations
        return [f"{violation.invariant}: {violation.subject} {violation.problem}" for violation in found]

    def rows(self) -> list[tuple[Any, ...]]:
        statement = f"SELECT {', '.join(self.schema.names)} FROM core.{self.name} ORDER BY {', '.join(self.schema.key)}"
        with connected(self.url) as connection:
            return connection.execute(statement.encode()).fetchall()
