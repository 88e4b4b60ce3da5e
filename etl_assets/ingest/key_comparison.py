"""Compares the keys that a source has now with those of its table, and enters which rows it no longer has."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from etl_assets import landing
from etl_assets.extract import progress
from etl_assets.ingest.record_keys import is_unreadable, schema_of_keys
from etl_assets.postgres.connection import in_session, in_transaction
from etl_assets.postgres.ledger import deliveries, key_comparisons
from etl_assets.postgres.ledger.key_comparisons import Listing
from etl_assets.postgres.tables.listed_keys import ListedKeys
from etl_assets.validate import resolve
from etl_assets.validate.rule_validator import RuleValidator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from etl_assets.extract.base import Extractor
    from etl_assets.landing import Warehouse
    from etl_assets.model.delivery import Manifest
    from etl_assets.model.partitions import Partition
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.key_comparisons import Comparison
    from etl_assets.schema import Schema
    from etl_assets.source import Source


def compare_keys(
    source: Source, partition: Partition, warehouse: Warehouse, run_id: str, *, force: bool = False
) -> Comparison | None:
    """List the keys that a source has, if that is due, and enter which rows of its table have another one.

    The list is frozen like a delivery, and read like one: the same key is the same value. No row is changed.

    Args:
        source: The declaration.
        partition: The partition to compare. A delivery of it must have been loaded.
        warehouse: Has its table.
        run_id: Id of the run that compares.
        force: Whether to compare even if it is not due.

    Returns:
        The newest comparison, which is an earlier one if none was due; None if the source declares none.

    Raises:
        DeliveryError: If the keys cannot be listed. Nothing was entered, and the next run tries again.
        LoadError: If the warehouse failed.
    """
    declared = source.extractor.compares_keys
    if declared is None:
        return None
    every = timedelta(0) if force else declared.every
    began_at, newest = in_session(
        warehouse.url,
        lambda session: (
            key_comparisons.begin_if_due(session, source.name, partition.key, every),
            deliveries.newest(session, source.name, partition.key),
        ),
        f"looking up when keys of {source.name} were compared",
    )
    if began_at is not None:
        names = () if newest is None else newest.manifest.names
        _compare(source, partition, warehouse, names, (run_id, began_at))
    return in_session(warehouse.url, lambda session: key_comparisons.last(session, source.name, partition.key))


def _compare(
    source: Source, partition: Partition, warehouse: Warehouse, names: Sequence[str], begun: tuple[str, datetime]
) -> None:
    """List the keys and compare them.

    Args:
        source: The declaration.
        partition: The partition to compare.
        warehouse: Has its table.
        names: The published names of its newest delivery.
        begun: Id of the run, and when it began.
    """
    declared = source.extractor.compares_keys
    schema = schema_of_keys(source.schema)
    shape = resolve(schema, names, f"The newest delivery of {source.name}", records=1)
    extractor = source.extractor.of_keys(tuple(shape.columns.values()))
    if extractor is None or declared is None:
        return
    manifest = landing.land(extractor, partition, warehouse.store)
    for note in manifest.notes:
        progress.say(f"{manifest.origin}: {note}")
    listing = Listing(source.name, partition.key, *begun, manifest.sha256)
    key_names = [name for column in schema.columns for name in column.published_names]

    def conclude(connection: Connection) -> None:
        listed = ListedKeys(connection, source.table, schema)
        unreadable = _read(extractor.of_partition(partition.key), schema, manifest, warehouse, listed)
        key_comparisons.conclude(
            connection,
            listing,
            listed,
            keys=manifest.records,
            unreadable=unreadable,
            max_absent=declared.max_absent,
            key_names=key_names,
        )

    in_transaction(warehouse.url, conclude)


def _read(extractor: Extractor, schema: Schema, manifest: Manifest, warehouse: Warehouse, listed: ListedKeys) -> int:
    """Read the keys of a frozen list; return how many are not written as declared.

    A record without a part of the key, or with a character that no table holds, is none of them: no row has its key.
    """
    validator = RuleValidator()
    unreadable = 0
    for raw in landing.batches(extractor, warehouse.store, manifest):
        verdict = validator.validate(raw, schema)
        listed.add(verdict.rows)
        unreadable += verdict.rejected.filter(is_unreadable(schema)).height
    return unreadable
