"""Evaluate expectations over some rows: by SQL of our own, and by Great Expectations where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.audit import own_queries
from etl_assets.model.expectation_types import OF_ALL_ROWS
from etl_assets.postgres.connection import in_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.audit.scope import Scope
    from etl_assets.model.check_result import CheckResult
    from etl_assets.model.expectation import Expectation
    from etl_assets.schema import Schema


def evaluate(url: str, schema: Schema, scope: Scope, expectations: Sequence[Expectation]) -> list[CheckResult]:
    """Evaluate expectations. Great Expectations is imported only if one of them needs it.

    One that blocks and is about all rows is evaluated over all rows, if neither the ledger nor an index has the answer.

    Args:
        url: ``postgresql://…`` of the warehouse.
        schema: Schema of the table.
        scope: The rows.
        expectations: Each must have a different name.

    Returns:
        The result of each, in the same order. An expectation that cannot be evaluated is not met.

    Raises:
        TransientLoadError: If the database broke off.
        LoadError: If the table cannot be read.
    """
    if not expectations:
        return []
    results = in_session(
        url,
        lambda connection: own_queries.evaluate(connection, schema, scope, expectations),
        f"Checking {scope.table} against its expectations",
    )
    if scope.is_part:
        about_all = [each for each in expectations if each.name not in results and each.type in OF_ALL_ROWS]
        results |= {result.name: result for result in evaluate(url, schema, scope.of_all_rows(), about_all)}
    if left := [expectation for expectation in expectations if expectation.name not in results]:
        from etl_assets.audit.auditor import open_auditor  # noqa: PLC0415 -- imports SQLAlchemy

        with open_auditor(url, schema, scope.table, scope.deliveries, marked=scope.marked) as auditor:
            results |= {result.name: result for result in auditor.evaluate(left)}
    return [results[expectation.name] for expectation in expectations]
