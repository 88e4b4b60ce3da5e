"""Evaluate expectations over stored rows in Postgres, through Great Expectations.

Rows do not leave the database: aggregate queries evaluate the expectations. The results are counts, and, for
expectations that fail, the keys of a few rows. No other value that the library reports is kept.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from etl_assets.audit import library
from etl_assets.audit.results import SAMPLE, describe_unmet, is_shown, plain
from etl_assets.audit.session import open_session
from etl_assets.model.check_result import CheckResult
from etl_assets.model.expectation_types import ROWS
from etl_assets.postgres.faults import describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.audit.session import Session
    from etl_assets.model.expectation import Expectation
    from etl_assets.schema import Schema

_MOST_PER_QUERY: Final = 100
"""Maximum number of expectations in one query: each takes two of the 1,664 columns that a result may have."""
_COUNTED: Final = {"result_format": "BASIC", "partial_unexpected_count": 0}
_OF_TYPE: Final = frozenset({"expect_column_type_to_be", "expect_column_values_to_be_of_type"})
_OF_MANY_RECORDS: Final = frozenset(
    {
        "expect_column_kl_divergence_to_be_less_than",
        "expect_column_mean_to_be_between",
        "expect_column_proportion_of_non_null_values_to_be_between",
        "expect_column_proportion_of_unique_values_to_be_between",
        "expect_column_stdev_to_be_between",
        "expect_column_sum_to_be_between",
        "expect_column_unique_value_count_to_be_between",
        "expect_table_column_count_to_be_between",
        "expect_table_column_count_to_equal",
        "expect_table_row_count_to_be_between",
        "expect_table_row_count_to_equal",
        "expect_table_row_count_to_equal_other_table",
    }
)
"""These observe a number that is not the contents of any cell."""


@dataclass(frozen=True)
class Auditor:
    """Evaluates expectations over the rows of one table, or over the rows of some deliveries.

    Attributes:
        schema: Schema of the table.
        session: Session on its rows.
    """

    schema: Schema
    session: Session

    def evaluate(self, expectations: Sequence[Expectation]) -> list[CheckResult]:
        """Evaluate expectations.

        Args:
            expectations: Each must have a different name.

        Returns:
            The result of each, in the same order. An expectation that cannot be evaluated is not met.

        Raises:
            TransientLoadError: If the database broke off.
            LoadError: If the database cannot answer any query.
        """
        results: list[CheckResult] = []
        for start in range(0, len(expectations), _MOST_PER_QUERY):
            results += self._evaluate_together(expectations[start : start + _MOST_PER_QUERY])
        return results

    def _evaluate_together(self, expectations: Sequence[Expectation]) -> list[CheckResult]:
        """Evaluate several expectations in one query; evaluate those that raised, and made it fail, one by one."""
        objects = {expectation.name: _construct(expectation) for expectation in expectations}
        valid = [object_ for object_ in objects.values() if not isinstance(object_, str)]
        suite = library.load().ExpectationSuite(name=self.session.table, expectations=valid)
        counted = self.session.validate(suite, _COUNTED) if valid else None
        results = {
            result.expectation_config.meta["name"]: result
            for result in getattr(counted, "results", ())
            if not _has_exception(result)
        }
        return [
            self._check_result(expectation, objects[expectation.name], results[expectation.name])
            if expectation.name in results
            else self._evaluate_alone(expectation, objects[expectation.name])
            for expectation in expectations
        ]

    def _evaluate_alone(self, expectation: Expectation, object_: Any) -> CheckResult:
        if isinstance(object_, str):
            return _not_evaluated(expectation, object_)
        result = self.session.validate(object_, _COUNTED)
        if isinstance(result, str):
            problem = f"It cannot be evaluated: Great Expectations raised {result}."
        elif self.session.faults:
            problem = f"It cannot be evaluated: the database refused with {describe(self.session.faults[0])}."
        elif _has_exception(result):
            problem = "It cannot be evaluated on these columns: check its arguments and the columns' types."
        else:
            return self._check_result(expectation, object_, result)
        return _not_evaluated(expectation, problem)

    def _check_result(self, expectation: Expectation, object_: Any, result: Any) -> CheckResult:
        details = result.result
        observed = details.get("observed_value")
        by_query = expectation.type == ROWS
        failed = int(observed or 0) if by_query else int(details.get("unexpected_count") or 0)
        rows = int(details.get("element_count") or 0)
        if not by_query and not rows:
            failed = 0
        shown = None if by_query else self._observed_to_show(expectation, observed)
        return CheckResult(
            expectation.name,
            passed=bool(result.success),
            blocking=expectation.blocking,
            description="" if result.success else describe_unmet(failed, rows, shown),
            failed_records=failed,
            records=rows,
            observed=shown,
            keys=self._keys(object_, by_query=by_query) if failed and not result.success else (),
        )

    def _observed_to_show(self, expectation: Expectation, observed: object) -> float | str | None:
        """Return what was observed, if it reveals no single record; otherwise None."""
        if expectation.type in _OF_TYPE:
            return str(observed)
        if expectation.type not in _OF_MANY_RECORDS or not is_shown(self.schema, expectation.columns):
            return None
        try:
            number = float(observed)  # type: ignore[arg-type]  # the library's numbers are of many kinds
        except (TypeError, ValueError):
            return None
        return None if not math.isfinite(number) else int(number) if number.is_integer() else number

    def _keys(self, object_: Any, *, by_query: bool) -> tuple[Mapping[str, Any], ...]:
        """Return the keys of a few rows that are not as expected; none if a key column is sensitive."""
        key = self.schema.key
        if not key or not is_shown(self.schema, key):
            return ()
        wanted = {"partial_unexpected_count": SAMPLE, "unexpected_index_column_names": list(key)}
        result = self.session.validate(object_, {"result_format": "COMPLETE" if by_query else "SUMMARY", **wanted})
        found = getattr(result, "result", {})
        rows = (
            found.get("details", {}).get("unexpected_rows") if by_query else found.get("partial_unexpected_index_list")
        )
        with_key = [row for row in rows or () if row.keys() >= set(key)]
        return tuple({name: plain(row[name]) for name in key} for row in with_key[:SAMPLE])


@contextmanager
def open_auditor(
    url: str, schema: Schema, table: str, deliveries: Sequence[int] | None = None, *, marked: bool = False
) -> Iterator[Auditor]:
    """Open an auditor for the length of a block. It reads in its own sessions, which cannot write.

    Args:
        url: ``postgresql://…`` of the warehouse.
        schema: Schema of the table.
        table: ``schema.table``; it exists.
        deliveries: Ids of deliveries; only their rows are read. All rows when None.
        marked: Whether the table has rows that are marked as deleted; they are left out.

    Raises:
        TransientLoadError: If the database broke off.
        LoadError: If the table cannot be read.
    """
    with open_session(url, table, deliveries, marked=marked) as session:
        yield Auditor(schema, session)


def _not_evaluated(expectation: Expectation, reason: str) -> CheckResult:
    """Return the result of an expectation that could not be evaluated."""
    return CheckResult(expectation.name, passed=False, blocking=expectation.blocking, description=reason)


def _construct(expectation: Expectation) -> Any:
    """Make Great Expectations' object of an expectation, or a text that describes what is wrong with its arguments."""
    try:
        return _class_of(expectation.type)(**expectation.arguments, meta={"name": expectation.name})
    except (TypeError, ValueError, LookupError, ImportError, AttributeError) as error:
        return f"It cannot be evaluated with these arguments: {' '.join(str(error).split())}"


def _class_of(type_: str) -> Any:
    module, _, name = type_.partition(":")
    if name:
        return getattr(import_module(module), name)
    return library.load_submodule("expectations.registry").get_expectation_impl(type_)


def _has_exception(result: Any) -> bool:
    """Whether a result reports an exception of the whole expectation, or of some of its metrics by name."""
    info = result.exception_info or {}
    return bool(info.get("raised_exception", any(isinstance(metric, dict) for metric in info.values())))
