"""The pools of sources: how many runs of a source may be under way together.

Dagster reads the limit of a pool from its storage and not from a declaration. This module copies the declared limits
into the storage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import dagster as dg

    from etl_assets.source import Source


def set_limits(instance: dg.DagsterInstance, sources: Iterable[Source]) -> dict[str, int]:
    """Set the limit of each source's pool to the declared one.

    It may be called at any time and more than once. It does not stop runs that are under way.

    Args:
        instance: The instance of Dagster that keeps the limits.
        sources: The sources whose pools are set. All other pools stay unchanged.

    Returns:
        The limits that were changed, by pool.
    """
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return {}
    known = {pool.name: pool.limit for pool in storage.get_pool_limits() if not pool.from_default}
    changed = {source.name: source.runs_at_once for source in sources if known.get(source.name) != source.runs_at_once}
    for name, limit in changed.items():
        try:
            storage.set_concurrency_slots(name, limit)
        except IntegrityError:  # another process has just created the pool, so that its row can be locked now
            storage.set_concurrency_slots(name, limit)
    return changed
