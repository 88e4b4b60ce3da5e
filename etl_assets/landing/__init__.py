"""Landing: fetched bytes are frozen under their SHA-256, indexed into batches, and read back from there only."""

from etl_assets.landing.land import batches, first_batch, index, land, members_of
from etl_assets.landing.store import LandingStore
from etl_assets.landing.warehouse import Warehouse

__all__ = ["LandingStore", "Warehouse", "batches", "first_batch", "index", "land", "members_of"]
