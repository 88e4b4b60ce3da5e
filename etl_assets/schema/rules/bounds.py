"""The rules ``minimum`` and ``maximum``: a value is within declared bounds, compared exactly."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING, ClassVar, Final
from zoneinfo import ZoneInfo

import polars as pl

from etl_assets.errors import DeclarationError
from etl_assets.model.expectation_types import ROWS
from etl_assets.schema import sql
from etl_assets.schema.rules.base import ColumnRule
from etl_assets.schema.types import Bound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.expectation import Expectation
    from etl_assets.schema.types import DataType

_EXACT: Final = Context(prec=80)
_NEVER: Final = False
_EXACT_DIGITS: Final = 15
_EXACT_INTEGER: Final = 2**53


@dataclass(frozen=True)
class _Limit(ColumnRule):
    """The common base of both bounds."""

    limit: Bound

    keyword: ClassVar[str] = "Bound"
    is_upper: ClassVar[bool]

    @abstractmethod
    def words(self, type_: DataType) -> str:
        """See `ColumnRule.words`."""

    def check(self, type_: DataType, where: str) -> None:
        """See `ColumnRule.check`."""
        if not type_.is_ordered:
            raise DeclarationError(
                where, self.kind, f"means nothing for type {type_.name!r}", "Use length, pattern or allowed"
            )
        try:
            self.violated(type_, pl.lit(None), pl.lit(None))
        except TypeError as error:
            values = "an instant" if type_.is_instant else f"the values of a {type_.name}"
            raise DeclarationError(
                where,
                self.kind,
                f"cannot be compared with {values}",
                "Write a number for numbers, a date, time or datetime for those; with a tzinfo for instants alone",
            ) from error

    def violated(self, type_: DataType, cell: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG002 -- of values alone
        """See `ColumnRule.violated`.

        Raises:
            TypeError: If values of the type cannot be compared with the bound.
        """
        if type_.name in {"integer", "decimal"}:
            return self._outside_exactly(type_, value)
        edge = pl.lit(self._edge(type_), dtype=type_.polars)
        return value > edge if self.is_upper else value < edge

    def audit(self, column: str, type_: DataType, key: Sequence[str]) -> Expectation:
        """See `ColumnRule.audit`. It is a query if Great Expectations would round the bound, or has no such type."""
        limit = self.limit
        if isinstance(limit, time):
            return self._query(column, type_, key, type_.postgres)
        if isinstance(limit, int | float | Decimal):
            number = Decimal(str(limit))
            if type_.name != "float" and not _survives_rounding(type_, number):
                return self._query(column, type_, key, "numeric")
            return self._between(column, type_, float(number))
        if isinstance(limit, datetime) and limit.tzinfo is None and type_.is_instant and type_.zone is not None:
            limit = limit.replace(tzinfo=ZoneInfo(type_.zone))
        return self._between(column, type_, limit)

    def _between(self, column: str, type_: DataType, limit: object) -> Expectation:
        side = {"max_value" if self.is_upper else "min_value": limit}
        return self.expectation("expect_column_values_to_be_between", column, type_, column=column, **side)

    def _query(self, column: str, type_: DataType, key: Sequence[str], postgres_type: str) -> Expectation:
        sign = ">" if self.is_upper else "<"
        number = Decimal(str(self.limit)) if postgres_type == "numeric" else self.limit
        condition = f"child.{sql.name(column)} {sign} {sql.value(number, postgres_type)}"
        return self.expectation(ROWS, column, type_, unexpected_rows_query=sql.rows_where(condition, key))

    def edge(self, type_: DataType) -> Decimal | float | date | datetime | time:
        """Return the bound in the form with which values of the type are compared.

        Raises:
            TypeError: If values of the type cannot be compared with the bound.
        """
        return _number(self.limit) if type_.name in {"integer", "decimal"} else self._edge(type_)

    def _outside_exactly(self, type_: DataType, value: pl.Expr) -> pl.Expr:
        """Compare with the last storable value within the bound: the bound may be between two values, or beyond all."""
        limit, scale = _number(self.limit), type_.scale or 0
        least, most = Decimal(-(2**63)), Decimal(2**63 - 1)
        if type_.name == "decimal":
            most = Decimal((0, (9,) * type_.precision, -scale))
            least = most.copy_negate()
        if limit > most or limit < least:
            beyond = (limit > most) is not self.is_upper
            return value.is_not_null() if beyond else pl.lit(_NEVER)
        rounding = ROUND_FLOOR if self.is_upper else ROUND_CEILING
        last = limit.quantize(Decimal((0, (1,), -scale)), rounding=rounding, context=_EXACT)
        edge = pl.lit(int(last)) if type_.name == "integer" else pl.lit(last, dtype=type_.polars)
        return value > edge if self.is_upper else value < edge

    def _edge(self, type_: DataType) -> float | date | datetime | time:
        limit = self.limit
        match type_.name:
            case "float":
                return float(_number(limit))
            case "date" if type(limit) is date:
                return limit
            case "time" if isinstance(limit, time) and limit.tzinfo is None:
                return limit
            case "timestamp" if isinstance(limit, datetime):
                return _instant(type_, limit)
        raise TypeError


@dataclass(frozen=True)
class Minimum(_Limit):
    """The smallest value allowed, inclusive: a number for numbers, a `date`, `time` or `datetime` for those."""

    kind: ClassVar[str] = "minimum"
    is_upper: ClassVar[bool] = False

    def check_beside(self, rules: Sequence[ColumnRule], type_: DataType, where: str) -> None:
        """See `ColumnRule.check_beside`."""
        for rule in rules:
            if isinstance(rule, Maximum) and self.edge(type_) > rule.edge(type_):  # type: ignore[operator]
                raise DeclarationError(where, "minimum", "is above maximum", "Exchange them")

    def words(self, type_: DataType) -> str:  # noqa: ARG002 -- the same for every type
        """See `ColumnRule.words`."""
        return f"is at least {self.limit}"


@dataclass(frozen=True)
class Maximum(_Limit):
    """The largest value allowed, inclusive: a number for numbers, a `date`, `time` or `datetime` for those."""

    kind: ClassVar[str] = "maximum"
    is_upper: ClassVar[bool] = True

    def words(self, type_: DataType) -> str:  # noqa: ARG002 -- the same for every type
        """See `ColumnRule.words`."""
        return f"is at most {self.limit}"


def _number(limit: Bound) -> Decimal:
    """Return a bound as the number that was written: the float 0.1 means one tenth."""
    if isinstance(limit, bool) or not isinstance(limit, int | float | Decimal):
        raise TypeError
    number = limit if isinstance(limit, Decimal) else Decimal(str(limit))
    if number.is_nan():
        raise TypeError
    return number


def _instant(type_: DataType, limit: datetime) -> datetime:
    if not type_.is_instant:
        if limit.tzinfo is not None:
            raise TypeError
        return limit
    if limit.tzinfo is None:
        if type_.zone is None:
            raise TypeError
        limit = limit.replace(tzinfo=ZoneInfo(type_.zone))
    return limit.astimezone(UTC)


def _survives_rounding(type_: DataType, limit: Decimal) -> bool:
    """Return whether a comparison with the bound as a float is exact; Great Expectations accepts only floats.

    Postgres then compares floats. This is exact for integers if the bound is exact as a float and below 2**53, and for
    decimals of at most 15 digits, since no two of them are rounded to the same float.
    """
    if Decimal(repr(float(limit))) != limit:
        return False
    if type_.name == "integer":
        return abs(limit) < _EXACT_INTEGER
    return limit == 0 or (type_.precision <= _EXACT_DIGITS and len(limit.as_tuple().digits) <= _EXACT_DIGITS)
