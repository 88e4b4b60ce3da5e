"""A slow validator of cells, built on the standard library, with which tests compare the real one."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from etl_assets.schema.date_formats import DIRECTIVES, directives

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets.schema import Column

_BLANKS = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def judge(column: Column, cell: str | None, decimal: str = ".") -> tuple[Any, list[str]]:
    """Return the value of a published cell and the rules that it breaks, in the order of declaration."""
    cell = _prepared(column, cell)
    if cell is None:
        return None, [f"{column.name}__required"] if column.required else []
    broken = ["record__nul"] if column.type.name == "text" and "\0" in cell else []
    cast: Any = _CASTS[column.type.name](column, cell, decimal)
    if cast is None:
        return None, [*broken, f"{column.name}__type"]
    rules = {rule.kind: rule for rule in column.rules}
    for kind, breaks in _BREAKS.items():
        if kind in rules and breaks(column, cast, rules[kind].argument):
            broken.append(f"{column.name}__{kind}")
    return cast, broken


def value(column: Column, cell: str | None) -> Any:
    """Return the value of a published cell, whatever rules it breaks; None if it has none."""
    cell = _prepared(column, cell)
    return None if cell is None else _CASTS[column.type.name](column, cell, ".")


def _prepared(column: Column, cell: str | None) -> str | None:
    if cell is not None and column.strip:
        cell = cell.strip(_BLANKS) or None
    if cell in column.null:
        cell = None
    return column.default if cell is None else cell


def _like(value: Any, column: Column, limit: Any) -> Any:
    if isinstance(value, Decimal):
        return Decimal(str(limit))
    if isinstance(value, datetime) and value.tzinfo is not None and limit.tzinfo is None:
        assert column.type.zone is not None
        return limit.replace(tzinfo=ZoneInfo(column.type.zone))
    return limit


def _text(_column: Column, cell: str, _decimal: str) -> str:
    return cell


def _integer(_column: Column, cell: str, _decimal: str) -> int | None:
    if not re.fullmatch("[+-]?[0-9]+", cell):
        return None
    value = int(cell)
    return value if -(2**63) <= value < 2**63 else None


def _number(cell: str, decimal: str, exponent: str) -> str | None:
    point = re.escape(decimal)
    if not re.fullmatch(rf"[+-]?([0-9]+({point}[0-9]*)?|{point}[0-9]+){exponent}", cell):
        return None
    return cell.replace(decimal, ".")


def _float(_column: Column, cell: str, decimal: str) -> float | None:
    number = _number(cell, decimal, "([eE][+-]?[0-9]+)?")
    return None if number is None or not math.isfinite(float(number)) else float(number)


def _decimal(column: Column, cell: str, decimal: str) -> Decimal | None:
    number = _number(cell, decimal, "")
    if number is None:
        return None
    whole, _, fraction = number.lstrip("+-").partition(".")
    scale = column.type.scale or 0
    if len(fraction.rstrip("0")) > scale or len(whole.lstrip("0")) > column.type.precision - scale:
        return None
    return Decimal(number)


def _boolean(column: Column, cell: str, _decimal: str) -> bool | None:
    return True if cell in column.type.true else False if cell in column.type.false else None


def _moment(column: Column, cell: str, _decimal: str) -> date | datetime | time | None:
    values = (_parse(column, format_, cell) for format_ in column.type.formats)
    return next((value for value in values if value is not None), None)


def _parse(column: Column, format_: str, cell: str) -> date | datetime | time | None:
    parts = list(directives(format_))
    shape = "".join(f"({DIRECTIVES[part]})" if part in DIRECTIVES else re.escape(part) for part in parts)
    match = re.fullmatch(shape, cell)
    if match is None:
        return None
    written = dict(zip([part for part in parts if part in DIRECTIVES], match.groups(), strict=True))
    texts = {part.replace("-", ""): text for part, text in written.items()}
    micro = int(texts.get("%f", "0").ljust(6, "0"))
    try:
        clock = time(_hour(texts), int(texts.get("%M", 0)), int(texts.get("%S", 0)), micro)
        if column.type.name == "time":
            return clock
        day = date(_year(texts), _month(texts), int(texts["%d"]))
        if column.type.name == "date":
            return day
        return _in_zone(column, datetime.combine(day, clock), texts.get("%z"))
    except (ValueError, OverflowError):
        return None


def _year(texts: dict[str, str]) -> int:
    if "%Y" in texts:
        return int(texts["%Y"])
    short = int(texts["%y"])
    return 1900 + short if short >= 69 else 2000 + short


def _month(texts: dict[str, str]) -> int:
    if "%m" in texts:
        return int(texts["%m"])
    return _MONTHS.index((texts.get("%b") or texts["%B"])[:3]) + 1


def _hour(texts: dict[str, str]) -> int:
    if "%I" in texts:
        return int(texts["%I"]) % 12 + (12 if texts["%p"].lower() == "pm" else 0)
    return int(texts.get("%H", 0))


def _in_zone(column: Column, reading: datetime, offset: str | None) -> datetime | None:
    if offset == "Z":
        return reading.replace(tzinfo=UTC)
    if offset is not None:
        hours, minutes = int(offset[1:3]), int(offset[-2:])
        if hours > 23 or minutes > 59:
            return None
        ahead = timedelta(hours=hours, minutes=minutes)
        return (reading + ahead if offset[0] == "-" else reading - ahead).replace(tzinfo=UTC)
    if column.type.zone is None:
        return reading
    zone = ZoneInfo(column.type.zone)
    early, late = (reading.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    return early.astimezone(UTC) if early.utcoffset() == late.utcoffset() else None


def _uuid(_column: Column, cell: str, _decimal: str) -> str | None:
    return cell.lower() if _UUID.fullmatch(cell) else None


_CASTS = {
    "text": _text,
    "integer": _integer,
    "float": _float,
    "decimal": _decimal,
    "boolean": _boolean,
    "date": _moment,
    "timestamp": _moment,
    "time": _moment,
    "uuid": _uuid,
}
_BREAKS: dict[str, Callable[[Column, Any, Any], bool]] = {
    "allowed": lambda _, value, allowed: value not in allowed,
    "minimum": lambda column, value, limit: bool(value < _like(value, column, limit)),
    "maximum": lambda column, value, limit: bool(value > _like(value, column, limit)),
    "length": lambda _, value, most: len(value) > most,
    "pattern": lambda _, value, pattern: re.fullmatch(pattern, value) is None,
}
"""The condition under which a value breaks each kind of rule, in the order in which broken rules are listed."""
