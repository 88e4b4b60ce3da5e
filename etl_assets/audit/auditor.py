"""The auditor: asks Postgres, through Great Expectations, whether rows are as they are expected to be.

Rows do not leave the database: expectations are asked by aggregate queries. What comes back is counts, and, where
expectations fail, the keys of a few rows; no other value is kept of what the library reports.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from etl_assets.audit import library
from etl_assets.audit.session import reading
from etl_assets.model.check_result import CheckResult
from etl_assets.model.expectation_types import ROWS
from etl_assets.postgres.faults import describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.audit.session import Session
    from etl_assets.model.expectation import Expectation
    from etl_assets.schema import Schema

SAMPLE: Final = 10
"""The keys of so many rows are shown."""
_AT_ONCE: Final = 100
"""So many expectations are asked in one query: each takes two of the 1,664 columns that a result may have."""
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
"""What these observe is a number that is not the contents of any cell."""


@dataclass(frozen=True)
class Auditor:
    """Stands before the rows of one table, or before those of one partition of it.

    Attributes:
        schema: Of the table.
        session: The way to its rows.
    """

    schema: Schema
    session: Session

    def ask(self, expectations: Sequence[Expectation]) -> list[CheckResult]:
        """Ask whether expectations are met.

        Args:
            expectations: Each with a name of its own.

        Returns:
            What is found of each, in the same order. An expectation that cannot be asked is not met.

        Raises:
            TransientLoadError: If the database broke off.
            LoadError: If the database cannot answer anything.
        """
        said: list[CheckResult] = []
        for start in range(0, len(expectations), _AT_ONCE):
            said += self._together(expectations[start : start + _AT_ONCE])
        return said

    def _together(self, expectations: Sequence[Expectation]) -> list[CheckResult]:
        """Ask several in one query; those that raise, and so spoil it, are asked again by themselves."""
        made = {each.name: _made(each) for each in expectations}
        sound = [each for each in made.values() if not isinstance(each, str)]
        suite = library.load().ExpectationSuite(name=self.session.table, expectations=sound)
        counted = self.session.validate(suite, _COUNTED) if sound else None
        answered = {
            result.expectation_config.meta["name"]: result
            for result in getattr(counted, "results", ())
            if not _raised(result)
        }
        return [
            self._answer(each, made[each.name], answered[each.name])
            if each.name in answered
            else self._alone(each, made[each.name])
            for each in expectations
        ]

    def _alone(self, expectation: Expectation, made: Any) -> CheckResult:
        if isinstance(made, str):
            return _not_asked(expectation, made)
        result = self.session.validate(made, _COUNTED)
        if isinstance(result, str):
            trouble = f"It cannot be asked: Great Expectations raised {result}."
        elif self.session.faults:
            trouble = f"It cannot be asked: the database refused with {describe(self.session.faults[0])}."
        elif _raised(result):
            trouble = "It cannot be asked of these columns: look at its arguments and at their types."
        else:
            return self._answer(expectation, made, result)
        return _not_asked(expectation, trouble)

    def _answer(self, expectation: Expectation, made: Any, result: Any) -> CheckResult:
        found = result.result
        observed = found.get("observed_value")
        by_query = expectation.type == ROWS
        failed = int(observed or 0) if by_query else int(found.get("unexpected_count") or 0)
        rows = int(found.get("element_count") or 0)
        if not by_query and not rows:
            failed = 0
        shown = None if by_query else self._shown(expectation, observed)
        return CheckResult(
            expectation.name,
            passed=bool(result.success),
            blocking=expectation.blocking,
            description="" if result.success else _described(failed, rows, shown),
            failed_records=failed,
            records=rows,
            observed=shown,
            keys=self._keys(made, by_query=by_query) if failed and not result.success else (),
        )

    def _shown(self, expectation: Expectation, observed: object) -> float | str | None:
        """What was observed, if it tells of no single record."""
        if expectation.type in _OF_TYPE:
            return str(observed)
        if expectation.type not in _OF_MANY_RECORDS or any(name in self._hidden for name in expectation.columns):
            return None
        try:
            number = float(observed)  # type: ignore[arg-type]  # the library's numbers are of many kinds
        except (TypeError, ValueError):
            return None
        return None if not math.isfinite(number) else int(number) if number.is_integer() else number

    def _keys(self, made: Any, *, by_query: bool) -> tuple[Mapping[str, Any], ...]:
        """The keys of a few rows that are not as expected; none when a key is sensitive."""
        key = self.schema.key
        if any(name in self._hidden for name in key):
            return ()
        asked = {"partial_unexpected_count": SAMPLE, "unexpected_index_column_names": list(key)}
        result = self.session.validate(made, {"result_format": "COMPLETE" if by_query else "SUMMARY", **asked})
        found = getattr(result, "result", {})
        rows = (
            found.get("details", {}).get("unexpected_rows") if by_query else found.get("partial_unexpected_index_list")
        )
        whole = [row for row in rows or () if row.keys() >= set(key)]
        return tuple({name: _plain(row[name]) for name in key} for row in whole[:SAMPLE])

    @property
    def _hidden(self) -> frozenset[str]:
        return frozenset(column.name for column in self.schema.columns if column.sensitive)


@contextmanager
def auditor(url: str, schema: Schema, table: str, deliveries: Sequence[int] | None = None) -> Iterator[Auditor]:
    """An auditor for the length of a block. It reads in sessions of its own that cannot write.

    Args:
        url: ``postgresql://…`` of the warehouse.
        schema: Of the table.
        table: ``schema.table``; it exists.
        deliveries: Only the rows that these brought; all rows when None.

    Raises:
        TransientLoadError: If the database broke off.
        LoadError: If the table cannot be read.
    """
    with reading(url, table, deliveries) as session:
        yield Auditor(schema, session)


def _not_asked(expectation: Expectation, why: str) -> CheckResult:
    """The result of an expectation that could not be asked."""
    return CheckResult(expectation.name, passed=False, blocking=expectation.blocking, description=why)


def _described(failed: int, rows: int, observed: float | str | None) -> str:
    """What is not as expected, in words, without record contents."""
    if failed:
        if rows:
            return f"{failed} of {rows} rows do not meet it."
        return "1 row does not meet it." if failed == 1 else f"{failed} rows do not meet it."
    return "The table does not meet it." if observed is None else f"Found was {observed}."


def _made(expectation: Expectation) -> Any:
    """Great Expectations' own object, or a text that says what is wrong with its arguments."""
    try:
        return _class_of(expectation.type)(**expectation.arguments, meta={"name": expectation.name})
    except (TypeError, ValueError, LookupError, ImportError, AttributeError) as error:
        return f"It cannot be asked with these arguments: {' '.join(str(error).split())}"


def _class_of(type_: str) -> Any:
    module, _, name = type_.partition(":")
    if name:
        return getattr(import_module(module), name)
    return library.part("expectations.registry").get_expectation_impl(type_)


def _raised(result: Any) -> bool:
    """Whether a result is one of an exception: of the whole expectation, or of some of its metrics by name."""
    told = result.exception_info or {}
    return bool(told.get("raised_exception", any(isinstance(each, dict) for each in told.values())))


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
