"""What the newest migration gives the ledger and the quarantine: keys, constraints, and columns that are never null.

A migration that changes any of it changes this list too; a test compares them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.postgres.ledger.delivery_invariants import CONSTRAINTS_ARE_THERE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.invariants import Violation

CONSTRAINTS: Final[Mapping[str, tuple[str, ...]]] = {
    "delivery": ("delivery_pkey", "delivery_status_check"),
    "batch": (
        "batch_delivery_id_fkey",
        "batch_delivery_id_generation_kind_number_key",
        "batch_kind_check",
        "batch_pkey",
        "records_add_up",
        "rows_add_up",
    ),
    "rejected": (
        "rejected_closed_by_fkey",
        "rejected_delivery_id_fkey",
        "rejected_delivery_id_record_no_key",
        "rejected_pkey",
        "rejected_status_check",
    ),
    "fence": ("fence_pkey",),
    "row_count": ("row_count_pkey",),
}
"""Names of the constraints of each table of schema ``etl`` that invariants rest on."""
NULLABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "delivery": ("completed_at", "refusal", "valid_from"),
    "batch": ("confirmed",),
    "rejected": ("closed_by", "correction", "fields", "key", "note", "reviewed_at", "reviewer"),
    "fence": (),
    "row_count": (),
}
"""Names of the columns of the same tables that may be null; no other may."""


def missing_constraints(connection: Connection) -> list[Violation]:
    """Find the constraints that the tables of ``CONSTRAINTS`` lack, and the columns that may be null and must not."""
    violations = []
    for table, names in CONSTRAINTS.items():
        absent = sorted(set(names) - constraints(connection, table))
        loose = sorted(nullable(connection, table) - set(NULLABLE[table]))
        problems = [
            *(f"lacks the constraint {name}" for name in absent),
            *(f"lets {name} be null" for name in loose),
        ]
        violations += [CONSTRAINTS_ARE_THERE.violation(f"table etl.{table}", problem) for problem in problems]
    return violations


def constraints(connection: Connection, table: str) -> set[str]:
    """Return the names of the keys, references and checks of a table of schema ``etl`` that the server enforces."""
    rows = connection.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s) AND contype IN ('p', 'u', 'f', 'c') "
        "AND convalidated",
        (f"etl.{table}",),
    ).fetchall()
    return {name for (name,) in rows}


def nullable(connection: Connection, table: str) -> set[str]:
    """Return the names of the columns of a table of schema ``etl`` that may be null."""
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
        "AND NOT attnotnull",
        (f"etl.{table}",),
    ).fetchall()
    return {name for (name,) in rows}
