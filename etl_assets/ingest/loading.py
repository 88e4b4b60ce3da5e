"""Loads a landed delivery into its table, batch by batch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from etl_assets.errors import LoadError
from etl_assets.ingest.batch import profiled_batches
from etl_assets.ingest.confirmed_records import read_confirmed
from etl_assets.ingest.freed_memory import keep_freed_memory
from etl_assets.ingest.record_keys import RecordKeys
from etl_assets.landing import index
from etl_assets.load import LoadRequest, PartitionColumn, PostgresLoader, Target
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.ledger import deliveries

if TYPE_CHECKING:
    from collections.abc import Collection

    from etl_assets.landing import Warehouse
    from etl_assets.load import LoadReport, Share
    from etl_assets.load.shares import HandOut
    from etl_assets.model.delivery import Delivery
    from etl_assets.source import Source


def load(
    source: Source,
    delivery: Delivery,
    warehouse: Warehouse,
    run_id: str,
    *,
    force: bool = False,
    batches: Collection[int] = (),
    accept_deletes: bool = False,
    table: str | None = None,
    hand_out: HandOut | None = None,
) -> LoadReport:
    """Load the batches of a delivery that are missing.

    Args:
        source: Its declaration.
        delivery: From `land`.
        warehouse: Has its bytes and its table.
        run_id: Id of the run that loads.
        force: Whether to reload a delivery that is complete.
        batches: Numbers of the batches of a complete delivery to reload; if empty, load the missing batches.
        accept_deletes: Whether a person consents to the deletion of any number of rows.
        table: A table beside that of the source, which is to replace it; None for the table of the source.
        hand_out: Lets another process load a share of the delivery, by `load_share`; None if there is no other.
    """
    keep_freed_memory()
    if delivery.fingerprint not in {"", source.fingerprint}:
        extractor = source.extractor.of_partition(delivery.partition)
        delivery = replace(delivery, manifest=index(extractor, warehouse.store, delivery.manifest))
    target = target_of(source, warehouse)
    request = LoadRequest(
        url=warehouse.url,
        run_id=run_id,
        target=target if table is None else replace(target, table=table, replaced=source.table),
        delivery=delivery,
        open_batches=partial(profiled_batches, source, delivery, warehouse),
        force=force,
        batches=frozenset(batches),
        accept_deletes=accept_deletes,
        workers=source.workers,
        hand_out=hand_out,
    )
    return source.loader.load(request)


def load_share(source: Source, share: Share, warehouse: Warehouse) -> int:
    """Load a share of a delivery that a run in another process loads.

    Args:
        source: Its declaration.
        share: From `HandOut`.
        warehouse: Has the bytes and the table.

    Returns:
        How many batches were written.

    Raises:
        LoadError: If a batch cannot be written, or the declaration is not that of the run.
    """
    keep_freed_memory()
    delivery = in_session(warehouse.url, partial(deliveries.by_id, delivery_id=share.delivery))
    if delivery is None or delivery.fingerprint != source.fingerprint or not isinstance(source.loader, PostgresLoader):
        raise LoadError(
            f"This process has another declaration of {source.name} than the run that asked it to load a share. It "
            "wrote nothing; the run loads the delivery alone. Give all machines the same files of sources."
        )
    request = LoadRequest(
        url=warehouse.url,
        run_id=share.run_id,
        target=target_of(source, warehouse),
        delivery=delivery,
        open_batches=partial(profiled_batches, source, delivery, warehouse),
    )
    return source.loader.load_share(request, share)


def target_of(source: Source, warehouse: Warehouse) -> Target:
    """Return the target of a source: its table and the conditions of the load."""
    return Target(
        table=source.table,
        schema=source.row_schema,
        fingerprint=source.fingerprint,
        max_rejected=source.max_rejected,
        partition_column=_partition_column(source),
        key_has_partition=source.partition_rule is not None,
        keys_are_published=source.transformer is None,
        read_confirmed=partial(read_confirmed, source, warehouse.store),
        keys=RecordKeys(source),
        writer=source.writer,
        partition_by=source.partition_by,
        fillfactor=source.fillfactor,
    )


def _partition_column(source: Source) -> PartitionColumn | None:
    """Return the column that makes a source's partitions disjoint; None if two may share a key or a unique value."""
    rule = source.partition_rule
    if rule is None or any(rule.column.name not in claim.columns for claim in source.schema.claims):
        return None
    return PartitionColumn(rule.column.name, rule.declaration, rule.outside, rule.partitions.value_of)
