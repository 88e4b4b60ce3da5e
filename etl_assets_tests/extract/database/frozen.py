"""What an extractor of a database freezes, as tests look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from etl_assets import Partition
from etl_assets.landing.land import batches, land
from etl_assets.landing.store import LandingStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from etl_assets import DatabaseExtractor
    from etl_assets.model.delivery import Manifest

WHOLE = Partition()


@dataclass(frozen=True)
class Frozen:
    """A landed delivery.

    Attributes:
        manifest: Its manifest.
        records: Its records: published name to text.
        types: The kinds of values that its columns have.
        malformed: Numbers of the records that cannot be read.
    """

    manifest: Manifest
    records: Sequence[Mapping[str, Any]]
    types: Mapping[str, str]
    malformed: Sequence[int]

    def column(self, name: str) -> list[Any]:
        return [record[name] for record in self.records]

    @property
    def state(self) -> dict[str, Any]:
        return self.manifest.state


def freeze(
    extractor: DatabaseExtractor,
    folder: Path,
    state: Mapping[str, Any] | None = None,
    partition: Partition = WHOLE,
) -> Frozen:
    """Land a partition, and read it back."""
    extractor.check("source 'x'")
    store = LandingStore(str(folder / "landing"))
    manifest = land(extractor, partition, store, state)
    read = list(batches(extractor, store, manifest))
    records = [
        {name: value for name, value in row.items() if name != "_record_no"}
        for batch in read
        for row in batch.frame.to_dicts()
    ]
    malformed = [number for batch in read for number in batch.malformed.get_column("record_no")]
    return Frozen(manifest, records, dict(read[0].types) if read else {}, malformed)


def schema_of(extractor: DatabaseExtractor, partition: Partition = WHOLE) -> pa.Schema:
    """Return the schema of the frozen file."""
    with extractor.fetch(partition) as fetched:
        return pq.read_schema(fetched.stream)
