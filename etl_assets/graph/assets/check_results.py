"""A check result as Dagster shows it. Nothing is judged here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from etl_assets.model.check_result import CheckResult, Fact

RECORDS = "records"
FAILED = "failed records"


def asset_check_result(result: CheckResult) -> dg.AssetCheckResult:
    """For a step that ends well, or by this result."""
    return dg.AssetCheckResult(
        check_name=result.name,
        passed=result.passed,
        severity=_severity(result),
        description=result.description or None,
        metadata=_metadata(result),
    )


def asset_check_evaluation(result: CheckResult, key: dg.AssetKey, partition: str | None) -> dg.AssetCheckEvaluation:
    """For a step that fails by an error of its own.

    Args:
        result: Of a check of the asset.
        key: Of the asset.
        partition: Key of the partition; None for an asset without partitions.
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
    )


def facts_table(facts: Sequence[Fact]) -> dg.TableMetadataValue:
    """Rows that all have the same columns, as a table: a column of texts, numbers or truths for each name."""
    types = {str: "string", int: "int", bool: "bool"}
    columns = [dg.TableColumn(name, types[type(value)]) for name, value in facts[0].items()]
    records = [dg.TableRecord(dict(fact)) for fact in facts]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=columns))


def keys_table(keys: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """The keys of a few rows, as texts; there is at least one."""
    return facts_table([{name: str(value) for name, value in key.items()} for key in keys])


def _severity(result: CheckResult) -> dg.AssetCheckSeverity:
    """ERROR where the run must fail, WARN otherwise."""
    return dg.AssetCheckSeverity.ERROR if result.blocking else dg.AssetCheckSeverity.WARN


def _metadata(result: CheckResult) -> dict[str, dg.MetadataValue]:
    found: dict[str, dg.MetadataValue] = {RECORDS: dg.MetadataValue.int(result.records)}
    if not result.facts:
        found[FAILED] = dg.MetadataValue.int(result.failed_records)
    if isinstance(result.observed, str):
        found["observed"] = dg.MetadataValue.text(result.observed)
    elif result.observed is not None:
        found["observed"] = dg.MetadataValue.float(float(result.observed))
    if result.places:
        found["first of them"] = dg.MetadataValue.md("\n".join(f"* {place}" for place in result.places))
    if result.keys:
        found["keys of the first of them"] = keys_table(result.keys)
    if result.facts:
        found["facts"] = facts_table(result.facts)
    return found
