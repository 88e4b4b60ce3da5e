"""Reads xlsb by Calamine, and xls that xlrd cannot read.

Calamine has no number formats, no hidden rows and no merged ranges. Its Python library has the values but no errors;
fastexcel, on the same reader, has the errors.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import IO, TYPE_CHECKING, Any, Final

from etl_assets.extract.formats.excel.child import literals
from etl_assets.extract.formats.excel.child.book import Row, Sheet
from etl_assets.extract.formats.excel.child.libraries import library
from etl_assets.extract.formats.excel.child.refusal import RefusalError
from etl_assets.extract.formats.excel.child.values import clock, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.formats.excel.child.book import Merged

_ERRORS: Final = {
    "Div0": "#DIV/0!",
    "NA": "#N/A",
    "Name": "#NAME?",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "Ref": "#REF!",
    "Value": "#VALUE!",
    "GettingData": "#GETTING_DATA",
}
_DETAIL: Final = re.compile(r"Error\((\w+)\)")
_FIRST_SURE_DATE: Final = date(1900, 3, 1)
"""Calamine gives both the serial numbers 59 and 60 the same date."""


class Calamine:
    """A workbook; see `Book`.

    Args:
        stream: Its bytes.
        type_: ``xlsb`` or ``xls``.
    """

    lacks = frozenset({"hidden_rows", "header_rows"})

    def __init__(self, stream: IO[bytes], type_: str) -> None:
        self.type = type_
        stream.seek(0)
        self._data = stream.read()
        calamine = library("python_calamine", "excel")
        stream.seek(0)
        try:
            self._book = calamine.CalamineWorkbook.from_filelike(stream)
        except calamine.PasswordError as error:
            raise RefusalError(
                "it is encrypted in a way that cannot be decrypted", "Ask the publisher for it without a password"
            ) from error
        except BaseException as error:
            raise _unreadable(error) from error
        visible = calamine.SheetVisibleEnum.Visible
        cells = calamine.SheetTypeEnum.WorkSheet
        self.sheets = [
            Sheet(sheet.name, sheet.visible != visible, sheet.typ == cells, sheet.name)
            for sheet in self._book.sheets_metadata
        ]

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """Yield the rows that have cells, in ascending order."""
        try:
            table = self._book.get_sheet_by_name(sheet.place)
            errors = self._errors(sheet) if table.start is not None else {}
            values = table.to_python(skip_empty_area=True)
        except RefusalError:
            raise
        except BaseException as error:
            raise _unreadable(error) from error
        top, left = table.start or (0, 0)
        columns = tuple(range(left, left + table.width))
        for place, row in enumerate(values, start=top):
            cells = [
                literals.error(errors[place, column]) if (place, column) in errors else _cell(value)
                for column, value in zip(columns, row, strict=True)
            ]
            yield Row(place + 1, False, columns, cells)  # noqa: FBT003 -- not known

    def merged(self, sheet: Sheet) -> Sequence[Merged]:  # noqa: ARG002 -- not known
        """Return nothing: merged ranges are not known."""
        return ()

    def _errors(self, sheet: Sheet) -> Mapping[tuple[int, int], str]:
        """Return the errors by row and column, from 0."""
        fastexcel = library("fastexcel", "excel")
        reader = fastexcel.read_excel(self._data)
        table = reader.load_sheet(sheet.place, header_row=None, skip_rows=0, dtypes="string")
        _, found = table.to_arrow_with_errors()
        left = (self._book.get_sheet_by_name(sheet.place).start or (0, 0))[1]
        errors: dict[tuple[int, int], str] = {}
        for one in found.errors if found else ():
            match = _DETAIL.search(one.detail)
            row, column = one.position
            errors[row, column + left] = _ERRORS.get(match[1], match[1]) if match else "error"
        return errors


def _cell(value: Any) -> str:  # noqa: PLR0911 -- one for each type of value
    if isinstance(value, str):
        return literals.text(value)
    if isinstance(value, bool):
        return literals.TRUE if value else literals.FALSE
    if isinstance(value, int | float):
        return number(repr(value).removesuffix(".0"))
    if isinstance(value, timedelta):
        milliseconds = round(value / timedelta(milliseconds=1))
        return literals.plain(clock(milliseconds)) if milliseconds >= 0 else literals.date(str(value))
    if isinstance(value, time):
        return literals.plain(value.isoformat())
    if isinstance(value, datetime):
        sure = value.date() >= _FIRST_SURE_DATE
        return literals.plain(value.isoformat(" ")) if sure else literals.date(value.isoformat(" "))
    if isinstance(value, date):
        return literals.plain(value.isoformat()) if value >= _FIRST_SURE_DATE else literals.date(value.isoformat())
    return literals.damaged(type(value).__name__)


def _unreadable(error: BaseException) -> RefusalError:
    return RefusalError(
        f"it cannot be read ({type(error).__name__})", "Open the workbook, save it as xlsx, and declare that file"
    )
