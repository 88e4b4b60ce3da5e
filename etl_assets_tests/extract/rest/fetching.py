"""Lands what an API has, and returns the records."""

from __future__ import annotations

from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from etl_assets import Http, Json, Partition, RestExtractor
from etl_assets.landing import LandingStore, batches, land
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.model.delivery import Manifest

NEARBY = Http(private=True, wait=0.01)
"""An API on this machine."""


@dataclass(frozen=True)
class Landed:
    """A delivery, and its records: published name to text."""

    manifest: Manifest
    records: list[dict[str, Any]]
    locations: list[str]
    raws: list[bytes]

    @property
    def ids(self) -> list[int]:
        return [int(record["id"]) for record in self.records]


def extractor(url: str, **arguments: Any) -> RestExtractor:
    """Return an extractor for an API on this machine, whose records are at ``$.items``."""
    given = {"access": NEARBY, "format": Json("$.items"), **arguments}
    made = RestExtractor(given.pop("format"), url, **given)
    made.check("source 'x'")
    return made


def landed(
    extractor: RestExtractor, partition: Partition | None = None, state: Mapping[str, Any] | None = None
) -> Landed:
    """Land a partition, and read all its records."""
    with TemporaryDirectory() as folder:
        store = LandingStore(folder)
        manifest = land(extractor, partition or Partition(), store, state)
        records, locations, raws = [], [], []
        for batch in batches(extractor, store, manifest):
            records += batch.frame.drop(RECORD_NO).to_dicts()
            numbers = batch.frame.get_column(RECORD_NO).to_list()
            locations += [batch.location(number) for number in numbers]
            raws += [batch.raw(number) for number in numbers]
    return Landed(manifest, records, locations, raws)
