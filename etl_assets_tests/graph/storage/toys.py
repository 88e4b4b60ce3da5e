"""Jobs that touch no warehouse: landing, core with checks, quarantine.

The annotations are not postponed here, because Dagster reads those of steps.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData

LANDING, CORE, QUARANTINE = (dg.AssetKey([group, "toy"]) for group in ("landing", "core", "quarantine"))
DAYS = dg.StaticPartitionsDefinition(["a", "b", "c"])
RANGE = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "c"}


def toy_job(
    checks: int, *, partitioned: bool = False, failing: str = "", blocking: bool = False, fails_once: bool = False
) -> dg.JobDefinition:
    """Return a job of three assets.

    Args:
        checks: How many checks ``core`` has.
        partitioned: Whether the assets and checks have the partitions a, b and c.
        failing: The asset that raises after it was materialized, or ``check`` for the first check.
        blocking: Whether checks block what is downstream.
        fails_once: Whether ``core`` asks for one retry.
    """
    partitions = DAYS if partitioned else None
    policy = dg.BackfillPolicy.single_run() if partitioned else None
    names = [f"check_{number}" for number in range(checks)]
    specs = [dg.AssetCheckSpec(name, asset=CORE, blocking=blocking, partitions_def=partitions) for name in names]

    @dg.asset(key=LANDING, partitions_def=partitions, backfill_policy=policy)
    def landing(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        context.log.info("%s is fetched.", context.asset_key.to_user_string())
        if failing == "landing":
            raise dg.Failure("Nothing was fetched.", allow_retries=False)
        return dg.MaterializeResult(metadata={"rows": 1}, data_version=dg.DataVersion("1"))

    @dg.asset(
        key=CORE,
        deps=[LANDING],
        check_specs=specs,
        retry_policy=dg.RetryPolicy(max_retries=1),
        partitions_def=partitions,
        backfill_policy=policy,
    )
    def core(context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield dg.MaterializeResult()
        for name in names:
            if fails_once and context.retry_number == 0 and name == names[-1]:
                raise dg.RetryRequested(max_retries=1)
            yield dg.AssetCheckResult(check_name=name, passed=failing != "check" or name != names[0])

    @dg.asset(key=QUARANTINE, deps=[CORE], partitions_def=partitions, backfill_policy=policy)
    def quarantine(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        for partition in context.partition_keys if partitioned else [None]:
            context.log_event(dg.AssetObservation(QUARANTINE, partition=partition, tags={"dagster/data_version": "2"}))
        return dg.MaterializeResult()

    job = dg.define_asset_job("toy", dg.AssetSelection.all(), executor_def=dg.in_process_executor)
    return dg.Definitions(assets=[landing, core, quarantine], jobs=[job]).resolve_job_def("toy")


def reporting_job() -> dg.JobDefinition:
    """Return a job whose only step logs materializations and evaluations of ``core`` for two partitions, by hand."""

    @dg.op
    def report(context: dg.OpExecutionContext) -> None:
        for partition in ("a", "b"):
            context.log_event(dg.AssetMaterialization(CORE, partition=partition, tags={"dagster/data_version": "3"}))
        for partition in ("a", "b", "a"):
            wanted = dg.AssetRecordsFilter(CORE, [partition])
            (newest,) = context.instance.fetch_materializations(wanted, limit=1).records
            target = AssetCheckEvaluationTargetMaterializationData(
                storage_id=newest.storage_id, run_id=newest.run_id, timestamp=newest.timestamp
            )
            evaluation: Any = dg.AssetCheckEvaluation(
                asset_key=CORE, check_name="by_hand", passed=partition == "a", partition=partition, blocking=True,
                target_materialization_data=target,
            )  # fmt: skip
            context.log_event(evaluation)

    @dg.job(executor_def=dg.in_process_executor)
    def reporting() -> None:
        report()

    return reporting
