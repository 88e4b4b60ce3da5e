"""Cells of a sheet of records: how a value is written for a spreadsheet, and what a spreadsheet may do to it.

A spreadsheet takes ``007`` for a number, ``1-2`` for a date and ``=A1`` for a formula, and writes each otherwise
when it saves the sheet. Such a change is none that a person made.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from datetime import date

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_ESCAPED: Final = (*_FORMULA, "'")
_LONGEST: Final = 32_767
"""The most characters of a cell of a workbook, which counts those beyond the basic ones twice."""
_TOO_LONG: Final = "(too long for a cell)"
_LEAST: Final = " "
"""The first character that is no control character."""
_SIGNIFICANT: Final = 15
"""The digits of a number that a spreadsheet keeps."""
_DATES: Final = tuple(
    form.replace("-", mark)
    for mark in "-./"
    for form in ("%Y-%m-%d", "%d-%m-%Y", "%m-%d-%Y", "%d-%m-%y", "%m-%d-%y", "%d-%b-%Y", "%d-%b-%y")
)
_CLOCKS: Final = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_DAY_AND_MONTH: Final = re.compile(r"\d{1,2}[-/.]\d{1,2}")
_WITH_MONTH_NAME: Final = re.compile(r"(?:\d{1,2}[-. ]{1,2}[A-Za-z]{3}|[A-Za-z]{3}[-. ]{1,2}\d{1,2})\.?")


def escape_formula(text: str) -> str:
    """Return the text of a cell, with an apostrophe before anything that a spreadsheet might take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def cell_of(value: str | None) -> str:
    """Return a value as the text of a cell: empty for no value, with an apostrophe before what may be a formula.

    What no cell can hold is described instead; such a cell cannot be edited, since it is not read back.
    """
    if value is None:
        return ""
    text = value if _can_be_in_a_cell(value) else escape_control_characters(value)
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 >= _LONGEST:
        return _TOO_LONG
    return f"'{text}" if text.startswith(_ESCAPED) else text


def value_of(cell: str) -> str | None:
    """Return the value that a person entered in a cell; None if it is empty."""
    return cell.removeprefix("'") or None


def is_same(cell: str, exported: str) -> bool:
    """Return whether a cell has what was exported; line ends do not count, nor an apostrophe that was taken away."""
    plain = _with_one_line_end(cell)
    return plain in {_with_one_line_end(exported), _with_one_line_end(exported.removeprefix("'"))}


def may_be_rewritten(cell: str, exported: str) -> bool:
    """Return whether a spreadsheet may have written a cell otherwise by itself: as a number, a date or a truth."""
    before, after = exported.removeprefix("'").strip(), cell.removeprefix("'").strip()
    if before.casefold() == after.casefold():
        return True
    if _DAY_AND_MONTH.fullmatch(before) and _WITH_MONTH_NAME.fullmatch(after):
        return True
    return _are_one_number(before, after) or bool(_dates(before) & _dates(after))


def is_date_of_one_meaning(cell: str, exported: str) -> bool:
    """Return whether both are the same date, and what was exported can be read as no other one."""
    dates = _dates(exported.strip())
    return len(dates) == 1 and dates == _dates(cell.strip())


def _can_be_in_a_cell(value: str) -> bool:
    """Return whether XML can have every character."""
    return all(
        char in "\t\n\r" or _LEAST <= char < "\ud800" or "\ue000" <= char < "\ufffe" or char > "\uffff"
        for char in value
    )


def _with_one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _are_one_number(before: str, after: str) -> bool:
    """Return whether two texts are one number, apart from the digits that a spreadsheet does not keep or show."""
    first, second = _number(before), _number(after)
    if first is None or second is None:
        return False
    digits = len(re.sub(r"[eE].*|\D", "", after)) if "e" in after.casefold() else _SIGNIFICANT
    return abs(first - second) < Decimal(1).scaleb(first.adjusted() - digits + 1) if first else first == second


def _number(text: str) -> Decimal | None:
    """Return the number that a spreadsheet may read in a text: with a percent sign, or separators of thousands."""
    digits = re.sub(r"[ '\u00a0\u202f%]", "", text)
    if "," in digits and "." in digits:
        digits = digits.replace(",", "") if digits.rindex(",") < digits.rindex(".") else digits.replace(".", "")
    try:
        number = Decimal(digits.replace(",", "."))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _dates(text: str) -> set[date]:
    """Return the days for which a text can be read."""
    if len(text) > len("30-Sep-2026 12:59:59 PM"):
        return set()
    found = set()
    for form in _DATES:
        for clock in _CLOCKS:
            try:
                found.add(datetime.strptime(text, form + clock).date())  # noqa: DTZ007 -- only its day counts
            except ValueError:
                continue
    return found
