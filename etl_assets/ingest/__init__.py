"""The ingest of records: land, read, validate, transform and load them; replay them from the quarantine.

Contains neither Dagster nor SQL: it calls the stages, and ``postgres`` for earlier deliveries.
"""

from etl_assets.ingest.batch import batches, corrected_records
from etl_assets.ingest.key_comparison import compare_keys
from etl_assets.ingest.landing import Landed, admit, find_withdrawn, land
from etl_assets.ingest.loading import load, load_share
from etl_assets.ingest.replaying import ReplayReport, published_correction, releasable_ids, replay
from etl_assets.ingest.retention import drop_expired
from etl_assets.ingest.unchanged import find_standing, looks_unchanged

__all__ = [
    "Landed",
    "ReplayReport",
    "admit",
    "batches",
    "compare_keys",
    "corrected_records",
    "drop_expired",
    "find_standing",
    "find_withdrawn",
    "land",
    "load",
    "load_share",
    "looks_unchanged",
    "published_correction",
    "releasable_ids",
    "replay",
]
