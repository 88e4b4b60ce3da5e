"""Expectations as SQL of our own: conditions over single rows, repeated values, and aggregates.

What is translated means what Great Expectations means by it; a test compares the two. Whatever has an argument that is
not listed here, or a value of another type than its column, is not translated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from psycopg import sql

from etl_assets.postgres.tables.expectation_arguments import (
    NUMBERS,
    TRUE,
    Arguments,
    UntranslatableError,
    bound_literal,
    is_number,
    literal,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from etl_assets.model.expectation import Expectation

_SEVERAL: Final = 2
_IGNORED_PAIRS: Final = {
    "both_values_are_missing": "NOT ({a} IS NULL AND {b} IS NULL)",
    "either_value_is_missing": "{a} IS NOT NULL AND {b} IS NOT NULL",
}


@dataclass(frozen=True)
class RowTest:
    """An expectation that each row meets or not.

    Attributes:
        among: Condition of the rows that it is about.
        considered: Condition of those that can break it.
        unexpected: Condition of those that do.
        mostly: The least share of considered rows that must not.
    """

    among: sql.Composable
    considered: sql.Composable
    unexpected: sql.Composable
    mostly: float


@dataclass(frozen=True)
class Uniqueness:
    """An expectation that no two rows have the same values, unless one is null.

    Attributes:
        columns: Names of the columns; of several, none has nulls.
        mostly: The least share of rows whose values no other row has.
    """

    columns: tuple[str, ...]
    mostly: float


@dataclass(frozen=True)
class Aggregate:
    """An expectation about one number of all rows.

    Attributes:
        observed: The number, as an aggregate.
        least: Its least value.
        most: Its greatest value.
        above: Whether it must be greater than the least.
        below: Whether it must be less than the greatest.
        is_value: Whether the number is that of a cell.
    """

    observed: sql.Composable
    least: float | None
    most: float | None
    above: bool = False
    below: bool = False
    is_value: bool = False

    def is_met(self, observed: Any) -> bool:
        """Return whether a number is as expected; none is not, and neither is NaN."""
        if observed is None or math.isnan(observed):
            return False
        low = self.least is None or (observed > self.least if self.above else observed >= self.least)
        high = self.most is None or (observed < self.most if self.below else observed <= self.most)
        return low and high


Translation: TypeAlias = RowTest | Uniqueness | Aggregate


def translate(expectation: Expectation, types: Mapping[str, str], required: frozenset[str]) -> Translation | None:
    """Return an expectation as SQL.

    Args:
        expectation: As declared.
        types: Name of the declared type of each column of the table.
        required: The columns that have no nulls.

    Returns:
        Its translation; None if it has none.
    """
    translator = _TRANSLATORS.get(expectation.type)
    if translator is None:
        return None
    try:
        return translator(Arguments(expectation.arguments, types, required))
    except UntranslatableError:
        return None


def _of_column(
    *names: str, types: frozenset[str] | None, as_expected: Callable[[Arguments, sql.Identifier, str], sql.Composable]
) -> Callable[[Arguments], Translation]:
    """Return a translator of expectations about each value of a column that is not null."""

    def translator(arguments: Arguments) -> Translation:
        arguments.only("column", "mostly", "row_condition", *names)
        column, type_ = arguments.column(types=types)
        return RowTest(
            arguments.among(),
            sql.SQL("{} IS NOT NULL").format(column),
            sql.SQL("NOT ({})").format(as_expected(arguments, column, type_)),
            arguments.mostly(),
        )

    return translator


def _nulls(unexpected: str) -> Callable[[Arguments], Translation]:
    def translator(arguments: Arguments) -> Translation:
        arguments.only("column", "mostly", "row_condition")
        column, _ = arguments.column()
        condition = sql.SQL(unexpected).format(column)
        return RowTest(arguments.among(), TRUE, condition, arguments.mostly())

    return translator


def _between(arguments: Arguments, column: sql.Identifier, type_: str) -> sql.Composable:
    least, most = arguments.bounds() if type_ == "date" else arguments.numbers()
    return _within(
        column, arguments, [None if bound is None else bound_literal(bound, type_) for bound in (least, most)]
    )


def _length_between(arguments: Arguments, column: sql.Identifier, type_: str) -> sql.Composable:
    del type_
    bounds = [None if bound is None else sql.Literal(bound) for bound in arguments.numbers(int)]
    return _within(sql.SQL("length({})").format(column), arguments, bounds)


def _within(value: sql.Composable, arguments: Arguments, bounds: Sequence[sql.Composable | None]) -> sql.Composable:
    least, most = bounds
    conditions = []
    if least is not None:
        above = sql.SQL(">" if arguments.flag("strict_min") else ">=")
        conditions.append(sql.SQL("{} {} {}").format(value, above, least))
    if most is not None:
        below = sql.SQL("<" if arguments.flag("strict_max") else "<=")
        conditions.append(sql.SQL("{} {} {}").format(value, below, most))
    return sql.SQL(" AND ").join(conditions)


def _length_equals(arguments: Arguments, column: sql.Identifier, type_: str) -> sql.Composable:
    del type_
    value = arguments.given.get("value")
    if not isinstance(value, int) or not is_number(value):
        raise UntranslatableError
    return sql.SQL("length({}) = {}").format(column, sql.Literal(value))


def _in_set(arguments: Arguments, column: sql.Identifier, type_: str) -> sql.Composable:
    values = arguments.given.get("value_set")
    if not isinstance(values, list | tuple) or not values:
        raise UntranslatableError
    return sql.SQL("{} IN ({})").format(column, sql.SQL(", ").join(literal(value, type_) for value in values))


def _not_in_set(arguments: Arguments, column: sql.Identifier, type_: str) -> sql.Composable:
    return sql.SQL("NOT ({})").format(_in_set(arguments, column, type_))


def _matching(operator: str, argument: str) -> Callable[[Arguments, sql.Identifier, str], sql.Composable]:
    def as_expected(arguments: Arguments, column: sql.Identifier, type_: str) -> sql.Composable:
        pattern = literal(arguments.given.get(argument), type_)
        return sql.SQL("{} {} {}").format(column, sql.SQL(operator), pattern)

    return as_expected


def _pair(as_expected: str, or_equal: str | None = None) -> Callable[[Arguments], Translation]:
    def translator(arguments: Arguments) -> Translation:
        allowed = () if or_equal is None else ("or_equal",)
        arguments.only("column_A", "column_B", "mostly", "ignore_row_if", "row_condition", *allowed)
        (a, a_type), (b, b_type) = arguments.column("column_A"), arguments.column("column_B")
        if a_type != b_type and not {a_type, b_type} <= NUMBERS:
            raise UntranslatableError
        ignored = _IGNORED_PAIRS.get(str(arguments.given.get("ignore_row_if", "both_values_are_missing")))
        if ignored is None:
            raise UntranslatableError
        met = or_equal if or_equal is not None and arguments.flag("or_equal") else as_expected
        considered = sql.SQL(ignored).format(a=a, b=b)
        unexpected = sql.SQL(f"NOT ({met})").format(a=a, b=b)
        return RowTest(arguments.among(), considered, unexpected, arguments.mostly())

    return translator


def _unique(arguments: Arguments) -> Translation:
    arguments.only("column", "mostly")
    arguments.column()
    return Uniqueness((arguments.given["column"],), arguments.mostly())


def _compound_unique(arguments: Arguments) -> Translation:
    arguments.only("column_list", "mostly")
    columns = arguments.given.get("column_list")
    if not isinstance(columns, list | tuple) or len(columns) < _SEVERAL or not set(columns) <= arguments.required:
        raise UntranslatableError
    return Uniqueness(tuple(columns), arguments.mostly())


def _rows_between(arguments: Arguments) -> Translation:
    arguments.only(*_BOUNDED)
    return _number(arguments, sql.SQL("count(*)"), int)


def _rows_equal(arguments: Arguments) -> Translation:
    arguments.only("value")
    value = arguments.given.get("value")
    if not isinstance(value, int) or not is_number(value):
        raise UntranslatableError
    return Aggregate(sql.SQL("count(*)"), value, value)


def _values_between(arguments: Arguments) -> Translation:
    arguments.only("column", *_BOUNDED)
    column, _ = arguments.column()
    return _number(arguments, sql.SQL("count(DISTINCT {})").format(column), int)


def _extreme(function: str) -> Callable[[Arguments], Translation]:
    def translator(arguments: Arguments) -> Translation:
        arguments.only("column", *_BOUNDED)
        column, _ = arguments.column(types=NUMBERS)
        observed = sql.SQL("{}({})").format(sql.SQL(function), column)
        return replace(_number(arguments, observed, (int, float)), is_value=True)

    return translator


def _number(arguments: Arguments, observed: sql.Composable, kind: type | tuple[type, ...]) -> Aggregate:
    least, most = arguments.numbers(kind)
    return Aggregate(observed, least, most, arguments.flag("strict_min"), arguments.flag("strict_max"))


_TEXT: Final = frozenset({"text"})
_BOUNDED: Final = ("min_value", "max_value", "strict_min", "strict_max")
_TRANSLATORS: Final[Mapping[str, Callable[[Arguments], Translation]]] = {
    "expect_column_values_to_not_be_null": _nulls("{} IS NULL"),
    "expect_column_values_to_be_null": _nulls("{} IS NOT NULL"),
    "expect_column_values_to_be_between": _of_column(*_BOUNDED, types=NUMBERS | {"date"}, as_expected=_between),
    "expect_column_values_to_be_in_set": _of_column("value_set", types=None, as_expected=_in_set),
    "expect_column_values_to_not_be_in_set": _of_column("value_set", types=None, as_expected=_not_in_set),
    "expect_column_values_to_match_regex": _of_column("regex", types=_TEXT, as_expected=_matching("~", "regex")),
    "expect_column_values_to_not_match_regex": _of_column("regex", types=_TEXT, as_expected=_matching("!~", "regex")),
    "expect_column_values_to_match_like_pattern": _of_column(
        "like_pattern", types=_TEXT, as_expected=_matching("LIKE", "like_pattern")
    ),
    "expect_column_values_to_not_match_like_pattern": _of_column(
        "like_pattern", types=_TEXT, as_expected=_matching("NOT LIKE", "like_pattern")
    ),
    "expect_column_value_lengths_to_be_between": _of_column(*_BOUNDED, types=_TEXT, as_expected=_length_between),
    "expect_column_value_lengths_to_equal": _of_column("value", types=_TEXT, as_expected=_length_equals),
    "expect_column_pair_values_a_to_be_greater_than_b": _pair(
        "{a} > {b}", "{a} >= {b} OR ({a} IS NULL AND {b} IS NULL)"
    ),
    "expect_column_pair_values_to_be_equal": _pair("{a} = {b} AND NOT ({a} IS NULL OR {b} IS NULL)"),
    "expect_column_values_to_be_unique": _unique,
    "expect_compound_columns_to_be_unique": _compound_unique,
    "expect_table_row_count_to_be_between": _rows_between,
    "expect_table_row_count_to_equal": _rows_equal,
    "expect_column_unique_value_count_to_be_between": _values_between,
    "expect_column_max_to_be_between": _extreme("max"),
    "expect_column_min_to_be_between": _extreme("min"),
}
