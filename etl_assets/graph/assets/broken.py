"""The asset of a file that does not load: it shows the error, and fails at once.

The annotations are not postponed here, because Dagster reads those of steps.
"""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from etl_assets.graph.assets.metadata import declared_in
from etl_assets.graph.keys import core_key
from etl_assets.graph.runs.failures import message_first
from etl_assets.model.checks import DECLARATION
from etl_assets.source_files import BrokenFile

BROKEN_GROUP: Final = "broken"


def broken_asset(file: BrokenFile, partitions: dg.PartitionsDefinition[str] | None = None) -> dg.AssetsDefinition:
    """Return the asset ``core/x`` of a file ``x.py`` that does not load.

    Its check blocks what is downstream. Its error is not retried, because only a corrected file changes anything. The
    check has no partitions, so that it can fail outside of a run.

    Args:
        file: The file.
        partitions: The partitions of the asset, as far as they are known.
    """

    @dg.asset(
        key=core_key(file.name),
        description=str(file.error),
        group_name=BROKEN_GROUP,
        check_specs=[
            dg.AssetCheckSpec(DECLARATION, asset=core_key(file.name), description=f"{file.path} loads.", blocking=True)
        ],
        metadata=declared_in(file.path),
        partitions_def=partitions,
    )
    def refuse(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult]:
        yield dg.AssetCheckResult(check_name=DECLARATION, passed=False, description=file.problem)
        with message_first(context.log):
            raise file.error

    return refuse
