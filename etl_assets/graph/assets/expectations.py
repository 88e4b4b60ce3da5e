"""The declared expectations of a source as asset checks of ``core/x``, in one step after the load of the table.

Postgres evaluates them over the rows that the run is about; no row leaves the database. The annotations are not
postponed here, because Dagster reads those of steps.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets.audit.evaluation import evaluate
from etl_assets.audit.scope import Scope, written_by
from etl_assets.errors import LoadError
from etl_assets.graph.assets.check_results import asset_check_result, in_order
from etl_assets.graph.assets.checks import spec
from etl_assets.graph.keys import WAREHOUSE, core_key
from etl_assets.graph.partitions import partitions_definition
from etl_assets.graph.runs.failures import message_first
from etl_assets.graph.runs.retries import retried_errors, retrying
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.model.check_result import CheckResult
from etl_assets.model.expectation import Expectation
from etl_assets.postgres.connection import Connection, in_session
from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.tables.ddl import exists
from etl_assets.source import Source

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse

PHASE: Final = "expectations"


def expectation_checks(source: Source) -> list[dg.AssetChecksDefinition]:
    """Return the step that validates the declared expectations of a source; nothing if it declares none."""
    if not source.expectations:
        return []
    partitions = partitions_definition(source.partitions, source.name)
    key = core_key(source.name)

    @dg.multi_asset_check(
        name=f"{PHASE}__{source.name}",
        description=f"Validate the declared expectations of {source.table}, in the database.",
        specs=[_spec(expectation, key, partitions) for expectation in source.expectations],
        required_resource_keys={WAREHOUSE},
        pool=source.name,
    )
    def validate(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        warehouse: Warehouse = context.resources.warehouse.open()
        partition = context.partition_key if context.has_partition_key else ""
        tries = context.retry_number
        record = RunRecord.of(warehouse.url, context.run, source, partition, PHASE, tries)
        with message_first(context.log, tries), retrying(tries), record.entering_errors(retried_errors(tries)):
            yield from map(asset_check_result, validated(source, record))

    return [validate]


def validated(source: Source, record: RunRecord) -> Iterator[CheckResult]:
    """Validate the declared expectations of a source, and enter the results.

    Args:
        source: The declaration.
        record: Of the step that validates a partition.

    Yields:
        One result for each expectation; those that block first.

    Raises:
        LoadError: After the last result, if a blocking expectation is not met.
    """
    delivery, results = _validate(source, record.url, record.partition, record.run_id, source.expectations)
    record.checks(delivery, results)
    yield from results
    if unmet := [result.name for result in results if result.blocking and not result.passed]:
        raise LoadError(
            f"{source.table} was loaded, but is not as expected: {', '.join(unmet)}. The written rows stay. "
            "Read the results of these checks; correct the feed, or the expectation if it expects too much."
        )


def blocking_results(source: Source, url: str, partition: str, run_id: str) -> list[CheckResult]:
    """Return the results of the blocking expectations of a source, for what a partition brought, as the table is now.

    Args:
        source: The declaration.
        url: Of the warehouse.
        partition: Key of the partition; empty if the source has none.
        run_id: Of the run that changed it.
    """
    blocking = tuple(expectation for expectation in source.expectations if expectation.blocking)
    return _validate(source, url, partition, run_id, blocking)[1] if blocking else []


def _validate(
    source: Source, url: str, partition: str, run_id: str, expectations: Sequence[Expectation]
) -> tuple[int | None, list[CheckResult]]:
    """Return the id of the newest delivery concerned, and one check result for each expectation."""
    newest, scope = in_session(
        url,
        lambda session: (
            deliveries.newest(session, source.name, partition),
            _scope(session, source, partition, run_id),
        ),
    )
    if scope is None:
        missing = f"There is no table {source.table}; materialize {core_key(source.name).to_user_string()} first."
        return None, [
            CheckResult(expectation.name, passed=False, blocking=expectation.blocking, description=missing)
            for expectation in expectations
        ]
    return newest.id if newest else None, in_order(evaluate(url, source.schema, scope, expectations))


def _scope(session: Connection, source: Source, partition: str, run_id: str) -> Scope | None:
    """Return the rows that a run is about; None if there is no table."""
    return written_by(session, source, partition, run_id) if exists(session, source.table) else None


def _spec(
    expectation: Expectation, key: dg.AssetKey, partitions: dg.PartitionsDefinition[str] | None
) -> dg.AssetCheckSpec:
    return spec(expectation.name, key, _description(expectation), partitions, blocking=expectation.blocking)


def _description(expectation: Expectation) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in expectation.arguments.items())
    call = f"`{expectation.type}({arguments})`"
    return f"{expectation.description}\n\n{call}" if expectation.description else call
