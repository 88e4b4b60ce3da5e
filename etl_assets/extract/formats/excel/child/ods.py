"""Reads OpenDocument spreadsheets: ``content.xml`` is parsed while it is unpacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.extract.formats.excel.child.book import Merged, Sheet
from etl_assets.extract.formats.excel.child.ods_rows import OdsParser, count, is_hidden
from etl_assets.extract.formats.excel.child.package import CHUNK, Parser, local
from etl_assets.extract.formats.excel.child.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.excel.child.book import Row
    from etl_assets.extract.formats.excel.child.package import Package

_CONTENT = "content.xml"
_MANIFEST = "META-INF/manifest.xml"


class Ods:
    """An OpenDocument spreadsheet; see `Book`.

    Args:
        package: Its parts.
        percentages: ``seen`` or ``number``.
    """

    type = "ods"
    lacks: frozenset[str] = frozenset()

    def __init__(self, package: Package, percentages: str) -> None:
        self._package = package
        self._percentages = percentages
        self._refuse_encrypted()
        self._merged: dict[str, list[Merged]] = {}
        self.sheets = self._read_sheets()

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """Yield the rows that have cells, in ascending order."""
        parser = OdsParser(_CONTENT, int(sheet.place), self._percentages)
        with self._package.open(_CONTENT) as stream:
            while not parser.ended and (data := stream.read(CHUNK)):
                parser.feed(data)
                yield from parser.finished()

    def merged(self, sheet: Sheet) -> Sequence[Merged]:
        """Return the merged ranges."""
        return self._merged.get(sheet.place, ())

    def _refuse_encrypted(self) -> None:
        encrypted = False

        def start(element: str, _: dict[str, str]) -> None:
            nonlocal encrypted
            encrypted = encrypted or element == "encryption-data"

        if _MANIFEST in self._package:
            self._package.parse(_MANIFEST, start)
        if encrypted:
            raise RefusalError(
                "it is an encrypted OpenDocument file", "Ask the publisher for it without a password, or as xlsx"
            )

    def _read_sheets(self) -> list[Sheet]:
        """Return the sheets, and find their merged ranges; this reads the whole content once."""
        sheets: list[Sheet] = []
        hidden_styles: set[str] = set()
        style = ""
        depth = row = column = 0

        def start(element: str, attributes: dict[str, str]) -> None:
            nonlocal style, row, column, depth
            if element == "style":
                style = local(attributes, "name")
            elif element == "table-properties" and is_hidden(attributes):
                hidden_styles.add(style)
            elif element == "table":
                depth += 1
                if depth == 1:
                    row = 0
                    hidden = local(attributes, "style-name") in hidden_styles
                    sheets.append(Sheet(local(attributes, "name"), hidden, has_cells=True, place=str(len(sheets))))
            elif element == "table-row" and depth == 1:
                row, column = row + count(attributes, "rows"), 0
            elif element in ("table-cell", "covered-table-cell") and depth == 1:
                self._note_merged(attributes, sheets[-1].place, row, column)
                column += count(attributes, "columns")

        def end(element: str) -> None:
            nonlocal depth
            depth -= element == "table"

        parser = Parser(_CONTENT, start, end)
        with self._package.open(_CONTENT) as stream:
            while data := stream.read(CHUNK):
                parser.feed(data)
        parser.feed(b"", final=True)
        return sheets

    def _note_merged(self, attributes: dict[str, str], place: str, row: int, column: int) -> None:
        rows, columns = count(attributes, "rows-spanned", "number"), count(attributes, "columns-spanned", "number")
        if rows > 1 or columns > 1:
            merged = Merged(row, row + rows - 1, column, column + columns - 1)
            self._merged.setdefault(place, []).append(merged)
