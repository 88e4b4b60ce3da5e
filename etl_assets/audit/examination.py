"""Audit one table against everything that is declared of it, and its number of rows against the ledger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from etl_assets.audit.auditor import open_auditor
from etl_assets.audit.suite import compile_suite, declared, row_count
from etl_assets.model.check_result import CheckResult
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.ledger.conservation import stored_and_entered
from etl_assets.postgres.ledger.invariants import ROWS_BY_HAND
from etl_assets.postgres.runs.results import complete_partitions
from etl_assets.postgres.tables.ddl import columns_of, exists
from etl_assets.postgres.tables.marks import has_marks

if TYPE_CHECKING:
    from etl_assets.audit.suite import Suite
    from etl_assets.model.expectation import Expectation
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source


@dataclass(frozen=True)
class TableAudit:
    """The results of one audit of one table.

    Attributes:
        source: Name of the source.
        table: ``schema.table``.
        at: When the audit began, by this process's clock.
        suite: The expectations of the schema, the declared ones, and that of the number of rows.
        answers: One result for each expectation of the suite, in its order.
        not_loaded: Columns that are declared and that no load has added yet.
    """

    source: str
    table: str
    at: datetime
    suite: Suite
    answers: tuple[CheckResult, ...]
    not_loaded: tuple[str, ...] = ()

    @property
    def disagreements(self) -> list[tuple[Expectation, CheckResult]]:
        """The expectations that are not met, each with its result."""
        pairs = zip(self.suite.expectations, self.answers, strict=True)
        return [(expectation, result) for expectation, result in pairs if not result.passed]

    @property
    def rows(self) -> int:
        """How many rows the table had."""
        return max((result.records for result in self.answers), default=0)


def audit_table(source: Source, url: str) -> TableAudit | None:
    """Check the stored table of a source against its declaration and the ledger.

    Loads may run at the same time: each query is one statement, which sees only whole batches.

    Args:
        source: The declaration.
        url: ``postgresql://…`` of the warehouse.

    Returns:
        The results; None if the table does not exist yet.

    Raises:
        TransientLoadError: If the database broke off.
        LoadError: If the table cannot be read.
    """
    there, marked, not_loaded = in_session(
        url,
        lambda connection: (
            exists(connection, source.table),
            has_marks(connection, source.table),
            _not_loaded(connection, source),
        ),
    )
    if not there:
        return None
    at = datetime.now(UTC)
    count, counted = in_session(url, lambda connection: _row_count(connection, source))
    suite = compile_suite(source.schema, not_loaded)
    asked = (*suite.expectations, *declared(source, not_loaded))
    with open_auditor(url, source.schema, source.table, marked=marked) as table_auditor:
        results = table_auditor.evaluate(asked)
    suite = replace(suite, expectations=(*asked, count))
    return TableAudit(source.name, source.table, at, suite, (*results, counted), not_loaded)


def _not_loaded(connection: Connection, source: Source) -> tuple[str, ...]:
    """Return the declared columns that the table lacks, and that no load can have added.

    After a load under the declaration the table has every column, or somebody has taken it away.
    """
    columns = columns_of(connection, source.table)
    lacking = tuple(name for name in source.schema.names if name not in columns)
    if not lacking or complete_partitions(connection, source.name, source.fingerprint):
        return ()
    return lacking


def _row_count(connection: Connection, source: Source) -> tuple[Expectation, CheckResult]:
    """Count the rows of the table, and compare their number with that of the ledger."""
    stored, entered = stored_and_entered(connection, source.name, source.stored_table)
    expectation = row_count(entered)
    return expectation, CheckResult(
        expectation.name,
        passed=stored == entered,
        description="" if stored == entered else f"It has {stored} rows, and the ledger {entered}. {ROWS_BY_HAND}.",
        observed=stored,
    )
