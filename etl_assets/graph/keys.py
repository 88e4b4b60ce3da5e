"""The names and keys of the assets, jobs and steps of a source."""

from __future__ import annotations

import dagster as dg

from etl_assets.source import CORE, LANDING, QUARANTINE

WAREHOUSE = "warehouse"
"""Key of the resource that opens the warehouse."""
REPLAY = "replay"
REPLAY_STEP = "replay_records"
"""The name of the step. Dagster accepts no step with the name of its job."""
REBUILD = "rebuild"
REBUILD_STEP = "rebuild_table"
AUDIT_STEP = "audit_tables"
RETENTION = "retention"
RETENTION_STEP = "drop_expired_rows"
PRUNE = "prune"
PRUNE_STEP = "prune_event_log"
SOURCE_TAG = "etl_assets/source"
ALL_ASSETS = "__ASSET_JOB"
"""Dagster's own job of all assets, in which a run selects those of its source."""
RUNS_PER_TICK = 100
"""The most partitions of a source that one tick requests; the next tick requests the rest."""


def landing_key(name: str) -> dg.AssetKey:
    """Return the key of the asset that fetches a delivery and freezes it."""
    return dg.AssetKey([LANDING, name])


def core_key(name: str) -> dg.AssetKey:
    """Return the key of the asset that is the table."""
    return dg.AssetKey([CORE, name])


def quarantine_key(name: str) -> dg.AssetKey:
    """Return the key of the asset that counts the records that wait in the quarantine."""
    return dg.AssetKey([QUARANTINE, name])


def asset_keys(name: str) -> tuple[dg.AssetKey, ...]:
    """Return the keys of the assets of a source, in the order in which they are materialized."""
    return landing_key(name), core_key(name), quarantine_key(name)


def table_of(key: dg.AssetKey) -> str:
    """Return the table of an asset: the last two parts of its key, or ``public`` and its only part."""
    return ".".join(key.path[-2:] if len(key.path) > 1 else ("public", *key.path))


def key_of(table: str) -> dg.AssetKey:
    """Return the key of the asset of a table ``schema.table``; one in ``public`` has a key with one part."""
    return dg.AssetKey(table.removeprefix("public.").split("."))


def delivered_as(key: dg.AssetKey) -> str:
    """Return the name under which ``etl.delivery`` has the deliveries of an asset.

    For the table of a source it is the source's name; for any other asset it is made of the parts of the key.
    """
    path = key.path if len(key.path) > 1 else ("public", *key.path)
    return path[1] if path[0] == CORE and len(path) == 2 else ".".join(path)  # noqa: PLR2004 -- core and the name
