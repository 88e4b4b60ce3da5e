"""Compares the landing store with the database: whether it has the bytes of every delivery, and their manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.errors import DeliveryDamagedError, DeliveryError
from etl_assets.postgres.ledger import deliveries, examination, redactions
from etl_assets.postgres.ledger.invariants import Invariant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.landing.store import LandingStore
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.invariants import Violation

BYTES_ARE_FROZEN: Final = Invariant(
    "bytes_are_frozen",
    "The landing store has the bytes of every delivery",
    "Check that ETL_ASSETS_LANDING_URL names the store that has them. If they are lost or changed, run the partition "
    "with `etl-assets run NAME --partition KEY --force`, which replaces them if the publisher still has the same; "
    "otherwise restore them from a backup. The rows are intact, but until then the delivery cannot be reloaded",
)
MANIFESTS_DESCRIBE_BYTES: Final = Invariant(
    "manifests_describe_bytes",
    "The manifest beside the bytes of a delivery, and the one in the database, describe these bytes and their batches",
    "Restore the manifest from a backup, or run the partition with `etl-assets run NAME --partition KEY --force`, "
    "which fetches and indexes the bytes again",
)
REDACTED_BYTES_ARE_GONE: Final = Invariant(
    "redacted_bytes_are_gone",
    "The landing store has no bytes from which records were redacted, unless another delivery has the same",
    "Finish the redaction: etl-assets redact NAME",
)


def examine_store(connection: Connection, store: LandingStore) -> Iterator[Violation]:
    """Yield the deliveries whose bytes or manifest the landing store lacks, or has with another size or hash.

    Args:
        connection: In autocommit, to the warehouse.
        store: Only sizes and manifests are read.
    """
    for id_, subject, sha256, fetched in examination.fetched_deliveries(connection):
        size = store.size(sha256)
        if size is None:
            yield BYTES_ARE_FROZEN.violation(subject, f"has no bytes {sha256} in the landing store")
        elif size != fetched:
            problem = f"has {size} bytes {sha256} in the landing store, and {fetched} were fetched"
            yield BYTES_ARE_FROZEN.violation(subject, problem)
        elif problem := _manifest_problem(connection, store, id_, sha256):
            yield MANIFESTS_DESCRIBE_BYTES.violation(subject, problem)
    for source in redactions.sources(connection):
        for sha256 in redactions.to_remove(connection, source):
            if store.size(sha256) is not None:
                problem = f"still has bytes {sha256} from which records of it were redacted"
                yield REDACTED_BYTES_ARE_GONE.violation(f"the landing store, for {source},", problem)


def verify_bytes(connection: Connection, store: LandingStore) -> Iterator[Violation]:
    """Read all frozen bytes, and yield the deliveries whose bytes are there, but are not those that were fetched.

    Args:
        connection: In autocommit, to the warehouse.
        store: Bytes that several deliveries share are read once.
    """
    damaged: dict[str, bool] = {}
    for id_, subject, sha256, size in examination.fetched_deliveries(connection):
        if sha256 not in damaged:
            delivery = deliveries.by_id(connection, id_)
            damaged[sha256] = delivery is not None and store.size(sha256) == size and _is_damaged(store, delivery)
        if damaged[sha256]:
            yield BYTES_ARE_FROZEN.violation(subject, f"has bytes {sha256} in the landing store that were changed")


def _is_damaged(store: LandingStore, delivery: Delivery) -> bool:
    try:
        store.verify(delivery.manifest)
    except DeliveryError:
        return True
    return False


def _manifest_problem(connection: Connection, store: LandingStore, id_: int, sha256: str) -> str:
    """Return how the stored manifest of a delivery differs from the one in the database; empty if it does not."""
    try:
        stored = store.manifest(sha256)
    except DeliveryDamagedError:
        return "has a manifest in the landing store that is damaged, or of other bytes"
    delivery = deliveries.by_id(connection, id_)
    if stored is None:
        return "has no manifest in the landing store"
    if delivery is None:
        return ""
    expected = delivery.manifest
    if stored.size != expected.size:
        return f"has a manifest of {stored.size} bytes in the landing store, and one of {expected.size} in the database"
    if stored.blocks and expected.blocks and stored.blocks != expected.blocks:
        return "has a manifest in the landing store with other digests of blocks than the one in the database"
    return ""
