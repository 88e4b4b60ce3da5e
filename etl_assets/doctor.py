"""Examines a warehouse: whether what this package promises is true of the database and of the landing store.

What only Dagster knows is held against the ledger where Dagster is known; nothing is mended here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import examination, invariants
from etl_assets.postgres.ledger.invariants import Invariant
from etl_assets.postgres.migrations.migrate import require_current

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse
    from etl_assets.landing.store import LandingStore
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.invariants import Violation

BYTES_ARE_FROZEN: Final = Invariant(
    "bytes_are_frozen",
    "The landing store has the bytes of every delivery",
    "Look whether ETL_ASSETS_LANDING_URL names the store that has them; if they are lost, restore them from a backup. "
    "The rows stand, but cannot be read anew",
)
INVARIANTS: Final = (*invariants.INVARIANTS, BYTES_ARE_FROZEN)
"""Every promise that is examined here."""


def examine(warehouse: Warehouse) -> list[Violation]:
    """Find every place where a promise does not hold.

    Loads may go on meanwhile: none is mistaken for a fault.

    Args:
        warehouse: To be examined; it is only read.

    Raises:
        SettingsError: If the database is not migrated, or does not answer.
    """
    with connected(warehouse.url) as connection:
        require_current(connection)
        return [
            *examination.examine(connection),
            *examination.abandoned(connection),
            *_not_frozen(connection, warehouse.store),
        ]


def _not_frozen(connection: Connection, store: LandingStore) -> list[Violation]:
    """Deliveries that came through the landing store, and are not there as they were fetched."""
    found: list[Violation] = []
    for delivery, sha256, fetched in examination.frozen(connection):
        size = store.size(sha256)
        if size is None:
            found.append(BYTES_ARE_FROZEN.broken(delivery, f"has no bytes {sha256} in the landing store"))
        elif size != fetched:
            problem = f"has {size} bytes {sha256} in the landing store, and {fetched} were fetched"
            found.append(BYTES_ARE_FROZEN.broken(delivery, problem))
    return found
