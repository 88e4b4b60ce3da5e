"""Brings a partition into the database as a delivery: fetches, freezes and enters it, and checks its columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from etl_assets import landing
from etl_assets.alerts.commands import run
from etl_assets.errors import DeliveryMissingError, ShapeError
from etl_assets.extract.base import Extractor
from etl_assets.ingest.freed_memory import keep_freed_memory
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.ledger import deliveries, redactions
from etl_assets.postgres.ledger.rebuilt import preview_command
from etl_assets.postgres.runs.due import due_partitions
from etl_assets.validate import resolve

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse
    from etl_assets.model.delivery import Delivery
    from etl_assets.model.partitions import Partition
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source
    from etl_assets.validate import Shape


@dataclass(frozen=True)
class Landed:
    """The result of landing a partition.

    Attributes:
        delivery: The delivery, new or known.
        new: Whether its bytes differ from those of the partition's newest delivery before.
        withdrawn: Whether the publisher no longer has it, so that its frozen bytes are loaded.
    """

    delivery: Delivery
    new: bool
    withdrawn: bool = False


def land(
    source: Source, partition: Partition, warehouse: Warehouse, file: str | None = None, *, full: bool = False
) -> Landed:
    """Fetch and freeze what the publisher has for a partition, and enter it as a delivery.

    Args:
        source: The declaration.
        partition: The partition to fetch.
        warehouse: Where the bytes are kept.
        file: Land this file, provided by hand, instead of what the publisher has; it is a delivery like any other.
        full: Whether an incremental extractor fetches everything, and not what has changed since its last fetch.

    Raises:
        DeliveryError: If there are no bytes, or they are incomplete. Nothing was written.
        LoadError: If the database failed. The bytes are kept; fetched again, they become the same delivery.
    """
    keep_freed_memory()
    extractor = source.extractor if file is None else source.extractor.of_file(file)
    state = None
    if type(extractor).fetch_since is not Extractor.fetch_since and not full:
        state = in_session(
            warehouse.url,
            lambda connection: deliveries.last_state(connection, source.name, partition.key),
            f"looking up where the last fetch of {source.name} ended",
        )
    manifest = landing.land(extractor, partition, warehouse.store, state)
    if file is not None:
        manifest = replace(manifest, validators={})  # they do not come from the publisher
    delivery, new = in_session(
        warehouse.url,
        lambda connection: deliveries.record(connection, source.name, partition, manifest),
        f"entering a delivery of {source.name}",
    )
    if manifest.sha256 == delivery.manifest.fetched_sha256:
        in_session(warehouse.url, partial(_remove_redacted, sha256=manifest.sha256, source=source, warehouse=warehouse))
    return Landed(delivery, new)


def find_withdrawn(
    source: Source, partition: Partition, warehouse: Warehouse, missing: DeliveryMissingError, *, force: bool
) -> Landed:
    """Return the newest delivery of a partition of which the publisher has nothing any more, if it is to be loaded.

    Args:
        source: The declaration.
        partition: The partition.
        warehouse: Where the delivery is kept.
        missing: The error of the fetch.
        force: Whether it is to be loaded even if it is complete.

    Raises:
        DeliveryMissingError: If there never was a delivery, or there is nothing to do with its frozen bytes.
    """

    def find(connection: Connection) -> tuple[Delivery | None, bool]:
        due = due_partitions(connection, source.name, source.fingerprint, source.verdict_fingerprint)
        return deliveries.newest(connection, source.name, partition.key), force or partition.key in due

    delivery, wanted = in_session(warehouse.url, find, f"looking up the frozen deliveries of {source.name}")
    if delivery is None:
        raise missing
    if not wanted:
        command = f"{run(source.name, partition.key)} --force"
        raise DeliveryMissingError(f"{missing} What was delivered stays; to load its frozen bytes again: {command}")
    return Landed(delivery, new=False, withdrawn=True)


def _remove_redacted(connection: Connection, sha256: str, source: Source, warehouse: Warehouse) -> None:
    """Remove the bytes of a fetch from which records were redacted before, unless another delivery has them."""
    if not redactions.is_named(connection, source.name, sha256):
        warehouse.store.remove(sha256)


def admit(source: Source, delivery: Delivery, warehouse: Warehouse) -> Shape:
    """Check the columns of a landed delivery against the schema.

    Raises:
        ShapeError: If a required column, or every one, is missing. The bytes are kept, the delivery is refused, no row
            was written.
        LoadError: If the database failed.
    """
    try:
        return resolve(source.schema, delivery.manifest.names, str(delivery), records=delivery.manifest.records)
    except ShapeError as error:
        reason = f"{error} Try a corrected declaration with `{preview_command(delivery)}`."
        error.args = (reason,)
        in_session(
            warehouse.url,
            lambda connection: deliveries.refuse(connection, delivery, reason),
            f"refusing {delivery}",
        )
        raise
