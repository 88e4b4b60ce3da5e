"""Audit one table against everything that its schema declares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from etl_assets.audit.auditor import open_auditor
from etl_assets.audit.suite import compile_suite
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.tables.ddl import exists
from etl_assets.postgres.tables.marks import has_marks

if TYPE_CHECKING:
    from etl_assets.audit.suite import Suite
    from etl_assets.model.check_result import CheckResult
    from etl_assets.model.expectation import Expectation
    from etl_assets.source import Source


@dataclass(frozen=True)
class TableAudit:
    """The results of one audit of one table.

    Attributes:
        source: Name of the source.
        table: ``schema.table``.
        at: When the audit began, by this process's clock.
        suite: The expectations of the schema.
        answers: One result for each expectation of the suite, in its order.
    """

    source: str
    table: str
    at: datetime
    suite: Suite
    answers: tuple[CheckResult, ...]

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
    """Check the stored table of a source against its schema.

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
    there, marked = in_session(
        url, lambda connection: (exists(connection, source.table), has_marks(connection, source.table))
    )
    if not there:
        return None
    suite = compile_suite(source.schema)
    at = datetime.now(UTC)
    with open_auditor(url, source.schema, source.table, marked=marked) as table_auditor:
        results = tuple(table_auditor.evaluate(suite.expectations))
    return TableAudit(source.name, source.table, at, suite, results)
