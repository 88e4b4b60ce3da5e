"""A landed delivery into its table, batch by batch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from etl_assets.ingest.batches import profiled
from etl_assets.ingest.newer_sightings import seen_later
from etl_assets.landing import index
from etl_assets.load import Target

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse
    from etl_assets.load import Loader, LoadReport
    from etl_assets.model.delivery import Delivery
    from etl_assets.source import Source


def load(source: Source, delivery: Delivery, warehouse: Warehouse, loader: Loader) -> LoadReport:
    """Load what is missing of a delivery.

    Args:
        source: Its declaration.
        delivery: From `land`.
        warehouse: Where its bytes are.
        loader: Writes its batches.
    """
    if delivery.fingerprint not in {"", source.fingerprint}:
        delivery = replace(delivery, manifest=index(source.extractor, warehouse.store, delivery.manifest))
    target = Target(
        table=source.table,
        schema=source.schema,
        fingerprint=source.fingerprint,
        max_rejected=source.max_rejected,
        look_later=partial(seen_later, source, delivery, warehouse),
    )
    return loader.load(target, delivery, partial(profiled, source, delivery.manifest, warehouse.store))
