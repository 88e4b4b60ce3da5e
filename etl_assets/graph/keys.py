"""What the assets, jobs and steps of a source are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from etl_assets.source import CORE

if TYPE_CHECKING:
    from etl_assets.source import Source

LANDING = "landing"
QUARANTINE = "quarantine"
WAREHOUSE = "warehouse"
"""Key of the resource that says where the warehouse is."""
REPLAY = "replay"
REPLAY_STEP = "replay_records"
"""Dagster takes no step that is called like its job."""
AUDIT_STEP = "audit_tables"
SOURCE_TAG = "etl_assets/source"
RUNS_PER_TICK = 100
"""So many partitions of a source at most are asked for at once; the next tick asks for the rest."""


def landing_key(name: str) -> dg.AssetKey:
    """The asset that fetches and freezes."""
    return dg.AssetKey([LANDING, name])


def core_key(name: str) -> dg.AssetKey:
    """The asset that is the table."""
    return dg.AssetKey([CORE, name])


def quarantine_key(name: str) -> dg.AssetKey:
    """The asset that counts what waits in the quarantine."""
    return dg.AssetKey([QUARANTINE, name])


def asset_keys(source: Source) -> tuple[dg.AssetKey, ...]:
    """The assets of a source, in the order in which they are materialized."""
    return landing_key(source.name), core_key(source.name), quarantine_key(source.name)


def table_of(key: dg.AssetKey) -> str:
    """The table an asset ends in: the last two parts of its key, or ``public`` and its only one."""
    return ".".join(key.path[-2:] if len(key.path) > 1 else ("public", *key.path))


def delivered_as(key: dg.AssetKey) -> str:
    """The name under which deliveries of an asset are known in ``etl.delivery``.

    A source's own name for its table; for anyone else's asset the parts of its key.
    """
    path = key.path if len(key.path) > 1 else ("public", *key.path)
    return path[1] if path[0] == CORE and len(path) == 2 else ".".join(path)  # noqa: PLR2004 -- core and the name
