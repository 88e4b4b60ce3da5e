"""From a partition to a delivery in the database: fetched, frozen, entered, and admitted by its columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from etl_assets import landing
from etl_assets.errors import ShapeError
from etl_assets.extract.file import FileExtractor
from etl_assets.postgres.connection import connected
from etl_assets.postgres.faults import translating
from etl_assets.postgres.ledger import deliveries
from etl_assets.validate import resolve

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.partitions import Partition
    from etl_assets.source import Source
    from etl_assets.validate import Shape


@dataclass(frozen=True)
class Landed:
    """What a fetch brought.

    Attributes:
        delivery: The delivery, new or known.
        new: Whether its bytes differ from what the partition's newest delivery held.
    """

    delivery: Delivery
    new: bool


def land(source: Source, partition: Partition, warehouse: Warehouse, file: str | None = None) -> Landed:
    """Fetch and freeze what the publisher has for a partition, and enter it as a delivery.

    Args:
        source: The declaration.
        partition: The partition wanted.
        warehouse: Where the bytes are kept.
        file: Take this file, brought by hand, in the place of what the publisher has; it is a delivery like any other.

    Raises:
        DeliveryError: If there is nothing to take, or not whole. Nothing was written.
        LoadError: If the database broke off. The bytes are kept, and are the same delivery when they come again.
    """
    extractor = source.extractor
    if file is not None:
        extractor = FileExtractor(location=file, format=extractor.format, member=extractor.member)
    manifest = landing.land(extractor, partition, warehouse.store)
    if file is not None:
        manifest = replace(manifest, validators={})  # the publisher did not say it
    with translating(f"entering a delivery of {source.name}"), connected(warehouse.url) as connection:
        delivery, new = deliveries.record(connection, source.name, partition, manifest)
    return Landed(delivery, new)


def admit(source: Source, delivery: Delivery, warehouse: Warehouse) -> Shape:
    """Hold the columns of a landed delivery against the schema.

    Raises:
        ShapeError: If a required column is missing. The bytes are kept, the delivery is refused, no row was written.
        LoadError: If the database broke off.
    """
    try:
        return resolve(source.schema, delivery.manifest.names, str(delivery))
    except ShapeError as error:
        with translating(f"refusing {delivery}"), connected(warehouse.url) as connection:
            deliveries.refuse(connection, delivery, str(error))
        raise
