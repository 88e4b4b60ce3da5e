"""The pools of sources: how many runs of a source may be under way together.

Dagster keeps the limit of a pool in its storage, where a declaration cannot reach it; here it is carried over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import dagster as dg

    from etl_assets.source import Source


def set_limits(instance: dg.DagsterInstance, sources: Iterable[Source]) -> dict[str, int]:
    """Let the pool of each source have the limit that is declared.

    Safe to run at any time, and more than once; runs under way go on.

    Args:
        instance: Keeps the limits.
        sources: Whose pools are meant. Other pools are left as they are.

    Returns:
        The limits that were changed, by pool.
    """
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return {}
    known = {pool.name: pool.limit for pool in storage.get_pool_limits() if not pool.from_default}
    changed = {source.name: source.runs_at_once for source in sources if known.get(source.name) != source.runs_at_once}
    for name, limit in changed.items():
        storage.set_concurrency_slots(name, limit)
    return changed
