"""Builds the three assets of a source: ``landing/x``, ``core/x`` and ``quarantine/x``.

Module `partition_steps` has what their steps do with a partition, and module `partition_range` runs many partitions in
one step. The annotations are not postponed here, because Dagster reads those of steps.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import dagster as dg

from etl_assets.graph.assets import checks, metadata
from etl_assets.graph.assets.check_results import asset_check_result
from etl_assets.graph.assets.column_lineage import LINEAGE, lineage_of, published_columns
from etl_assets.graph.assets.partition_range import PartitionRange
from etl_assets.graph.assets.partition_steps import Materialize, count_waiting, land_or_retry, load, step_of_run
from etl_assets.graph.keys import SOURCE_TAG, WAREHOUSE, core_key, landing_key, quarantine_key
from etl_assets.graph.partitions import partitions_definition
from etl_assets.graph.run_tags import placement
from etl_assets.graph.runs.failures import message_first
from etl_assets.graph.triggers.conditions import Upstream, in_the_same_run
from etl_assets.model.check_result import CheckResult
from etl_assets.model.trigger import After
from etl_assets.source import Source

_LANDING_VERSION: Final = "1"
"""Which bytes are landed does not depend on the declaration of what they become."""
_LANDING_CONFIG: Final = {
    "file": dg.Field(str, is_required=False, description="Land this file, brought by hand, and not the publisher's."),
    "full": dg.Field(
        bool, default_value=False, description="Fetch everything, if a fetch usually begins where the one before ended."
    ),
    "fetch": dg.Field(
        bool,
        default_value=False,
        description="Fetch even if a poll finds nothing new, and compare the bytes by their hash.",
    ),
}
_CORE_CONFIG: Final = {
    "force": dg.Field(bool, default_value=False, description="Reload a delivery that is complete."),
    "batches": dg.Field(
        [int], default_value=[], description="Reload only these batches of a complete delivery, by number."
    ),
    "accept_deletes": dg.Field(
        bool, default_value=False, description="Consent to the deletion of any number of rows by a snapshot."
    ),
    "compare_keys": dg.Field(
        bool, default_value=False, description="Compare keys with those of the source even if it is not due."
    ),
}


def source_assets(
    source: Source, parents: Iterable[str] = (), upstream: Upstream | None = None, file: str | None = None
) -> list[dg.AssetsDefinition]:
    """Return the three assets of a source.

    Args:
        source: The declaration.
        parents: Names of the sources whose tables it refers to; they are materialized before it.
        upstream: The assets that its trigger names; None if the trigger names none.
        file: The file of the declaration, for a link; None for no link.
    """
    link = metadata.declared_in(file)
    return [_landing(source, link, upstream), _core(source, tuple(parents), link), _quarantine(source)]


def _landing(source: Source, link: metadata.Link, upstream: Upstream | None) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        landing_key(source.name),
        code_version=_LANDING_VERSION,
        deps=upstream.deps if upstream is not None else (),
        automation_condition=upstream.condition if upstream is not None else None,
        description=f"Frozen deliveries of {source.name}, as published.\n\n{source.about}",
        kinds={source.extractor.format.name},
        metadata={"dagster/column_schema": published_columns(source), **link},
    )
    return _asset(source, spec, land_or_retry, _LANDING_CONFIG, checks.landing_specs)


def _core(source: Source, parents: tuple[str, ...], link: metadata.Link) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        core_key(source.name),
        code_version=source.fingerprint,
        deps=[landing_key(source.name), *(_parent_dep(name) for name in parents)],
        automation_condition=_automation_condition(source, landing_key(source.name)),
        description=metadata.description(source),
        kinds={"postgres", source.extractor.format.name},
        freshness_policy=_freshness(source),
        metadata={
            "dagster/column_schema": metadata.column_schema(source.schema),
            LINEAGE: lineage_of(source, parents),
            "dagster/table_name": source.table,
            "dagster/io_manager_key": "io_manager",
            **link,
        },
    )
    return _asset(source, spec, load, _CORE_CONFIG, checks.core_specs)


def _quarantine(source: Source) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        quarantine_key(source.name),
        code_version=source.fingerprint,
        deps=[core_key(source.name)],
        automation_condition=_automation_condition(source, core_key(source.name)),
        description=f"Records of {source.name} that broke a rule and wait to be corrected, replayed or dismissed.",
        kinds={"postgres"},
        metadata={"dagster/table_name": "etl.rejected"},
    )
    return _asset(source, spec, count_waiting)


def _asset(
    source: Source,
    spec: dg.AssetSpec,
    materialize: Materialize,
    config: dict[str, dg.Field] | None = None,
    check_specs: Callable[[Source, dg.PartitionsDefinition[str] | None], list[dg.AssetCheckSpec]] | None = None,
) -> dg.AssetsDefinition:
    """Return one asset of a source, whose step may leave out its materialization and its checks.

    A run of many partitions leaves them out: its first step logs what all steps report of each partition.
    """
    partitions = partitions_definition(source.partitions, source.name)
    together = source.partitions.per_run if source.partitions is not None else 1
    spec = spec.replace_attributes(
        group_name=source.group,
        owners=[source.owner],
        tags={**source.tags, **spec.tags, SOURCE_TAG: source.name},
        metadata={**spec.metadata, **placement(source)},
        skippable=True,
    )

    @dg.multi_asset(
        name=spec.key.to_python_identifier(),
        description=spec.description,
        specs=[spec],
        check_specs=check_specs(source, partitions) if check_specs is not None else (),
        can_subset=True,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(together) if together > 1 else None,
        config_schema=config,
        required_resource_keys={WAREHOUSE},
        pool=source.name,
    )
    def step(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[None] | dg.Output[Any] | dg.AssetCheckResult]:
        with message_first(context.log, context.op_execution_context.retry_number):
            if context.has_partition_key_range:
                PartitionRange(source, context).materialize()
                return
            for report in materialize(step_of_run(source, context, spec.key)):
                yield asset_check_result(report) if isinstance(report, CheckResult) else report

    return _with_all_checks(step)


def _with_all_checks(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Return an asset that is never requested without its checks.

    An asset that can be subset may leave out the results of checks. However, Dagster's automation would request it
    without its checks, together with an asset downstream that has checks of its own.
    """
    return dg.AssetsDefinition.dagster_internal_init(**{**asset.get_attributes_dict(), "can_subset": False})


def _parent_dep(name: str) -> dg.AssetDep:
    """Return the dependency on all partitions of a parent's table."""
    return dg.AssetDep(core_key(name), partition_mapping=dg.AllPartitionMapping())


def _automation_condition(source: Source, before: dg.AssetKey) -> dg.AutomationCondition[Any] | None:
    """Return the condition that requests an asset together with the one before it, if the trigger is `After`.

    The trigger of such a source requests all its assets, and nothing else requests them.
    """
    return in_the_same_run(before) if isinstance(source.trigger, After) else None


def _freshness(source: Source) -> dg.FreshnessPolicy | None:
    return None if source.freshness is None else dg.FreshnessPolicy.time_window(fail_window=source.freshness)
