"""Examines a warehouse: finds violations of the invariants in the database and in the landing store.

This package repairs nothing, and it does not know Dagster. The command line compares Dagster's state with the ledger.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from etl_assets.doctor.declarations import VERSIONS_FOLLOW, compare_declarations
from etl_assets.doctor.frozen_bytes import (
    BYTES_ARE_FROZEN,
    MANIFESTS_DESCRIBE_BYTES,
    REDACTED_BYTES_ARE_GONE,
    examine_store,
    verify_bytes,
)
from etl_assets.doctor.sample import lot
from etl_assets.doctor.source_reading import OF_READING, Extent, SourceReading
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import examination, invariants
from etl_assets.postgres.ledger.delivery_invariants import CONSTRAINTS_ARE_THERE, OF_DELIVERIES
from etl_assets.postgres.ledger.retention import EXPIRED_ROWS_ARE_GONE
from etl_assets.postgres.ledger.row_counts import ROW_COUNTS_ARE_THOSE_OF_THE_LEDGER
from etl_assets.postgres.migrations.migrate import require_current

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from etl_assets.landing import Warehouse
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.invariants import Violation
    from etl_assets.source import Source

INVARIANTS: Final = (
    *invariants.INVARIANTS,
    *OF_DELIVERIES,
    CONSTRAINTS_ARE_THERE,
    EXPIRED_ROWS_ARE_GONE,
    ROW_COUNTS_ARE_THOSE_OF_THE_LEDGER,
    VERSIONS_FOLLOW,
    BYTES_ARE_FROZEN,
    MANIFESTS_DESCRIBE_BYTES,
    REDACTED_BYTES_ARE_GONE,
    *OF_READING,
)
"""Every invariant that this package examines."""
SAMPLE_BYTES: Final = 32 * 1024 * 1024
"""The usual size of a sample: more than the largest batch that is usual, and read within a second or two."""

__all__ = ["INVARIANTS", "SAMPLE_BYTES", "Extent", "Rereading", "examine", "reread"]


@dataclass(frozen=True)
class Rereading:
    """How much was read again of each source, and the violations that were found by it."""

    extents: list[Extent]
    violations: list[Violation]


def examine(warehouse: Warehouse, sources: Collection[Source] = ()) -> list[Violation]:
    """Find every violation of an invariant that can be found without reading deliveries; see `reread`.

    Loads may run at the same time; a running load is not reported as a violation.

    Args:
        warehouse: The warehouse to examine; it is only read.
        sources: Declarations to compare the database with.

    Raises:
        SettingsError: If the database is not migrated, or does not answer.
    """
    with connected(warehouse.url) as connection:
        require_current(connection)
        return [
            *examination.examine(connection, {source.name: source.stored_table for source in sources}),
            *compare_declarations(connection, sources),
            *examination.find_abandoned(connection),
            *examine_store(connection, warehouse.store),
        ]


def reread(warehouse: Warehouse, sources: Collection[Source], *, sample_bytes: int | None = None) -> Rereading:
    """Read deliveries again and compare them with the database; nothing is changed.

    Each source is compared with one snapshot of the database, so that loads may run at the same time. A run that has
    to change the columns of a table waits until its source is compared.

    Args:
        warehouse: The warehouse to examine.
        sources: The declarations under which to read.
        sample_bytes: Read only a sample, of at most so many bytes; if None, read everything, and verify all frozen
            bytes.

    Raises:
        SettingsError: If the database is not migrated, or does not answer.
        TransformError: If the transformer of a source fails.
    """
    extents: list[Extent] = []
    violations: list[Violation] = []
    today = datetime.now(UTC).date()
    with connected(warehouse.url) as connection:
        require_current(connection)
        if sample_bytes is None:
            violations += verify_bytes(connection, warehouse.store)
        for position, source in enumerate(sorted(sources, key=lambda source: lot(today, source.name))):
            with _one_snapshot(connection):
                reading = SourceReading(source, warehouse, connection)
                if sample_bytes is None:
                    reading.read_all()
                else:
                    sample_bytes -= reading.read_some(sample_bytes // (len(sources) - position), today)
            extents.append(reading.extent)
            violations += reading.violations
    return Rereading(sorted(extents, key=lambda extent: extent.source), violations)


@contextmanager
def _one_snapshot(connection: Connection) -> Iterator[None]:
    """Let all statements of a block see the database as it is at the first, and roll back what they write."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield
