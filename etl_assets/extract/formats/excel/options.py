"""The arguments of the format of workbooks.

What a record is:

* A row below the names that has a value. A blank row is no record, and neither is a row of the footer.
* A merged range has its value in its first cell; the other cells have none. In the rows of the names, the value counts
  for every cell of the range.
* An empty text is no value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import BATCH_BYTES, LARGEST_BATCH
from etl_assets.extract.formats.excel.child.book import column_of
from etl_assets.model.secret import Secret  # noqa: TC001 -- arguments are compared with annotations at runtime
from etl_assets.schema import RECORD_NO

_COLUMNS: Final = re.compile("([A-Z]{1,3}):([A-Z]{1,3})")
_LAST_COLUMN: Final = 16_383
_LAST_ROW: Final = 1_048_576
_MOST_HEADER_ROWS: Final = 20
_SMALLEST_BATCH: Final = 64
_SMALLEST_MEMORY: Final = 128 * 1024**2
_LARGEST_MEMORY: Final = 1024**4
_LONGEST: Final = 7 * 24 * 3600


@dataclass(frozen=True)
class ExcelOptions:
    """A table in a workbook: xlsx, xlsm, xls, xlsb or ods, which are recognised by their bytes.

    Attributes:
        sheet: Name of the sheet, or a glob for several with the same names, which are read one after another; None for
            the only visible sheet that has cells.
        hidden_sheets: Whether hidden sheets are read too.
        header: True, if the sheet has the names; or the names, from the first column on, if it has none.
        header_row: Number of the row with the names, from 1; or of the first record, if the names are declared.
        header_rows: Number of rows with names; the parts of a name are joined by ``" / "``, from top to bottom.
        footer: Number of last rows that are no records; or a glob: the table ends before the first row whose first cell
            matches. A workbook without such a row is refused.
        ends_at_blank_row: Whether the table ends before the first blank row.
        columns: The first and the last column to read, like ``"B:H"``; None for all.
        hidden_rows: ``"read"`` or ``"skip"``.
        percentages: ``"seen"`` for ``12.5%``; ``"number"`` for ``0.125``.
        password: Of an encrypted workbook.
        null: Words that mean 'no value' in every column; among them, the texts of errors such as ``#N/A``.
        memory_bytes: Largest size of the memory of the process that reads the workbook.
        seconds: The longest time that the process may take, without the time in which its records are loaded.
        most_cells: Largest number of cells of the sheets that are read.
        batch_bytes: Largest size of a batch, with its records written as JSON.
    """

    sheet: str | None = None
    hidden_sheets: bool = False
    header: Literal[True] | tuple[str, ...] = True
    header_row: int = 1
    header_rows: int = 1
    footer: int | str | None = None
    ends_at_blank_row: bool = False
    columns: str | None = None
    hidden_rows: Literal["read", "skip"] = "read"
    percentages: Literal["seen", "number"] = "seen"
    password: Secret | None = field(default=None, repr=False)  # so that it is no part of the fingerprint
    null: tuple[str, ...] = ()
    memory_bytes: int = 2 * 1024**3
    seconds: int = 3_600
    most_cells: int = 250_000_000
    batch_bytes: int = BATCH_BYTES

    def __post_init__(self) -> None:
        self._check_header()
        self._check_range()
        if self.sheet is not None and not self.sheet:
            raise _error("sheet", "names nothing", "Write the name of the sheet, or None for the only one")
        if self.footer in ("", 0) or (isinstance(self.footer, int) and not 0 < self.footer <= _LAST_ROW):
            raise _error(
                "footer", f"is {self.footer!r}", "Write the number of last rows, a pattern like 'Total*', or None"
            )
        self._check_limits()

    @property
    def column_range(self) -> tuple[int, int]:
        """The first and the last column to read, from 0."""
        match = _COLUMNS.fullmatch(self.columns or "A:XFD")
        return (column_of(match[1]), column_of(match[2])) if match else (0, _LAST_COLUMN)

    def _check_header(self) -> None:
        header = self.header
        if not 1 <= self.header_row <= _LAST_ROW:
            raise _error("header_row", f"is {self.header_row}", "Write the number that the sheet shows, from 1")
        if not 1 <= self.header_rows <= _MOST_HEADER_ROWS:
            raise _error("header_rows", f"is {self.header_rows}", f"Write 1 to {_MOST_HEADER_ROWS}")
        if header is True:
            return
        if not header or not all(header):
            raise _error("header", "names nothing, or a column ''", "Write the names of all columns: ('a', 'b')")
        if len(set(header)) < len(header) or RECORD_NO in header:
            raise _error("header", "names a column twice", f"Give each a name of its own, other than {RECORD_NO}")
        if self.header_rows > 1:
            raise _error("header_rows", "is of no use with declared names", "Remove it, or write header=True")

    def _check_range(self) -> None:
        if self.columns is None:
            return
        match = _COLUMNS.fullmatch(self.columns)
        first, last = self.column_range
        if match is None or not first <= last <= _LAST_COLUMN:
            raise _error("columns", f"is {self.columns!r}", "Write the first and the last one in capitals: 'B:H'")
        if self.header is not True and len(self.header) > last - first + 1:
            raise _error("columns", "has fewer columns than the declared names", "Write a longer range")

    def _check_limits(self) -> None:
        limits = (
            ("memory_bytes", self.memory_bytes, _SMALLEST_MEMORY, _LARGEST_MEMORY),
            ("seconds", self.seconds, 1, _LONGEST),
            ("most_cells", self.most_cells, 1, _LARGEST_MEMORY),
            ("batch_bytes", self.batch_bytes, _SMALLEST_BATCH, LARGEST_BATCH),
        )
        for name, value, smallest, largest in limits:
            if not smallest <= value <= largest:
                raise _error(name, f"is {value}", f"Write {smallest} to {largest}")


def _error(field: str, problem: str, remedy: str) -> DeclarationError:
    return DeclarationError("format Excel", field, problem, remedy)
