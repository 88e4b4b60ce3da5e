"""Converts check results to Dagster's. It evaluates nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets.graph.runs.rules_table import FAILED, RECORDS, RULES, rules_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData,
    )

    from etl_assets.model.check_result import CheckResult, Fact

WORST: Final = "failed records of the worst rule"


def in_order(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Return results as they are reported: those that block a run first, of these and of the others the failed ones."""
    return sorted(results, key=lambda result: (not result.blocking, result.passed))


def asset_check_result(result: CheckResult) -> dg.AssetCheckResult:
    """Return the result for a step that succeeds, or that fails because of this result."""
    return dg.AssetCheckResult(
        check_name=result.name,
        passed=result.passed,
        severity=_severity(result),
        description=result.description or None,
        metadata=_metadata(result),
    )


def asset_check_evaluation(
    result: CheckResult,
    key: dg.AssetKey,
    partition: str | None,
    target: AssetCheckEvaluationTargetMaterializationData | None = None,
) -> dg.AssetCheckEvaluation:
    """Return the result for a step that does not yield it: one that fails, or that is not of the asset.

    Args:
        result: The result of a check of the asset.
        key: Key of the asset.
        partition: Key of the partition; None for an asset without partitions.
        target: The materialization that was checked; None if there is none.
    """
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=result.name,
        passed=result.passed,
        severity=_severity(result),
        description=result.description or None,
        metadata=_metadata(result),
        blocking=result.blocking,
        partition=partition,
        target_materialization_data=target,
    )


def facts_table(facts: Sequence[Fact]) -> dg.TableMetadataValue:
    """Return facts that have the same names as a table, with a column of texts, integers or booleans for each name."""
    types = {str: "string", int: "int", bool: "bool"}
    columns = [dg.TableColumn(name, types[type(value)]) for name, value in facts[0].items()]
    records = [dg.TableRecord(dict(fact)) for fact in facts]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=columns))


def keys_table(keys: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Return the keys of at least one row as a table of texts."""
    return facts_table([{name: str(value) for name, value in key.items()} for key in keys])


def _severity(result: CheckResult) -> dg.AssetCheckSeverity:
    """Return ERROR if the result fails the run, otherwise WARN."""
    return dg.AssetCheckSeverity.ERROR if result.blocking else dg.AssetCheckSeverity.WARN


def _metadata(result: CheckResult) -> dict[str, dg.MetadataValue]:
    metadata: dict[str, dg.MetadataValue] = {RECORDS: dg.MetadataValue.int(result.records)}
    if result.rules:
        metadata[WORST] = dg.MetadataValue.int(result.failed_records)
        metadata[RULES] = rules_table(result.rules)
    elif not result.facts:
        metadata[FAILED] = dg.MetadataValue.int(result.failed_records)
    if isinstance(result.observed, str):
        metadata["observed"] = dg.MetadataValue.text(result.observed)
    elif result.observed is not None:
        metadata["observed"] = dg.MetadataValue.float(float(result.observed))
    if result.places:
        metadata["first of them"] = dg.MetadataValue.md("\n".join(f"* {place}" for place in result.places))
    if result.keys:
        metadata["keys of the first of them"] = keys_table(result.keys)
    if result.facts:
        metadata["facts"] = facts_table(result.facts)
    return metadata
