"""Examines a warehouse: finds violations of the invariants in the database and in the landing store.

This module repairs nothing, and it does not know Dagster. The command line compares Dagster's state with the ledger.
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
    "Check that ETL_ASSETS_LANDING_URL names the store that has them; if they are lost, restore them from a backup. "
    "The rows are intact, but the delivery cannot be reloaded",
)
INVARIANTS: Final = (*invariants.INVARIANTS, BYTES_ARE_FROZEN)
"""Every invariant that this module examines."""


def examine(warehouse: Warehouse) -> list[Violation]:
    """Find every violation of an invariant.

    Loads may run at the same time; a running load is not reported as a violation.

    Args:
        warehouse: The warehouse to examine; it is only read.

    Raises:
        SettingsError: If the database is not migrated, or does not answer.
    """
    with connected(warehouse.url) as connection:
        require_current(connection)
        return [
            *examination.examine(connection),
            *examination.find_abandoned(connection),
            *_missing_bytes(connection, warehouse.store),
        ]


def _missing_bytes(connection: Connection, store: LandingStore) -> list[Violation]:
    """Find the deliveries whose bytes are missing from the landing store, or differ in size from what was fetched."""
    violations: list[Violation] = []
    for delivery, sha256, fetched in examination.expected_landed_bytes(connection):
        size = store.size(sha256)
        if size is None:
            violations.append(BYTES_ARE_FROZEN.violation(delivery, f"has no bytes {sha256} in the landing store"))
        elif size != fetched:
            problem = f"has {size} bytes {sha256} in the landing store, and {fetched} were fetched"
            violations.append(BYTES_ARE_FROZEN.violation(delivery, problem))
    return violations
