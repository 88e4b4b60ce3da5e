"""Expectations as SQL of our own: conditions over single rows, repeated values, and aggregates.

What is translated means what Great Expectations means by it; a test compares the two. Whatever has an argument that is
not listed here, or a value of another type than its column, is not translated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from etl_assets.model.expectation import Expectation

_EXACT: Final = 2**53
"""Up to here every integer is a float."""
_SEVERAL: Final = 2
_NUMBERS: Final = frozenset({"integer", "decimal", "float"})
_TRUE: Final = sql.SQL("true")
_COMPARISONS: Final = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
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


class _UntranslatableError(Exception):
    """An argument has no translation."""


@dataclass(frozen=True)
class _Arguments:
    """The arguments of an expectation, over columns with types.

    Attributes:
        given: The arguments.
        types: Name of the type of each column that is declared.
        required: The columns without nulls.
    """

    given: Mapping[str, Any]
    types: Mapping[str, str]
    required: frozenset[str]

    def only(self, *names: str) -> None:
        """Refuse arguments with other names."""
        if not set(self.given) <= set(names):
            raise _UntranslatableError

    def column(self, argument: str = "column", types: frozenset[str] | None = None) -> tuple[sql.Identifier, str]:
        """Return a column that an argument names, and its type, which must be among some types."""
        type_ = self.types.get(str(self.given.get(argument)))
        if type_ is None or (types is not None and type_ not in types):
            raise _UntranslatableError
        return sql.Identifier(self.given[argument]), type_

    def mostly(self) -> float:
        """Return the least share of rows that must be as expected."""
        mostly = self.given.get("mostly", 1)
        if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 <= mostly <= 1:
            raise _UntranslatableError
        return float(mostly)

    def flag(self, argument: str) -> bool:
        """Return an argument that is true or false."""
        flag = self.given.get(argument, False)
        if not isinstance(flag, bool):
            raise _UntranslatableError
        return flag

    def bounds(self) -> tuple[Any, Any]:
        """Return the least and the greatest value, of which at least one is given."""
        least, most = self.given.get("min_value"), self.given.get("max_value")
        try:
            if (least is None and most is None) or (least is not None and most is not None and least > most):
                raise _UntranslatableError
        except TypeError:
            raise _UntranslatableError from None
        return least, most

    def numbers(self, kind: type | tuple[type, ...] = (int, float)) -> tuple[Any, Any]:
        """Return the bounds, which must be finite numbers."""
        least, most = self.bounds()
        for bound in (least, most):
            if bound is not None and not (_is_number(bound) and isinstance(bound, kind)):
                raise _UntranslatableError
        return least, most

    def among(self) -> sql.Composable:
        """Return the condition of the rows that the expectation is about."""
        condition = self.given.get("row_condition")
        if condition is None:
            return _TRUE
        try:
            if condition["type"] != "comparison" or condition.keys() != {"type", "column", "operator", "parameter"}:
                raise _UntranslatableError
            name, operator = condition["column"]["name"], _COMPARISONS[condition["operator"]]
        except (KeyError, TypeError, AttributeError):
            raise _UntranslatableError from None
        if name not in self.types:
            raise _UntranslatableError
        value = _literal(condition["parameter"], self.types[name])
        return sql.SQL("({} {} {})").format(sql.Identifier(name), sql.SQL(operator), value)


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
        return translator(_Arguments(expectation.arguments, types, required))
    except _UntranslatableError:
        return None


def _of_column(
    *names: str, types: frozenset[str] | None, as_expected: Callable[[_Arguments, sql.Identifier, str], sql.Composable]
) -> Callable[[_Arguments], Translation]:
    """Return a translator of expectations about each value of a column that is not null."""

    def translator(arguments: _Arguments) -> Translation:
        arguments.only("column", "mostly", "row_condition", *names)
        column, type_ = arguments.column(types=types)
        return RowTest(
            arguments.among(),
            sql.SQL("{} IS NOT NULL").format(column),
            sql.SQL("NOT ({})").format(as_expected(arguments, column, type_)),
            arguments.mostly(),
        )

    return translator


def _nulls(unexpected: str) -> Callable[[_Arguments], Translation]:
    def translator(arguments: _Arguments) -> Translation:
        arguments.only("column", "mostly", "row_condition")
        column, _ = arguments.column()
        condition = sql.SQL(unexpected).format(column)
        return RowTest(arguments.among(), _TRUE, condition, arguments.mostly())

    return translator


def _between(arguments: _Arguments, column: sql.Identifier, type_: str) -> sql.Composable:
    least, most = arguments.bounds() if type_ == "date" else arguments.numbers()
    return _within(column, arguments, [None if bound is None else _bound(bound, type_) for bound in (least, most)])


def _length_between(arguments: _Arguments, column: sql.Identifier, type_: str) -> sql.Composable:
    del type_
    bounds = [None if bound is None else sql.Literal(bound) for bound in arguments.numbers(int)]
    return _within(sql.SQL("length({})").format(column), arguments, bounds)


def _within(value: sql.Composable, arguments: _Arguments, bounds: Sequence[sql.Composable | None]) -> sql.Composable:
    least, most = bounds
    conditions = []
    if least is not None:
        above = sql.SQL(">" if arguments.flag("strict_min") else ">=")
        conditions.append(sql.SQL("{} {} {}").format(value, above, least))
    if most is not None:
        below = sql.SQL("<" if arguments.flag("strict_max") else "<=")
        conditions.append(sql.SQL("{} {} {}").format(value, below, most))
    return sql.SQL(" AND ").join(conditions)


def _length_equals(arguments: _Arguments, column: sql.Identifier, type_: str) -> sql.Composable:
    del type_
    value = arguments.given.get("value")
    if not isinstance(value, int) or not _is_number(value):
        raise _UntranslatableError
    return sql.SQL("length({}) = {}").format(column, sql.Literal(value))


def _in_set(arguments: _Arguments, column: sql.Identifier, type_: str) -> sql.Composable:
    values = arguments.given.get("value_set")
    if not isinstance(values, list | tuple) or not values:
        raise _UntranslatableError
    return sql.SQL("{} IN ({})").format(column, sql.SQL(", ").join(_literal(value, type_) for value in values))


def _not_in_set(arguments: _Arguments, column: sql.Identifier, type_: str) -> sql.Composable:
    return sql.SQL("NOT ({})").format(_in_set(arguments, column, type_))


def _matching(operator: str, argument: str) -> Callable[[_Arguments, sql.Identifier, str], sql.Composable]:
    def as_expected(arguments: _Arguments, column: sql.Identifier, type_: str) -> sql.Composable:
        pattern = _literal(arguments.given.get(argument), type_)
        return sql.SQL("{} {} {}").format(column, sql.SQL(operator), pattern)

    return as_expected


def _pair(as_expected: str, or_equal: str | None = None) -> Callable[[_Arguments], Translation]:
    def translator(arguments: _Arguments) -> Translation:
        allowed = () if or_equal is None else ("or_equal",)
        arguments.only("column_A", "column_B", "mostly", "ignore_row_if", "row_condition", *allowed)
        (a, a_type), (b, b_type) = arguments.column("column_A"), arguments.column("column_B")
        if a_type != b_type and not {a_type, b_type} <= _NUMBERS:
            raise _UntranslatableError
        ignored = _IGNORED_PAIRS.get(str(arguments.given.get("ignore_row_if", "both_values_are_missing")))
        if ignored is None:
            raise _UntranslatableError
        met = or_equal if or_equal is not None and arguments.flag("or_equal") else as_expected
        considered = sql.SQL(ignored).format(a=a, b=b)
        unexpected = sql.SQL(f"NOT ({met})").format(a=a, b=b)
        return RowTest(arguments.among(), considered, unexpected, arguments.mostly())

    return translator


def _unique(arguments: _Arguments) -> Translation:
    arguments.only("column", "mostly")
    arguments.column()
    return Uniqueness((arguments.given["column"],), arguments.mostly())


def _compound_unique(arguments: _Arguments) -> Translation:
    arguments.only("column_list", "mostly")
    columns = arguments.given.get("column_list")
    if not isinstance(columns, list | tuple) or len(columns) < _SEVERAL or not set(columns) <= arguments.required:
        raise _UntranslatableError
    return Uniqueness(tuple(columns), arguments.mostly())


def _rows_between(arguments: _Arguments) -> Translation:
    arguments.only(*_BOUNDED)
    return _number(arguments, sql.SQL("count(*)"), int)


def _rows_equal(arguments: _Arguments) -> Translation:
    arguments.only("value")
    value = arguments.given.get("value")
    if not isinstance(value, int) or not _is_number(value):
        raise _UntranslatableError
    return Aggregate(sql.SQL("count(*)"), value, value)


def _values_between(arguments: _Arguments) -> Translation:
    arguments.only("column", *_BOUNDED)
    column, _ = arguments.column()
    return _number(arguments, sql.SQL("count(DISTINCT {})").format(column), int)


def _extreme(function: str) -> Callable[[_Arguments], Translation]:
    def translator(arguments: _Arguments) -> Translation:
        arguments.only("column", *_BOUNDED)
        column, _ = arguments.column(types=_NUMBERS)
        observed = sql.SQL("{}({})").format(sql.SQL(function), column)
        return replace(_number(arguments, observed, (int, float)), is_value=True)

    return translator


def _number(arguments: _Arguments, observed: sql.Composable, kind: type | tuple[type, ...]) -> Aggregate:
    least, most = arguments.numbers(kind)
    return Aggregate(observed, least, most, arguments.flag("strict_min"), arguments.flag("strict_max"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _EXACT


def _bound(value: object, type_: str) -> sql.Composable:
    """Return a bound as a literal. Great Expectations makes every number a float."""
    return _literal(float(value) if isinstance(value, int) else value, type_)


def _literal(value: object, type_: str) -> sql.Composable:
    """Return a value as a literal, if it is of the type of the column."""
    if type_ in _NUMBERS and _is_number(value):
        return sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL("float8" if isinstance(value, float) else "bigint"))
    if type_ == "text" and isinstance(value, str) and "\x00" not in value:
        return sql.Literal(value)
    if type_ == "date" and isinstance(value, date) and not isinstance(value, datetime):
        return sql.SQL("{}::date").format(sql.Literal(value.isoformat()))
    if type_ == "boolean" and isinstance(value, bool):
        return sql.Literal(value)
    raise _UntranslatableError


_TEXT: Final = frozenset({"text"})
_BOUNDED: Final = ("min_value", "max_value", "strict_min", "strict_max")
_TRANSLATORS: Final[Mapping[str, Callable[[_Arguments], Translation]]] = {
    "expect_column_values_to_not_be_null": _nulls("{} IS NULL"),
    "expect_column_values_to_be_null": _nulls("{} IS NOT NULL"),
    "expect_column_values_to_be_between": _of_column(*_BOUNDED, types=_NUMBERS | {"date"}, as_expected=_between),
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
