"""What a process materializes, where that is known before the definitions are loaded."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import dagster as dg

from etl_assets.graph.keys import ALL_ASSETS

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


@dataclass(frozen=True)
class Wanted:
    """The assets and asset checks that a process executes.

    Attributes:
        assets: The keys of the assets.
        checks: The keys of the asset checks.
    """

    assets: AbstractSet[dg.AssetKey]
    checks: AbstractSet[dg.AssetCheckKey] = frozenset()

    @classmethod
    def of(cls, run: dg.DagsterRun, instance: dg.DagsterInstance) -> Self | None:
        """Return what Dagster planned for a run; None if it is no run of selected assets, or has no plan.

        The plan also has the checks, which the run itself does not name: all those of the selected assets.
        """
        if run.job_name != ALL_ASSETS or not run.asset_selection or run.execution_plan_snapshot_id is None:
            return None
        plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
        planned = {output.entity_key for step in plan.steps for output in step.outputs}
        checks = {key for key in planned if isinstance(key, dg.AssetCheckKey)}
        assets = {key for key in planned if isinstance(key, dg.AssetKey)}
        return cls(assets | run.asset_selection, checks | (run.asset_check_selection or set()))

    def is_in(self, definitions: dg.Definitions) -> bool:
        """Return whether definitions materialize all the assets and have all the checks."""
        graph = definitions.resolve_asset_graph()
        return self.assets <= graph.materializable_asset_keys and self.checks <= graph.asset_check_keys


WANTED: Final[ContextVar[Wanted | None]] = ContextVar("WANTED", default=None)
"""What this process executes; the code location has no more than that needs. None: it has everything."""
