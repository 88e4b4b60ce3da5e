"""Numbers of a workbook as the text that a person sees, with all their digits."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from math import floor, isinf
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.excel.child import literals
from etl_assets.extract.formats.excel.child.number_formats import (
    DATE_TIME,
    DURATION,
    NUMBER,
    PERCENT,
    TIME,
    ZEROS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IS_NUMBER: Final = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[Ee][-+]?\d{1,4})?", re.ASCII)
_FEWEST_DIGITS_OF_A_DOUBLE: Final = 16
_MOST_DIGITS_OF_A_DOUBLE: Final = 17
_LARGEST_EXPONENT: Final = 40
_LARGEST_SERIAL: Final = 10_000_000
_MOST_DIGITS: Final = 9
"""Of a count or a place: far beyond every sheet."""
_DAY: Final = 86_400_000
_FIRST_AFTER_THE_LEAP_DAY: Final = 61
_KEPT: Final = 65_536
_POINT_ZERO: Final = ".0"
"""What some programs write behind whole numbers, and no sheet shows."""


class Conversion(dict[str, str]):
    """What makes cells of the digits of numbers: a mapping that computes a cell once, and keeps the last ones.

    Args:
        convert: Computes a cell.
    """

    def __init__(self, convert: Callable[[str], str]) -> None:
        super().__init__()
        self._convert = convert

    def __missing__(self, digits: str) -> str:
        """Compute a cell, and keep it."""
        if len(self) >= _KEPT:
            self.clear()
        cell = self[digits] = self._convert(digits)
        return cell

    def column(self, values: Sequence[str]) -> list[str]:
        """Return the cells of a column."""
        digits_of_all = '"'.join(values) + '"'
        if self._convert is number and "E" not in digits_of_all and f'{_POINT_ZERO}"' not in digits_of_all:
            return [f'"{digits}"' if len(digits) < _FEWEST_DIGITS_OF_A_DOUBLE else number(digits) for digits in values]
        return list(map(self.__getitem__, values))


def conversion(kind: str, percentages: str, *, from_1904: bool) -> Conversion:
    """Return the conversion for a kind of number format; see `converter`."""
    return Conversion(converter(kind, percentages, from_1904=from_1904))


def converter(kind: str, percentages: str, *, from_1904: bool) -> Callable[[str], str]:
    """Return the function that makes a cell of the digits of a number.

    Args:
        kind: What the number format shows; see `number_formats`.
        percentages: ``seen`` or ``number``.
        from_1904: Whether day 0 of the workbook is 1904-01-01.
    """
    if kind == NUMBER or (kind == PERCENT and percentages == "number"):
        return number
    if kind == PERCENT:
        return percentage
    if kind.startswith(ZEROS):
        return partial(code, width=int(kind.removeprefix(ZEROS)))
    return partial(moment, kind=kind, from_1904=from_1904)


def number(digits: str) -> str:
    """Return a number as the workbook has it, without an exponent; see `exact`."""
    is_short = len(digits) < _FEWEST_DIGITS_OF_A_DOUBLE
    if is_short and "E" not in digits and "e" not in digits and not digits.endswith(_POINT_ZERO):
        return f'"{digits}"'
    return literals.plain(exact(digits))


def integer(digits: str | None, default: int) -> int:
    """Return the count or place that ASCII digits write; the default for anything else, or if it is far too large."""
    if digits is None or not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        return default
    return int(digits)


def percentage(digits: str) -> str:
    """Return a share as the percentage that is the same number: 0.12345 is ``12.345%``."""
    share = Decimal(exact(digits)).as_tuple()
    if not isinstance(share.exponent, int):
        return literals.damaged(digits)
    return literals.plain(f"{Decimal((share.sign, share.digits, share.exponent + 2)):f}%")


def code(digits: str, width: int) -> str:
    """Return an integer with the leading zeros that its format shows; any other number with all its digits."""
    if digits.isdigit():
        return f'"{digits.zfill(width)}"'
    whole = exact(digits)
    sign, absolute = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return literals.plain(sign + absolute.zfill(width)) if absolute.isdigit() else literals.plain(whole)


def exact(digits: str) -> str:
    """Return a number without an exponent, and with the digits that are needed to denote the same number.

    Some programs write every number as a double: 7 as ``7.0``. Such a number becomes the whole number. Some write every
    double with 17 digits, others with 16: 1.1 as ``1.1000000000000001``, 581.32 as ``581.3200000000001``. Such a number
    becomes the shortest that denotes the same double. All other numbers keep their digits.
    """
    if len(digits) >= _FEWEST_DIGITS_OF_A_DOUBLE:
        digits = _shortest(digits)
    if "E" not in digits and "e" not in digits:
        return digits.removesuffix(_POINT_ZERO)
    value = Decimal(digits)
    return f"{value:f}".removesuffix(_POINT_ZERO) if abs(value.adjusted()) <= _LARGEST_EXPONENT else digits


def _shortest(digits: str) -> str:
    mantissa = digits.partition("E")[0].replace(".", "").lstrip("-0")
    if not _FEWEST_DIGITS_OF_A_DOUBLE <= len(mantissa) <= _MOST_DIGITS_OF_A_DOUBLE:
        return digits
    value = float(digits)
    whole = f"{value:.{len(mantissa)}g}"
    if whole == digits or (not isinf(value) and Decimal(whole) == Decimal(digits)):
        return repr(value).removesuffix(".0")
    return digits


def moment(digits: str, kind: str, *, from_1904: bool) -> str:
    """Return a date, a time, both, or a duration, to the millisecond; a cell without a date if it is none."""
    serial = float(digits)
    if abs(serial) > _LARGEST_SERIAL or (serial < 0 and kind == DURATION):
        return literals.date(digits)
    if kind == DURATION:
        return literals.plain(clock(round(serial * _DAY)))
    if kind == TIME and 0 <= serial < 1:
        return literals.plain(clock(min(round(serial * _DAY), _DAY - 1)))
    days = floor(serial)
    milliseconds = round((serial - days) * _DAY)
    day = _day(days + milliseconds // _DAY, from_1904=from_1904)
    if day is None:
        return literals.date(digits)
    of_the_day = milliseconds % _DAY
    return literals.plain(f"{day} {clock(of_the_day)}" if of_the_day or kind in (DATE_TIME, TIME) else str(day))


def clock(milliseconds: int) -> str:
    """Return a time of the day or a duration: ``18:00:00``, ``36:00:00``, ``00:00:00.5``."""
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}" + (f".{fraction:03}".rstrip("0") if fraction else "")


def _day(serial: int, *, from_1904: bool) -> date | None:
    """Return the date of a serial number; None for one that is no date, or is shown as 1900-02-29, which was none."""
    try:
        if from_1904:
            return date(1904, 1, 1) + timedelta(serial) if serial >= 0 else None
        if serial >= _FIRST_AFTER_THE_LEAP_DAY:
            return date(1899, 12, 30) + timedelta(serial)
        return date(1899, 12, 31) + timedelta(serial) if 1 <= serial < _FIRST_AFTER_THE_LEAP_DAY - 1 else None
    except OverflowError:
        return None
