"""The declared expectations of a source as asset checks of ``core/x``, in one step that comes after the table.

Great Expectations is loaded inside the step and asks Postgres; no row leaves the database. Dagster reads the
annotations of steps, which is why they are not postponed here.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets.audit.auditor import auditor
from etl_assets.errors import LoadError
from etl_assets.graph.assets.check_results import asset_check_result
from etl_assets.graph.assets.checks import spec
from etl_assets.graph.keys import WAREHOUSE, core_key
from etl_assets.graph.partitions import partitions_definition
from etl_assets.graph.runs.retries import retried, retrying
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.model.check_result import CheckResult
from etl_assets.model.expectation import Expectation
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.tables.audit_queries import deliveries_of
from etl_assets.postgres.tables.ddl import exists
from etl_assets.source import Source

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse

PHASE: Final = "expectations"


def expectation_checks(source: Source) -> list[dg.AssetChecksDefinition]:
    """The step that holds the stored table against the declared expectations; nothing when there are none.

    Of a source with partitions only the rows that the partition brought are asked about, whatever other partitions
    hold.
    """
    if not source.expectations:
        return []
    partitions = partitions_definition(source.partitions, source.name)
    key = core_key(source.name)

    @dg.multi_asset_check(
        name=f"{PHASE}__{source.name}",
        description=f"Hold {source.table} against its declared expectations, in the database.",
        specs=[spec(each.name, key, _about(each), partitions, blocking=each.blocking) for each in source.expectations],
        required_resource_keys={WAREHOUSE},
        pool=source.name,
    )
    def asked(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        warehouse: Warehouse = context.resources.warehouse.open()
        partition = context.partition_key if context.has_partition_key else ""
        tries = context.retry_number
        record = RunRecord.of(warehouse.url, context.run, source, partition, PHASE, tries)
        with retrying(tries), record.watching(retried(tries)):
            delivery, said = _ask(source, warehouse.url, partition)
            record.checks(delivery, said)
            yield from map(asset_check_result, said)
            if unmet := [each.name for each in said if each.blocking and not each.passed]:
                raise LoadError(
                    f"{source.table} was loaded, and is not as expected: {', '.join(unmet)}. What was written stays. "
                    "Look at the results of these checks; correct the feed, or the expectation if it expects too much."
                )

    return [asked]


def _ask(source: Source, url: str, partition: str) -> tuple[int | None, list[CheckResult]]:
    """The newest delivery concerned, and what is found of each expectation."""
    with connected(url) as connection:
        newest = deliveries.newest(connection, source.name, partition)
        brought = deliveries_of(connection, source.name, partition) if partition else None
        there = exists(connection, source.table)
    if not there:
        missing = f"There is no table {source.table}; materialize {core_key(source.name).to_user_string()} first."
        return None, [
            CheckResult(each.name, passed=False, blocking=each.blocking, description=missing)
            for each in source.expectations
        ]
    with auditor(url, source.schema, source.table, brought) as asked:
        return newest.id if newest else None, asked.ask(source.expectations)


def _about(expectation: Expectation) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in expectation.arguments.items())
    asked = f"`{expectation.type}({arguments})`"
    return f"{expectation.description}\n\n{asked}" if expectation.description else asked
