"""Writes a sheet of texts as a workbook, row by row. Every cell is text, so that no spreadsheet rewrites it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

from etl_assets.errors import QuarantineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO

_ESCAPE: Final = re.compile(r"_x(?=[0-9A-Fa-f]{4}_)")
_MOST_ROWS: Final = 1_048_576
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOCUMENT: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS: Final = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_DOCUMENT}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_DOCUMENT}/styles" Target="styles.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}"><sheets>'
    '<sheet name="records" sheetId="1" r:id="rId1"/></sheets></workbook>',
    # number format 49 is text
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="2"><xf/>'
    '<xf numFmtId="49" applyNumberFormat="1" quotePrefix="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}


class Sheet:
    """The sheet of a workbook that is being written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._rows = 0

    def write(self, cells: Sequence[str]) -> None:
        """Write a row.

        Raises:
            QuarantineError: If a workbook can have no more rows.
        """
        self._rows += 1
        if self._rows > _MOST_ROWS:
            raise QuarantineError(
                f"A workbook has at most {_MOST_ROWS:,} rows. The file is not complete. Export fewer records, by "
                "--rule or --where, or a CSV file."
            )
        texts = "".join(
            f'<c s="1" t="inlineStr"><is><t xml:space="preserve">{_text(cell)}</t></is></c>' for cell in cells
        )
        self._file.write(f"<row>{texts}</row>".encode())


@contextmanager
def sheet_in(file: IO[bytes]) -> Iterator[Sheet]:
    """Write a workbook with one sheet in a block."""
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, text in _PARTS.items():
            archive.writestr(name, _HEAD + text)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            part.write(
                f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
                '<pane ySplit="1" topLeftCell="A2" state="frozen"/></sheetView></sheetViews>'
                '<cols><col min="1" max="16384" width="16" style="1" customWidth="1"/></cols><sheetData>'.encode()
            )
            yield Sheet(part)
            part.write(b"</sheetData></worksheet>")


def _text(cell: str) -> str:
    """Return the text of a cell as XML; what would be read as an escape of a workbook is escaped itself."""
    return escape(_ESCAPE.sub("_x005F_x", cell), {"\r": "&#13;"})
