"""One table held against all that its schema declares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from etl_assets.audit.auditor import auditor
from etl_assets.audit.suite import compiled
from etl_assets.postgres.connection import connected
from etl_assets.postgres.tables.ddl import exists

if TYPE_CHECKING:
    from etl_assets.audit.suite import Suite
    from etl_assets.model.check_result import CheckResult
    from etl_assets.model.expectation import Expectation
    from etl_assets.source import Source


@dataclass(frozen=True)
class Examination:
    """What was found of one table.

    Attributes:
        source: Name of the source.
        table: ``schema.table``.
        at: When it was asked, by this process's clock.
        suite: The schema, said as expectations.
        answers: One for each expectation of the suite, in its order.
    """

    source: str
    table: str
    at: datetime
    suite: Suite
    answers: tuple[CheckResult, ...]

    @property
    def disagreements(self) -> list[tuple[Expectation, CheckResult]]:
        """The expectations that are not met, with what the auditor says of each."""
        pairs = zip(self.suite.expectations, self.answers, strict=True)
        return [(expectation, said) for expectation, said in pairs if not said.passed]

    @property
    def rows(self) -> int:
        """How many rows the table had."""
        return max((said.records for said in self.answers), default=0)


def examine(source: Source, url: str) -> Examination | None:
    """Hold the stored table of a source against its schema.

    Loads may go on meanwhile: each question is one statement, which sees whole batches.

    Args:
        source: The declaration.
        url: ``postgresql://…`` of the warehouse.

    Returns:
        None if the table is not there yet.

    Raises:
        TransientLoadError: If the database broke off.
        LoadError: If the table cannot be read.
    """
    with connected(url) as connection:
        if not exists(connection, source.table):
            return None
    suite = compiled(source.schema)
    at = datetime.now(UTC)
    with auditor(url, source.schema, source.table) as asked:
        said = tuple(asked.ask(suite.expectations))
    return Examination(source.name, source.table, at, suite, said)
