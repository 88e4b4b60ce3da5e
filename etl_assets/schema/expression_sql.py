"""Translates a Polars expression over typed columns into a SQL condition with the same result for each row.

An expression that might give another result in Postgres is not translated. The audit then reports that it cannot check
the rule, and only the validator checks it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from etl_assets.schema import sql

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from etl_assets.schema.types import DataType

_COMPARISONS: Final = {"Eq": "=", "NotEq": "<>", "Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">="}
_NULL_SAFE: Final = {"EqValidity": "IS NOT DISTINCT FROM", "NotEqValidity": "IS DISTINCT FROM"}
_LOGIC: Final = {"And": "AND", "LogicalAnd": "AND", "Or": "OR", "LogicalOr": "OR", "Xor": "<>"}
_ARITHMETIC: Final = {"Plus": "+", "Minus": "-", "Multiply": "*"}
_BOUNDS: Final = {"Both": (">=", "<="), "Left": (">=", "<"), "Right": (">", "<="), "None": (">", "<")}
_FAMILIES: Final = frozenset({"Boolean", "StringExpr", "TemporalExpr"})
_MICROSECOND: Final = timedelta(microseconds=1)
_EXACT_DIGITS: Final = 15
_BIGINT: Final = range(-(2**63), 2**63)
_NUMBERS: Final = frozenset({"integer", "decimal", "float"})
_INSTANTS: Final = frozenset({"timestamp", "instant"})
_MOMENTS: Final = _INSTANTS | {"date"}
_ORDERED: Final = _NUMBERS | _MOMENTS | {"boolean", "text", "time", "duration", "uuid"}


class NotTranslatedError(Exception):
    """Raised when an expression has no equivalent in SQL; the text is the reason, as a clause."""


@dataclass(frozen=True)
class _Term:
    """A part of an expression in SQL.

    Attributes:
        sql: The SQL, in parentheses unless it is one word.
        kind: Kind of its values: the name of a type, ``instant``, ``duration``, or ``null`` for no value.
        digits: Of a decimal: the largest number of digits.
    """

    sql: str
    kind: str
    digits: int = 0


def to_sql(document: str, types: Mapping[str, DataType]) -> str:
    """Translate an expression into a condition over rows of the alias ``child``.

    Args:
        document: The expression as Polars serializes it, in JSON.
        types: Types of the table's columns, by name.

    Raises:
        NotTranslatedError: If there is no equivalent, or none is known.
    """
    return _Translator(types).term(json.loads(document)).sql


class _Translator:
    def __init__(self, types: Mapping[str, DataType]) -> None:
        self._types = types

    def term(self, node: Any) -> _Term:
        """Translate a node of the document: an object with one entry, whose key is the kind of node."""
        kind: str
        body: Any
        kind, body = next(iter(node.items())) if isinstance(node, dict) and len(node) == 1 else (str(node), None)
        match kind:
            case "Column":
                return self._column(body)
            case "Literal":
                return _literal(_value(node))
            case "Alias":
                return self.term(body[0])
            case "BinaryExpr":
                return _binary(body["op"], self.term(body["left"]), self.term(body["right"]))
            case "Ternary":
                return _choice(*(self.term(body[part]) for part in ("predicate", "truthy", "falsy")))
            case "Function":
                return self._function(body["function"], body["input"])
        raise NotTranslatedError(f"{kind} is not translated into SQL")

    def _column(self, name: str) -> _Term:
        if name not in self._types:
            raise NotTranslatedError(f"the table does not have {name}")
        type_ = self._types[name]
        kind = "instant" if type_.is_instant else type_.name
        return _Term(f"child.{sql.name(name)}", kind, type_.precision if kind == "decimal" else 0)

    def _function(self, function: Any, inputs: Sequence[Any]) -> _Term:
        """Translate a function: ``"Abs"``, ``{"Boolean": "Not"}`` or ``{"Boolean": {"IsIn": {...}}}``."""
        family, inner = _name_and_options(function)
        name, options = _name_and_options(inner) if family in _FAMILIES else (family, inner)
        if name in _WITH_OPTIONS:
            return _WITH_OPTIONS[name](self, inputs, options)
        if name in _PLAIN:
            return _PLAIN[name](*map(self.term, inputs))
        raise NotTranslatedError(f"{name} is not translated into SQL")


def _name_and_options(function: Any) -> tuple[str, Any]:
    """Return name and options of a function, which is a name alone or an object with one entry."""
    return next(iter(function.items())) if isinstance(function, dict) else (str(function), None)


def _value(node: Any) -> Any:
    values = pl.select(pl.Expr.deserialize(StringIO(json.dumps(node)), format="json")).to_series()
    if isinstance(values.dtype, pl.Datetime | pl.Duration) and values.dtype.time_unit == "ns":
        raise NotTranslatedError("Postgres has no nanoseconds")
    return values.item()


def _literal(value: Any) -> _Term:
    if isinstance(value, datetime):
        kind = "timestamp" if value.tzinfo is None else "instant"
        zone = "without" if value.tzinfo is None else "with"
        return _Term(sql.value(value.isoformat(), f"timestamp {zone} time zone"), kind)
    term = _LITERALS.get(type(value), lambda _: None)(value)
    if term is None:
        raise NotTranslatedError(f"a value of type {type(value).__name__} is not translated into SQL")
    return term


def _binary(operator: str, left: _Term, right: _Term) -> _Term:
    if operator in _LOGIC:
        _only({"boolean"}, left, right)
        return _Term(f"({left.sql} {_LOGIC[operator]} {right.sql})", "boolean")
    if operator in _COMPARISONS:
        return _comparison(_COMPARISONS[operator], left, right)
    if operator in _NULL_SAFE:
        return _comparison(_NULL_SAFE[operator], left, right)
    if operator in _ARITHMETIC:
        return _arithmetic(_ARITHMETIC[operator], left, right)
    raise NotTranslatedError(f"{operator} is not translated into SQL")


def _comparison(sign: str, left: _Term, right: _Term) -> _Term:
    left, right = _to_one_kind(left, right)
    _only(_ORDERED | {"null"}, left, right)
    collation = ' COLLATE "C"' if "text" in {left.kind, right.kind} else ""
    return _Term(f"({left.sql} {sign} {right.sql}{collation})", "boolean")


def _arithmetic(sign: str, left: _Term, right: _Term) -> _Term:
    kinds = (left.kind, right.kind)
    if kinds == ("date", "date") and sign == "-":
        return _Term(f"(({left.sql} - {right.sql}) * '1 day'::interval)", "duration")
    if sign == "-" and left.kind == right.kind and left.kind in _INSTANTS:
        return _Term(f"({left.sql} - {right.sql})", "duration")
    if sign != "*" and right.kind == "duration" and left.kind in _INSTANTS | {"duration"}:
        return _Term(f"({left.sql} {sign} {right.sql})", left.kind)
    _only(_NUMBERS, left, right)
    if "decimal" in kinds and sign == "*":
        raise NotTranslatedError("Polars rounds the product of decimals")
    left, right = _to_one_kind(left, right)
    if left.kind == "float":
        return _Term(f"({left.sql} {sign} {right.sql})", "float")
    return _Term(f"({left.sql}::numeric {sign} {right.sql}::numeric)", left.kind, max(left.digits, right.digits) + 1)


def _to_one_kind(left: _Term, right: _Term) -> tuple[_Term, _Term]:
    """Convert two terms to one kind, as Polars does before it compares them: an integer and a decimal to decimals."""
    kinds = {left.kind, right.kind} - {"null"}
    if len(kinds) < 2:  # noqa: PLR2004 -- already of one kind
        return left, right
    if not kinds <= _NUMBERS:
        raise NotTranslatedError(f"{left.kind} beside {right.kind} is not translated into SQL")
    if "float" not in kinds:
        digits = max(left.digits, right.digits)
        return _Term(left.sql, "decimal", digits), _Term(right.sql, "decimal", digits)
    return _as_float(left), _as_float(right)


def _as_float(term: _Term) -> _Term:
    if term.kind == "float":
        return term
    if term.digits > _EXACT_DIGITS:
        raise NotTranslatedError("a decimal of more than 15 digits is compared as a float; compare it with a Decimal")
    return _Term(f"{term.sql}::double precision", "float")


def _choice(condition: _Term, first: _Term, second: _Term) -> _Term:
    _only({"boolean"}, condition)
    first, second = _to_one_kind(first, second)
    kind = second.kind if first.kind == "null" else first.kind
    return _Term(f"(CASE WHEN {condition.sql} THEN {first.sql} ELSE {second.sql} END)", kind, first.digits)


def _first_present(first: _Term, *others: _Term) -> _Term:
    for other in others:
        left, right = _to_one_kind(first, other)
        first = _Term(f"COALESCE({left.sql}, {right.sql})", left.kind, left.digits)
    return first


def _between(translator: _Translator, inputs: Sequence[Any], options: Any) -> _Term:
    value, low, high = map(translator.term, inputs)
    above, below = _BOUNDS[options["closed"]]
    return _Term(f"({_comparison(above, value, low).sql} AND {_comparison(below, value, high).sql})", "boolean")


def _is_in(translator: _Translator, inputs: Sequence[Any], options: Any) -> _Term:
    if options.get("nulls_equal") or "Literal" not in inputs[1]:
        raise NotTranslatedError("is_in of other than a list of values is not translated into SQL")
    values = _value(inputs[1])
    if not isinstance(values, pl.Series | list) or None in list(values) or not len(values):
        raise NotTranslatedError("is_in of other than a list of values is not translated into SQL")
    value = translator.term(inputs[0])
    comparisons = [_comparison("=", value, _literal(member)).sql for member in values]
    return _Term(f"({' OR '.join(comparisons)})", "boolean")


def _contains(translator: _Translator, inputs: Sequence[Any], options: Any) -> _Term:
    if not options["literal"]:
        raise NotTranslatedError("a regular expression is not translated into SQL")
    return _of_texts("(strpos({}, {}) > 0)")(*map(translator.term, inputs))


def _of_texts(template: str, kind: str = "boolean") -> Callable[..., _Term]:
    def translated(*terms: _Term) -> _Term:
        _only({"text"}, *terms)
        return _Term(template.format(*(term.sql for term in terms)), kind)

    return translated


def _of_booleans(word: str) -> Callable[..., _Term]:
    def translated(*terms: _Term) -> _Term:
        _only({"boolean"}, *terms)
        return _Term(f"({f' {word} '.join(term.sql for term in terms)})", "boolean")

    return translated


def _of_moments(field: str) -> Callable[[_Term], _Term]:
    def translated(term: _Term) -> _Term:
        _only(_MOMENTS, term)
        reading = f"{term.sql} AT TIME ZONE 'UTC'" if term.kind == "instant" else term.sql
        return _Term(f"EXTRACT({field} FROM {reading})::bigint", "integer")

    return translated


def _negated(term: _Term) -> _Term:
    _only({"boolean"}, term)
    return _Term(f"(NOT {term.sql})", "boolean")


def _absolute(term: _Term) -> _Term:
    _only(_NUMBERS, term)
    number = f"{term.sql}::numeric" if term.kind == "integer" else term.sql
    return _Term(f"abs({number})", term.kind, term.digits)


def _only(kinds: set[str] | frozenset[str], *terms: _Term) -> None:
    """Raise a `NotTranslatedError` unless all terms are of these kinds."""
    for term in terms:
        if term.kind not in kinds:
            raise NotTranslatedError(f"what it does with {term.kind} is not translated into SQL")


_LITERALS: Final[Mapping[type, Callable[[Any], _Term | None]]] = {
    type(None): lambda _: _Term("NULL", "null"),
    bool: lambda value: _Term(str(value).upper(), "boolean"),
    int: lambda value: _Term(sql.value(value, "bigint" if value in _BIGINT else "numeric"), "integer"),
    float: lambda value: _Term(sql.value(repr(value), "double precision"), "float"),
    Decimal: lambda value: _Term(sql.value(f"{value:f}", "numeric"), "decimal", len(value.as_tuple().digits)),
    str: lambda value: None if "\0" in value else _Term(sql.text(value), "text"),
    date: lambda value: _Term(sql.value(value.isoformat(), "date"), "date"),
    time: lambda value: _Term(sql.value(value.isoformat(), "time without time zone"), "time"),
    timedelta: lambda value: _Term(sql.value(f"{value // _MICROSECOND} microseconds", "interval"), "duration"),
}
_PLAIN: Final[Mapping[str, Callable[..., _Term]]] = {
    "Not": _negated,
    "IsNull": lambda term: _Term(f"({term.sql} IS NULL)", "boolean"),
    "IsNotNull": lambda term: _Term(f"({term.sql} IS NOT NULL)", "boolean"),
    "AllHorizontal": _of_booleans("AND"),
    "AnyHorizontal": _of_booleans("OR"),
    "Coalesce": _first_present,
    "FillNull": _first_present,
    "Abs": _absolute,
    "StartsWith": _of_texts("starts_with({}, {})"),
    "EndsWith": _of_texts("(right({0}, char_length({1})) = {1})"),
    "LenChars": _of_texts("char_length({})", "integer"),
    "Year": _of_moments("YEAR"),
    "Month": _of_moments("MONTH"),
    "Day": _of_moments("DAY"),
}
_WITH_OPTIONS: Final[Mapping[str, Callable[[_Translator, Sequence[Any], Any], _Term]]] = {
    "IsBetween": _between,
    "IsIn": _is_in,
    "Contains": _contains,
}
