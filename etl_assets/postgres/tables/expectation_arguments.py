"""The arguments of a declared expectation, read for a translation into SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXACT: Final = 2**53
"""Up to here every integer is a float."""
NUMBERS: Final = frozenset({"integer", "decimal", "float"})
"""Types whose values are compared as numbers."""
TRUE: Final = sql.SQL("true")
"""The condition that every row meets."""
_COMPARISONS: Final = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class UntranslatableError(Exception):
    """An argument has no translation."""


@dataclass(frozen=True)
class Arguments:
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
            raise UntranslatableError

    def column(self, argument: str = "column", types: frozenset[str] | None = None) -> tuple[sql.Identifier, str]:
        """Return a column that an argument names, and its type, which must be among some types."""
        type_ = self.types.get(str(self.given.get(argument)))
        if type_ is None or (types is not None and type_ not in types):
            raise UntranslatableError
        return sql.Identifier(self.given[argument]), type_

    def mostly(self) -> float:
        """Return the least share of rows that must be as expected."""
        mostly = self.given.get("mostly", 1)
        if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 <= mostly <= 1:
            raise UntranslatableError
        return float(mostly)

    def flag(self, argument: str) -> bool:
        """Return an argument that is true or false."""
        flag = self.given.get(argument, False)
        if not isinstance(flag, bool):
            raise UntranslatableError
        return flag

    def bounds(self) -> tuple[Any, Any]:
        """Return the least and the greatest value, of which at least one is given."""
        least, most = self.given.get("min_value"), self.given.get("max_value")
        try:
            if (least is None and most is None) or (least is not None and most is not None and least > most):
                raise UntranslatableError
        except TypeError:
            raise UntranslatableError from None
        return least, most

    def numbers(self, kind: type | tuple[type, ...] = (int, float)) -> tuple[Any, Any]:
        """Return the bounds, which must be finite numbers."""
        least, most = self.bounds()
        for bound in (least, most):
            if bound is not None and not (is_number(bound) and isinstance(bound, kind)):
                raise UntranslatableError
        return least, most

    def among(self) -> sql.Composable:
        """Return the condition of the rows that the expectation is about."""
        condition = self.given.get("row_condition")
        if condition is None:
            return TRUE
        try:
            if condition["type"] != "comparison" or condition.keys() != {"type", "column", "operator", "parameter"}:
                raise UntranslatableError
            name, operator = condition["column"]["name"], _COMPARISONS[condition["operator"]]
        except (KeyError, TypeError, AttributeError):
            raise UntranslatableError from None
        if name not in self.types:
            raise UntranslatableError
        value = literal(condition["parameter"], self.types[name])
        return sql.SQL("({} {} {})").format(sql.Identifier(name), sql.SQL(operator), value)


def is_number(value: object) -> bool:
    """Return whether a value is a number that is the same as a float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _EXACT


def bound_literal(value: object, type_: str) -> sql.Composable:
    """Return a bound as a literal. Great Expectations makes every number a float."""
    return literal(float(value) if isinstance(value, int) else value, type_)


def literal(value: object, type_: str) -> sql.Composable:
    """Return a value as a literal, if it is of the type of the column."""
    if type_ in NUMBERS and is_number(value):
        return sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL("float8" if isinstance(value, float) else "bigint"))
    if type_ == "text" and isinstance(value, str) and "\x00" not in value:
        return sql.Literal(value)
    if type_ == "date" and isinstance(value, date) and not isinstance(value, datetime):
        return sql.SQL("{}::date").format(sql.Literal(value.isoformat()))
    if type_ == "boolean" and isinstance(value, bool):
        return sql.Literal(value)
    raise UntranslatableError
