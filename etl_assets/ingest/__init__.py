"""The way of a record: landed, read, validated, transformed, loaded; and the same way again from the quarantine.

Knows neither Dagster nor SQL: it asks the stages, and ``postgres`` for what was delivered before.
"""

from etl_assets.ingest.batch import batches
from etl_assets.ingest.landing import Landed, admit, land
from etl_assets.ingest.loading import load
from etl_assets.ingest.replaying import ReplayReport, published_correction, releasable, replay

__all__ = [
    "Landed",
    "ReplayReport",
    "admit",
    "batches",
    "land",
    "load",
    "published_correction",
    "releasable",
    "replay",
]
