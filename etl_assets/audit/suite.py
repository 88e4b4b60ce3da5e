"""From a schema to the expectations that say the same: one for each rule that a stored table can be held against.

Values only; nothing of Great Expectations is loaded. An expectation is named like the rule it speaks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from etl_assets.audit.patterns import to_postgres
from etl_assets.model.expectation import Expectation
from etl_assets.model.expectation_types import ROWS
from etl_assets.postgres.tables.audit_queries import beyond, orphans, outside
from etl_assets.postgres.tables.ddl import postgres_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from etl_assets.model.schema import Bound, Column, Schema

KEY: Final = "record__key"
"""What the expectation that no two rows share a key is called; the table's primary key is the rule."""
_BETWEEN: Final = "expect_column_values_to_be_between"
_EXACT_DIGITS: Final = 15
_EXACT_INTEGER: Final = 2**53
_FOUR_BYTES: Final = 2**31


@dataclass(frozen=True)
class Suite:
    """A schema, said again.

    Attributes:
        expectations: In the order of the columns.
        left_out: The rules that are not said, and why.
    """

    expectations: tuple[Expectation, ...]
    left_out: Mapping[str, str]


def compiled(schema: Schema) -> Suite:
    """Say a schema as expectations over its stored table.

    Args:
        schema: The contract; it has been checked.
    """
    said = [_key(schema), *(each for column in schema.columns for each in _of_column(schema, column))]
    names = {each.name for each in said}
    rules = {column.rule(kind): (column, kind) for column in schema.columns for kind in _kinds(column)}
    silent = {rule: _why_not(*rules[rule]) for rule in rules if rule not in names}
    inputs = {rule: "the table does not have the column" for column in schema.inputs for rule in column.rules}
    return Suite(tuple(said), silent | inputs)


def _kinds(column: Column) -> list[str]:
    return [rule.removeprefix(column.rule("")) for rule in column.rules]


def _why_not(column: Column, kind: str) -> str:
    if kind == "references":
        return "rows without a parent are loaded by consent"
    if kind == "pattern":
        return f"Postgres has no equal of {column.pattern}"
    return "only what was published can be held against it"


def _key(schema: Schema) -> Expectation:
    told = f"no two rows have the same {', '.join(schema.key)}"
    if len(schema.key) == 1:
        return _said("expect_column_values_to_be_unique", KEY, told, column=schema.key[0])
    return _said("expect_compound_columns_to_be_unique", KEY, told, column_list=list(schema.key))


def _of_column(schema: Schema, column: Column) -> Iterator[Expectation]:
    name, told = column.name, column.rules
    stored = postgres_type(column).upper().replace(",", ", ")
    yield _said(
        "expect_column_type_to_be", column.rule("type"), f"{name} is stored as {stored}", column=name, type_=stored
    )
    if column.required:
        rule = column.rule("required")
        yield _said("expect_column_values_to_not_be_null", rule, told[rule], column=name)
    for kind, limit in (("minimum", column.minimum), ("maximum", column.maximum)):
        if limit is not None:
            yield _bound(schema, column, kind, limit)
    if column.length is not None:
        rule = column.rule("length")
        yield _said("expect_column_value_lengths_to_be_between", rule, told[rule], column=name, max_value=column.length)
    if column.pattern is not None and (regex := to_postgres(column.pattern)) is not None:
        rule = column.rule("pattern")
        yield _said("expect_column_values_to_match_regex", rule, told[rule], column=name, regex=regex)
    if column.allowed is not None:
        yield _allowed(schema, column, column.allowed)
    if column.unique:
        rule = column.rule("unique")
        yield _said("expect_column_values_to_be_unique", rule, told[rule], column=name)
    if column.parent is not None and column.parent.missing != "report":
        rule = column.rule("references")
        query = orphans(name, column.parent, schema.key)
        yield _said(ROWS, rule, told[rule], unexpected_rows_query=query)


def _bound(schema: Schema, column: Column, kind: str, limit: Bound) -> Expectation:
    """A bound; as a query where Great Expectations would round it, or has no such type."""
    rule, upper = column.rule(kind), kind == "maximum"
    argument = "max_value" if upper else "min_value"
    if isinstance(limit, int | float | Decimal):
        number = Decimal(str(limit))
        if column.type == "float" or _survives_rounding(column, number):
            return _said(_BETWEEN, rule, column.rules[rule], column=column.name, **{argument: float(number)})
        query = beyond(column, number, schema.key, upper=upper)
    elif isinstance(limit, time):
        query = beyond(column, limit, schema.key, upper=upper)
    else:
        if isinstance(limit, datetime) and limit.tzinfo is None and column.is_instant and column.zone is not None:
            limit = limit.replace(tzinfo=ZoneInfo(column.zone))
        return _said(_BETWEEN, rule, column.rules[rule], column=column.name, **{argument: limit})
    return _said(ROWS, rule, column.rules[rule], unexpected_rows_query=query)


def _allowed(schema: Schema, column: Column, values: tuple[str | int, ...]) -> Expectation:
    """The allowed values; as a query where Great Expectations would send an integer that four bytes do not hold."""
    rule = column.rule("allowed")
    large = [value for value in values if isinstance(value, int) and not -_FOUR_BYTES <= value < _FOUR_BYTES]
    if large:
        numbers = [value for value in values if isinstance(value, int)]
        query = outside(column.name, numbers, schema.key)
        return _said(ROWS, rule, column.rules[rule], unexpected_rows_query=query)
    in_set = "expect_column_values_to_be_in_set"
    return _said(in_set, rule, column.rules[rule], column=column.name, value_set=list(values))


def _survives_rounding(column: Column, limit: Decimal) -> bool:
    """Whether comparing with the nearest float is comparing with the bound: Great Expectations takes no other number.

    Postgres then compares in floats. An integer is on the same side of an exact bound below 2**53 whatever it is; two
    decimals of at most 15 digits are never rounded to the same float.
    """
    if Decimal(repr(float(limit))) != limit:
        return False
    if column.type == "integer":
        return abs(limit) < _EXACT_INTEGER
    return limit == 0 or (column.precision <= _EXACT_DIGITS and len(limit.as_tuple().digits) <= _EXACT_DIGITS)


def _said(type_: str, rule: str, told: str, /, **arguments: object) -> Expectation:
    return Expectation(type_, name=rule, blocking=True, description=told, **arguments)
