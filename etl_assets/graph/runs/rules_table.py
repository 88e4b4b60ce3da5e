"""The table of a check that has several rules: written into Dagster's metadata, and read from it for the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets.model.check_result import CheckResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RULES: Final = "rules"
RECORDS: Final = "records"
FAILED: Final = "failed records"
_RULE: Final = "rule"
_REQUIRES: Final = "requires that"
_PLACES: Final = "first of them"
_SCHEMA: Final = dg.TableSchema(
    columns=[
        dg.TableColumn(_RULE, "string"),
        dg.TableColumn(_REQUIRES, "string"),
        dg.TableColumn(FAILED, "int"),
        dg.TableColumn(_PLACES, "string"),
    ]
)


def rules_table(rules: Iterable[CheckResult]) -> dg.TableMetadataValue:
    """Return the results of the rules of a check as a table, in the given order."""
    records = [
        dg.TableRecord(
            {
                _RULE: rule.name,
                _REQUIRES: rule.requires,
                FAILED: rule.failed_records,
                _PLACES: "; ".join(rule.places),
            }
        )
        for rule in rules
    ]
    return dg.MetadataValue.table(records, _SCHEMA)


def rule_results(metadata: Mapping[str, dg.MetadataValue]) -> list[CheckResult]:
    """Return the results of rules that the metadata of a check has as a table; none if it has no such table."""
    table, records = metadata.get(RULES), metadata.get(RECORDS)
    if not isinstance(table, dg.TableMetadataValue) or table.schema != _SCHEMA:
        return []
    number = records.value if isinstance(records, dg.IntMetadataValue) else 0
    return [_rule_result(record, number or 0) for record in table.records]


def _rule_result(record: dg.TableRecord, records: int) -> CheckResult:
    name, requires, broken, places = (record.data[column.name] for column in _SCHEMA.columns)
    found = [str(places)] if places else []
    return CheckResult.of_rule(str(name), str(requires), int(broken or 0), records, places=found)
