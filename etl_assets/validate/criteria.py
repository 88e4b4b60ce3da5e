"""What each rule of a column asks, as Polars expressions that are true where a value breaks it.

``unique`` and ``references`` need the table and are judged by the loader.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import polars as pl

from etl_assets.validate.casts import among, dtype

if TYPE_CHECKING:
    from etl_assets.model.schema import Bound, Column

NUL_RULE: Final = "record__nul"
_EXACT: Final = Context(prec=80)
_NEVER: Final = False


def broken(column: Column, cell: pl.Expr, value: pl.Expr) -> dict[str, pl.Expr]:
    """Every rule that one value can break, by its name.

    Args:
        column: The declaration.
        cell: What was there before the cast; null means no value.
        value: What the cast made of it.

    Returns:
        Boolean expressions, in the order of `Column.rules`; null counts as not broken.
    """
    asked: dict[str, pl.Expr] = {}
    if column.required:
        asked["required"] = cell.is_null()
    if column.type != "text":
        asked["type"] = value.is_null() & cell.is_not_null()
    if column.minimum is not None:
        asked["minimum"] = _outside(column, value, column.minimum, upper=False)
    if column.maximum is not None:
        asked["maximum"] = _outside(column, value, column.maximum, upper=True)
    if column.length is not None:
        asked["length"] = value.str.len_chars() > column.length
    if column.pattern is not None:
        asked["pattern"] = ~value.str.contains(full_match(column.pattern))
    if column.allowed is not None:
        asked["allowed"] = ~among(value, _storable(column.allowed))
    return {column.rule(kind): expression for kind, expression in asked.items()}


def holds_nul(values: list[pl.Expr]) -> pl.Expr:
    """Whether one of several texts holds a NUL character, which the database cannot store."""
    return pl.any_horizontal([value.str.contains("\0", literal=True) for value in values])


def full_match(pattern: str) -> str:
    """A pattern that matches exactly the texts which the declared one matches from end to end."""
    return rf"\A(?:{pattern})\z"


def _outside(column: Column, value: pl.Expr, limit: Bound, *, upper: bool) -> pl.Expr:
    """Where a value is beyond a declared bound.

    Raises:
        TypeError: If the bound is of a kind that the column's values cannot be compared with.
    """
    if column.type in {"integer", "decimal"}:
        return _outside_exactly(column, value, _number(limit), upper=upper)
    edge = pl.lit(_edge(column, limit), dtype=dtype(column))
    return value > edge if upper else value < edge


def _outside_exactly(column: Column, value: pl.Expr, limit: Decimal, *, upper: bool) -> pl.Expr:
    """Compare with the last storable value within the bound: a bound may lie between two values, or beyond all."""
    scale = column.scale or 0
    least, most = Decimal(-(2**63)), Decimal(2**63 - 1)
    if column.type == "decimal":
        most = Decimal((0, (9,) * column.precision, -scale))
        least = most.copy_negate()
    if limit > most or limit < least:
        beyond = (limit > most) is not upper
        return value.is_not_null() if beyond else pl.lit(_NEVER)
    rounding = ROUND_FLOOR if upper else ROUND_CEILING
    last = limit.quantize(Decimal((0, (1,), -scale)), rounding=rounding, context=_EXACT)
    edge = pl.lit(int(last)) if column.type == "integer" else pl.lit(last, dtype=dtype(column))
    return value > edge if upper else value < edge


def _number(limit: Bound) -> Decimal:
    """A bound as the number it was written as: the float 0.1 means one tenth."""
    if isinstance(limit, bool) or not isinstance(limit, int | float | Decimal):
        raise TypeError
    number = limit if isinstance(limit, Decimal) else Decimal(str(limit))
    if number.is_nan():
        raise TypeError
    return number


def _edge(column: Column, limit: Bound) -> float | date | datetime | time:
    match column.type:
        case "float":
            return float(_number(limit))
        case "date" if type(limit) is date:
            return limit
        case "time" if isinstance(limit, time) and limit.tzinfo is None:
            return limit
        case "timestamp" if isinstance(limit, datetime):
            return _instant(column, limit)
    raise TypeError


def _instant(column: Column, limit: datetime) -> datetime:
    if not column.is_instant:
        if limit.tzinfo is not None:
            raise TypeError
        return limit
    if limit.tzinfo is None:
        if column.zone is None:
            raise TypeError
        limit = limit.replace(tzinfo=ZoneInfo(column.zone))
    return limit.astimezone(UTC)


def _storable(allowed: tuple[str | int, ...]) -> list[str | int]:
    """The allowed values without the integers that no cell can have."""
    return [value for value in allowed if isinstance(value, str) or -(2**63) <= value < 2**63]
