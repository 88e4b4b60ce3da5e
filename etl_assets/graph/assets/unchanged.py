"""How a run ends that has nothing to do: its first step lands nothing, and the verdict before stands.

The steps after the landing are skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets import ingest
from etl_assets.errors import DeliveryMissingError
from etl_assets.graph.assets.check_results import asset_check_evaluation
from etl_assets.graph.assets.checks import of_history
from etl_assets.graph.keys import core_key
from etl_assets.graph.runs.unchanged import find_standing, finish, observation
from etl_assets.graph.targets import newest_materializations
from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import SHAPE
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.runs.asset_metadata import sample_places
from etl_assets.postgres.runs.standing import verdict

if TYPE_CHECKING:
    from etl_assets.graph.assets.partition_steps import PartitionStep
    from etl_assets.ingest import Landed
    from etl_assets.postgres.runs.standing import Standing


def land_if_new(step: PartitionStep) -> Landed | Standing:
    """Land what is published for a partition, unless there is nothing to do.

    A poll decides that, and without one the hash of the bytes that are fetched. There is always something to do if the
    configuration of the run asks for a file, for everything, or for anything of the load. If the publisher no longer
    has what was delivered, and it is to be loaded, its frozen bytes are what was landed.

    Returns:
        What was landed; or the delivery and the verdict that stand, if there is nothing to do.

    Raises:
        DeliveryMissingError: If the publisher has nothing, and no frozen delivery is to be loaded.
    """
    source, partition, warehouse, config = step.source, step.partition, step.warehouse, step.config
    standing = None
    if not config.asks_for_more:
        standing = find_standing(source, partition.key, warehouse.url, step.context.instance, step.context.run.run_id)
    if standing is not None and not config.fetch and ingest.looks_unchanged(source, partition, standing):
        return standing
    try:
        landed = ingest.land(source, partition, warehouse, config.file, full=config.full)
    except DeliveryMissingError as error:
        if config.file is not None or config.full:
            raise
        return ingest.find_withdrawn(source, partition, warehouse, error, force=config.force)
    return landed if standing is None or landed.new else standing


def log_unchanged(step: PartitionStep, standing: Standing) -> CheckResult:
    """Enter and show that a run has nothing to do; the step then ends without an output.

    Dagster plans every check of a run before it starts, and a planned check that is not evaluated counts as skipped,
    which would hold back the assets downstream. Therefore the results that stand are logged again, for the
    materializations that there are.

    Args:
        step: That lands.
        standing: The delivery and the verdict that stand.

    Returns:
        The result of the check of the landing.
    """
    source, context, record = step.source, step.context, step.record
    delivery = standing.delivery
    key, partition = core_key(source.name), delivery.partition
    entered, places = in_session(
        record.url, lambda session: (verdict(session, standing), sample_places(session, [delivery.id]))
    )
    results = of_history(source, entered, places)
    finish(source, standing)
    record.unchanged(standing)
    context.log_event(observation(source, standing, results))
    context.log.info("%s is published still. There is nothing to do since run %s.", delivery, standing.run_id)
    target = newest_materializations(context.instance, key, [partition]).get(partition)
    for result in results:
        if result.name != SHAPE:
            context.log_event(asset_check_evaluation(result, key, partition or None, target))
    return CheckResult(SHAPE, passed=True, blocking=True, records=delivery.manifest.records)
