"""Reads workbooks of Office Open XML: their sheets, number formats and shared strings; `xlsx_rows` reads the rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from etl_assets.extract.formats.excel.child.book import Merged, Sheet, column_of
from etl_assets.extract.formats.excel.child.number_formats import BUILT_IN, NUMBER, kind_of
from etl_assets.extract.formats.excel.child.package import CHUNK, Parser, local, relationships
from etl_assets.extract.formats.excel.child.refusal import damaged
from etl_assets.extract.formats.excel.child.shared_strings import SharedStrings
from etl_assets.extract.formats.excel.child.values import conversion, integer
from etl_assets.extract.formats.excel.child.xlsx_rows import SheetPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.formats.excel.child.book import Row
    from etl_assets.extract.formats.excel.child.package import Package

_RANGE: Final = re.compile(r"\$?([A-Z]{1,3})\$?(\d{1,7})(?::\$?([A-Z]{1,3})\$?(\d{1,7}))?", re.ASCII)


class Xlsx:
    """A workbook of Office Open XML; see `Book`.

    Args:
        package: Its parts.
        percentages: ``seen`` or ``number``.
        string_bytes: The largest size of its shared strings in memory.
    """

    type = "xlsx"
    lacks: frozenset[str] = frozenset()

    def __init__(self, package: Package, percentages: str, string_bytes: int) -> None:
        self._package = package
        self._percentages = percentages
        self._string_bytes = string_bytes
        self._strings: list[str] | None = None
        self._from_1904 = False
        workbook = workbook_part(package)
        self._parts = relationships(package, workbook)
        self.sheets = self._read_sheets(workbook)

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """Yield the rows that have cells, in ascending order."""
        if self._strings is None:
            self._strings = self._read_strings()
        part = SheetPart(sheet.place, self._strings, self._conversions)
        with self._package.open(sheet.place) as stream:
            yield from part.rows(stream)

    def merged(self, sheet: Sheet) -> Sequence[Merged]:
        """Return the merged ranges, which are written after the rows."""
        found: list[Merged] = []

        def start(element: str, attributes: dict[str, str]) -> None:
            if element == "mergeCell" and (match := _RANGE.fullmatch(attributes.get("ref", ""))):
                left, top, right, bottom = match.groups()
                columns = column_of(left), column_of(right or left)
                found.append(Merged(int(top), int(bottom or top), *columns))

        parser = Parser(sheet.place, start)
        with self._package.open(sheet.place) as stream:
            while data := stream.read(CHUNK):
                parser.feed(data)
        return found

    def _read_sheets(self, workbook: str) -> list[Sheet]:
        sheets: list[Sheet] = []

        def start(element: str, attributes: dict[str, str]) -> None:
            if element == "workbookPr" and "date1904" in attributes:  # that of an extension has the same name
                self._from_1904 = attributes["date1904"] in ("1", "true")
            if element == "sheet":
                type_, target = self._parts.get(local(attributes, "id"), ("", ""))
                hidden = attributes.get("state", "visible") != "visible"
                sheets.append(Sheet(attributes.get("name", ""), hidden, type_ == "worksheet", target))

        self._package.parse(workbook, start)
        kinds = self._read_styles()
        by_kind = {kind: conversion(kind, self._percentages, from_1904=self._from_1904) for kind in set(kinds)}
        self._conversions = [by_kind[kind] for kind in kinds]
        return sheets

    def _read_styles(self) -> list[str]:
        """Return the kind of number format of each style that cells refer to."""
        formats: dict[str, str] = {}
        kinds: list[str] = []
        within_cells = False

        def start(element: str, attributes: dict[str, str]) -> None:
            nonlocal within_cells
            if element == "numFmt":
                formats[attributes.get("numFmtId", "")] = kind_of(attributes.get("formatCode", ""))
            elif element == "cellXfs":
                within_cells = True
            elif element == "xf" and within_cells:
                number = attributes.get("numFmtId", "0")
                built_in = BUILT_IN.get(integer(number, -1), NUMBER)
                kinds.append(formats.get(number, built_in))

        def end(element: str) -> None:
            nonlocal within_cells
            within_cells = within_cells and element != "cellXfs"

        if (part := self._part("styles")) is not None:
            self._package.parse(part, start, end)
        return kinds or [NUMBER]

    def _part(self, type_: str) -> str | None:
        parts = (target for kind, target in self._parts.values() if kind == type_)
        return next((part for part in parts if part in self._package), None)

    def _read_strings(self) -> list[str]:
        part = self._part("sharedStrings")
        if part is None:
            return []
        with self._package.open(part) as stream:
            return SharedStrings(part, self._string_bytes).read(stream)


def workbook_part(package: Package) -> str:
    """Return the name of the main part."""
    for type_, target in relationships(package, "").values():
        if type_ == "officeDocument":
            return target
    raise damaged("it has no workbook inside")
