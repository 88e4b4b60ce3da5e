"""Partitions with which there is nothing to do: they are found before a run, entered, and shown as an observation.

Nothing is materialized, so nothing downstream follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid4

import dagster as dg

from etl_assets import ingest
from etl_assets.graph.keys import asset_keys, core_key
from etl_assets.graph.runs.one_by_one import Failures
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.graph.targets import newest_materializations
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.runs.standing import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.check_result import CheckResult
    from etl_assets.postgres.runs.standing import Standing
    from etl_assets.source import Source

UNCHANGED: Final = "unchanged"


def find_standing(
    source: Source, partition: str, url: str, instance: dg.DagsterInstance, run_id: str = ""
) -> Standing | None:
    """Return the delivery with which a run has nothing to do if its bytes are published still; None if there is none.

    There is none while an asset of the source was never materialized; see also `ingest.find_standing`.

    Args:
        source: The declaration.
        partition: Key of the partition; empty if the source has none.
        url: URL of the warehouse.
        instance: The instance of Dagster that has the materializations.
        run_id: Id of the run that asks; empty if no run does.
    """
    standing = in_session(url, lambda session: ingest.find_standing(session, source, partition, run_id))
    if standing is None:
        return None
    materialized = (newest_materializations(instance, key, [partition]) for key in asset_keys(source.name))
    return standing if all(materialized) else None


def report_if_unchanged(
    source: Source, partition: str, url: str, instance: dg.DagsterInstance
) -> tuple[Standing, list[CheckResult]] | None:
    """Enter and show that there is nothing to do for a partition, without a run of Dagster, if a poll finds that.

    Whatever fails counts as something to do: the run that is then started fails too, and reports it.

    Args:
        source: The declaration.
        partition: Key of the partition; empty if the source has none.
        url: URL of the warehouse.
        instance: The instance of Dagster.

    Returns:
        The delivery and the check results that stand; None if there is something to do.
    """
    failures = Failures()
    with failures.of(source.name):
        standing = find_standing(source, partition, url, instance)
        if standing is None or not ingest.looks_unchanged(source, source.partition(partition or None), standing):
            return None
        finish(source, standing)
    if failures.errors:
        return None
    record = RunRecord(url, str(uuid4()), source.name, partition, declaration=source.verdict_fingerprint)
    results = list(in_session(url, lambda session: verdict(session, standing)))
    record.unchanged(standing)
    instance.report_runless_asset_event(observation(source, standing, results))
    return standing, results


def finish(source: Source, standing: Standing) -> None:
    """Do what is to be done after a load, in case a file that was loaded is published again.

    Args:
        source: The declaration.
        standing: The delivery and the verdict that stand.
    """
    delivery = standing.delivery
    source.extractor.after_load(source.partition(delivery.partition or None), delivery.manifest.validators)


def observation(source: Source, standing: Standing, results: Sequence[CheckResult]) -> dg.AssetObservation:
    """Return the event that nothing new is published.

    Args:
        source: The declaration.
        standing: The delivery and the verdict that stand.
        results: The check results that stand.
    """
    delivery = standing.delivery
    failed = ", ".join(result.name for result in results if not result.passed)
    return dg.AssetObservation(
        core_key(source.name),
        partition=delivery.partition or None,
        description=f"Nothing new is published since {delivery.fetched_at:%Y-%m-%d %H:%M} UTC.",
        metadata={
            "status": dg.MetadataValue.text(UNCHANGED),
            "delivery": dg.MetadataValue.int(delivery.id),
            "unchanged since": dg.MetadataValue.timestamp(delivery.fetched_at),
            "verdict of run": dg.MetadataValue.text(standing.run_id),
            "failed checks": dg.MetadataValue.text(failed or "none"),
        },
    )
