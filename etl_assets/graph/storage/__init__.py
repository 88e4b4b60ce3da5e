"""Dagster's storage in Postgres: connections that stay open, events that are written together, and their pruning.

``pooled`` has the class that ``dagster.yaml`` names, ``connections`` what its engines do, ``events`` the event log. The
events of a run wait in ``buffer``; ``together`` writes them in one transaction; ``targets`` remembers what checks refer
to.
"""

from __future__ import annotations

from etl_assets.graph.storage.pooled import PooledPostgresStorage

__all__ = ["PooledPostgresStorage"]
