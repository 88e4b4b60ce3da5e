"""The sensor that reports files that do not load: once for each error, and once more when the file loads again.

It also gives the pools of sources the limits that are declared, where no command does.

The annotations are not postponed here, because Dagster reads those of the sensor.
"""

import json
from collections.abc import Collection, Mapping
from typing import Final

import dagster as dg

from etl_assets import alerts
from etl_assets.graph import last_good
from etl_assets.graph.keys import core_key
from etl_assets.graph.partitions import Partitions
from etl_assets.graph.pools import set_limits
from etl_assets.graph.resource import open_warehouse
from etl_assets.model.checks import DECLARATION
from etl_assets.postgres.connection import connected
from etl_assets.settings import Settings
from etl_assets.source import Source
from etl_assets.source_files import BrokenFile

DECLARATION_SECONDS: Final = 30


def declaration_sensor(
    broken: Mapping[str, BrokenFile], good: Mapping[str, Partitions], sources: Collection[Source] = ()
) -> dg.SensorDefinition:
    """Return the sensor that reports files that do not load.

    It opens and resolves alerts, and fails the check ``declaration`` of the asset of each file. It launches no runs.
    Its cursor has the errors that it has reported, so that it reports each once.

    Args:
        broken: The files that do not load, by the name of their asset.
        good: The assets of the other files, by path; the sensor remembers them in the home.
        sources: The sources whose pools get their limits.
    """
    errors = {name: str(file.error) for name, file in broken.items()}

    @dg.sensor(
        name="declarations",
        minimum_interval_seconds=DECLARATION_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Alerts about files of sources that do not load; sets the limits of the pools of sources.",
    )
    def report_broken_files(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        last_good.write(Settings.from_environment().home, good)
        set_limits(context.instance, sources)
        reported: dict[str, str] = json.loads(context.cursor or "{}")
        if errors != reported:
            with connected(open_warehouse().url) as connection:
                alerts.update_for_files(connection, errors, reported)
            for name, file in broken.items():
                if reported.get(name) != errors[name]:
                    context.instance.report_runless_asset_event(_failed_check(file))
            context.update_cursor(json.dumps(errors))
        return dg.SkipReason("\n".join(errors.values()) or "Every file loads.")

    return report_broken_files


def _failed_check(file: BrokenFile) -> dg.AssetCheckEvaluation:
    """Return the result of the check of a file that does not load, for an event outside of a run."""
    return dg.AssetCheckEvaluation(
        asset_key=core_key(file.name),
        check_name=DECLARATION,
        passed=False,
        metadata={},
        severity=dg.AssetCheckSeverity.ERROR,
        description=file.problem,
        blocking=True,
    )
