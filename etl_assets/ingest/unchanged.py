"""Decides whether a run has nothing to do with a partition, before anything is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.errors import DeliveryError
from etl_assets.extract.validators import same_state
from etl_assets.postgres.ledger import key_comparisons
from etl_assets.postgres.runs.standing import Declared, standing

if TYPE_CHECKING:
    from etl_assets.model.partitions import Partition
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.runs.standing import Standing
    from etl_assets.source import Source


def find_standing(connection: Connection, source: Source, partition: str, run_id: str = "") -> Standing | None:
    """Return the delivery with which a run has nothing to do if its bytes are published still; None if there is none.

    There is none of an incremental source, whose fetches always bring something, and none while a comparison of keys is
    due; see also `standing.standing`.

    Args:
        connection: To the warehouse.
        source: The declaration.
        partition: Key of the partition.
        run_id: Id of the run that asks; empty if no run does.
    """
    if source.extractor.is_incremental:
        return None
    keys = source.extractor.compares_keys
    if keys is not None and key_comparisons.begin_if_due(connection, source.name, partition, keys.every) is not None:
        return None
    expectations = tuple(expectation.name for expectation in source.expectations)
    declared = Declared(source.name, source.fingerprint, source.verdict_fingerprint, expectations)
    return standing(connection, declared, partition, run_id)


def looks_unchanged(source: Source, partition: Partition, standing: Standing) -> bool:
    """Return whether a poll finds the validators of a delivery, such as size and time, without fetching the bytes.

    A publisher that cannot be polled now, or has nothing, counts as changed: the run that fetches reports it.
    """
    manifest = standing.delivery.manifest
    extractor = source.extractor
    try:
        polled = extractor.poll_since(partition, manifest.state) if manifest.state else extractor.poll(partition)
    except DeliveryError:
        return False
    return polled is not None and same_state(polled, manifest.validators)
