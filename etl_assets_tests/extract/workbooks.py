"""Writes workbooks for tests: xlsx by xlsxwriter or part by part, and ods by hand."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import xlsxwriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_ODS = "application/vnd.oasis.opendocument.spreadsheet"
_OPEN_DOCUMENT = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in (("office", "office"), ("table", "table"), ("text", "text"), ("style", "style"))
)


def workbook(*rows: Sequence[Any], name: str = "Sheet1", change: Callable[[Any, Any], object] | None = None) -> bytes:
    """An xlsx file with one sheet; ``change`` gets the workbook and the sheet of xlsxwriter."""
    return book({name: rows}, change=change)


def book(
    sheets: Mapping[str, Sequence[Sequence[Any]]], change: Callable[[Any, Any], object] | None = None, **options: Any
) -> bytes:
    """An xlsx file; ``change`` gets the workbook and the last sheet of xlsxwriter."""
    stream = io.BytesIO()
    writer = xlsxwriter.Workbook(stream, {"in_memory": True, "strings_to_formulas": False, **options})
    sheet = None
    for name, rows in sheets.items():
        sheet = writer.add_worksheet(name)
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                sheet.write(number, column, value)
    if change is not None:
        change(writer, sheet)
    writer.close()
    return stream.getvalue()


def parts(data: bytes, **changed: str | bytes | None) -> bytes:
    """A zip archive with other contents of some parts, named by their last words: ``sheet1``, ``styles``."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            word = name.rpartition("/")[2].partition(".")[0]
            content = changed.get(word, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return stream.getvalue()


def sheet_xml(rows: str, after: str = "", before: str = "") -> bytes:
    """The part of a sheet."""
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    return f'{head}{before}<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData>{after}</worksheet>'.encode()


def raw_workbook(rows: str, *, styles: Sequence[str] = (), date1904: bool = False, **more: str) -> bytes:
    """An xlsx file whose rows are given as XML; style N shows the N-th number format, from 1."""
    formats = "".join(f'<numFmt numFmtId="{200 + n}" formatCode="{code}"/>' for n, code in enumerate(styles))
    cells = '<xf numFmtId="0"/>' + "".join(f'<xf numFmtId="{200 + n}"/>' for n in range(len(styles)))
    relationships = "".join(
        f'<Relationship Id="r{n}" Type="{_DOCUMENT}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(
            (("worksheet", "sheet1.xml"), ("styles", "styles.xml"), ("sharedStrings", "s.xml"))
        )
    )
    files: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="a" Type="{_DOCUMENT}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}">{relationships}</Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}"><workbookPr date1904="{int(date1904)}"/>'
        '<sheets><sheet name="S" sheetId="1" r:id="r0"/></sheets><extLst><ext><x:workbookPr xmlns:x="urn:extension" '
        'defaultImageDpi="32767"/></ext></extLst></workbook>',
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts>{formats}</numFmts><cellXfs>{cells}</cellXfs>'
        "</styleSheet>",
        "xl/s.xml": f'<sst xmlns="{_MAIN}"><si><t>a</t></si><si><t>b</t></si></sst>',
        "xl/sheet1.xml": sheet_xml(rows, **more),
    }
    return zipped(files)


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """A zip archive of files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def ods(tables: str, styles: str = "", **more: str) -> bytes:
    """An OpenDocument spreadsheet whose tables are given as XML."""
    content = (
        f"<office:document-content {_OPEN_DOCUMENT}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"
    )
    return zipped({"mimetype": _ODS, "content.xml": content, **more})


def ods_table(*rows: str, name: str = "S", style: str = "") -> str:
    """A table of an OpenDocument spreadsheet; rows are XML."""
    styled = f' table:style-name="{style}"' if style else ""
    return f'<table:table table:name="{name}"{styled}>{"".join(rows)}</table:table>'


def ods_row(*cells: str, attributes: str = "") -> str:
    """A row of an OpenDocument spreadsheet."""
    return f"<table:table-row {attributes}>{''.join(cells)}</table:table-row>"


def ods_cell(shown: str = "", attributes: str = 'office:value-type="string"', times: int = 1) -> str:
    """A cell of an OpenDocument spreadsheet."""
    text = f"<text:p>{shown}</text:p>" if shown else ""
    return f'<table:table-cell table:number-columns-repeated="{times}" {attributes}>{text}</table:table-cell>'


def ods_number(value: str, shown: str = "", type_: str = "float") -> str:
    """A cell with a number."""
    return ods_cell(shown or value, f'office:value-type="{type_}" office:value="{value}"')
