"""The rows that a delivery no longer has: how many may go, and their entry in ``etl.deletion``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.errors import TooManyDeletedError
from etl_assets.postgres.ledger import deletions, references

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.load.writers.base import WriterContext
    from etl_assets.load.writers.snapshot import Snapshot
    from etl_assets.postgres.tables.absent_rows import AbsentRows

UNREADABLE = "unreadable_keys"
"""The note of a completion: how many records have a key that cannot be read, so that nothing was deleted."""
ORPHANED = "orphaned_rows"
"""The note of a completion: how many rows of other tables refer to rows that were deleted."""


def enter_gone(context: WriterContext, mode: Snapshot, absent: AbsentRows) -> Mapping[str, int]:
    """Enter the rows that are to go, if they may; return the notes of the completion.

    Args:
        context: Of the delivery.
        mode: The declared snapshot.
        absent: The rows, which were found.

    Raises:
        TooManyDeletedError: If they are more than the mode or a person consents to.
    """
    orphaned = check_gone(context, mode, absent)
    deletions.enter(context.connection, context.delivery, context.target.schema, absent.name)
    return {ORPHANED: orphaned} if orphaned else {}


def check_gone(context: WriterContext, mode: Snapshot, absent: AbsentRows) -> int:
    """Raise if the rows that are to go may not; return how many rows of other tables refer to them.

    Args:
        context: Of the delivery.
        mode: The declared snapshot.
        absent: The rows, which were found.

    Raises:
        TooManyDeletedError: If they are more than the mode or a person consents to.
    """
    table = context.target.table
    orphaned = references.count_referring(context.connection, table, absent.name) if absent.number else 0
    if absent.number and not context.accept_deletes:
        _refuse_too_many(context, mode, absent, orphaned)
    return orphaned


def _refuse_too_many(context: WriterContext, mode: Snapshot, absent: AbsentRows, orphaned: int) -> None:
    delivery, number = context.delivery, f"{absent.number} of {absent.compared} rows"
    consent = int(mode.max_deleted * absent.compared)
    problem = ""
    if context.target.frozen and not delivery.manifest.records:
        problem = f"has no records, and the table has {absent.compared} rows"
    elif orphaned and mode.referenced == "refuse":
        problem = f"no longer has {number}, and {orphaned} rows of other tables refer to them"
    elif absent.number > consent:
        problem = f"does not have the keys of {number}; max_deleted={mode.max_deleted} consents to {consent}"
    if not problem:
        return
    consented = f"consent with `etl-assets run {delivery.source} --accept-deletes`, or accept_deletes in Dagster"
    if not context.target.frozen:
        consented = "raise max_deleted of the Snapshot in metadata 'write' of the asset"
    raise TooManyDeletedError(
        f"{delivery} {problem}. The first keys that are gone: {absent.first_keys()}. Nothing was "
        f"{mode.gone_rows_are}, and the last batch of the delivery was not written. Look at the delivery. If the rows "
        f"are to go, {consented}."
    )
