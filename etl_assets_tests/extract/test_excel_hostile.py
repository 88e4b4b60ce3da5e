"""Workbooks that are broken, encrypted or made to exhaust machines; and the process that reads them."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import msoffcrypto  # type: ignore[import-untyped]  # it has no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.errors import DeliveryError, DeliveryIncompleteError, EnvironmentFaultError
from etl_assets.extract.formats.excel.format import Excel
from etl_assets.model.secret import Secret
from etl_assets_tests.extract.excel_reading import contents, refusal
from etl_assets_tests.extract.workbooks import (
    book,
    ods,
    ods_cell,
    ods_row,
    ods_table,
    parts,
    raw_workbook,
    sheet_xml,
    workbook,
    zipped,
)

_ROWS = (("a", "b"), (1, "x"), (2, "y"))
_DOCTYPE = '<!DOCTYPE x [<!ENTITY e "eeeeeeee">]>'
_A_ROW = '<row r="1"><c r="A1"><v>1</v></c></row>'


def children() -> list[str]:
    """The processes that this one has started and not waited for."""
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text("utf-8").split()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- pathlib opens a file more


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"a,b\n1,2\n", "it is of none of the types xlsx, xlsm, xls, xlsb and ods"),
        (b"\xef\xbb\xbf <html><table><tr><td>1", "looks like XML or HTML"),
        (zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": "<x/>"}), "it has no workbook inside"),
        (zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<x/>"}), "without sheets"),
        (ods("", **{"META-INF/manifest.xml": "<m><encryption-data/></m>"}), "an encrypted OpenDocument file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), "it cannot be read"),
        (parts(workbook(*_ROWS), sheet1=None), "its part xl/worksheets/sheet1.xml is missing"),
    ],
    ids=["empty", "csv", "html", "document", "text", "encrypted ods", "broken xls", "lacks a part"],
)
def test_a_file_that_is_no_workbook_is_refused(data: bytes, words: str) -> None:
    text = refusal(data)
    assert text.startswith("The workbook cannot be read: ")
    assert words in text
    assert "Nothing was written" in text


def test_a_workbook_that_is_cut_short_is_incomplete() -> None:
    data = workbook(*_ROWS)
    assert "a zip archive without its end" in refusal(data[:-30], DeliveryIncompleteError)
    place = data.index(b"xl/worksheets/sheet1.xml") + 40
    damaged = data[:place] + bytes(10) + data[place + 10 :]
    assert "Fetch it again" in refusal(damaged, DeliveryIncompleteError)


@pytest.mark.parametrize(
    "sheet",
    [
        sheet_xml(_A_ROW)[:-20],
        sheet_xml(_A_ROW + "<row><c></row>"),
        sheet_xml(_A_ROW + "</sheetData><x>"),
        sheet_xml(_A_ROW.replace("<v>1", "<v>&e;")),
        sheet_xml(_A_ROW + _A_ROW),
        sheet_xml('<row r="2"><c r="A2"><v>1</v></c></row>' + _A_ROW),
        sheet_xml('<row r="1048577"><c><v>1</v></c></row>'),
        sheet_xml('<row r="1"><c r="A1"><v>1</v></c><c r="A1"><v>2</v></c></row>'),
        sheet_xml('<row r="1"><c r="XFE1"><v>1</v></c></row>'),
        sheet_xml(_A_ROW, before=_DOCTYPE),
        b"<?xml version='1.0' encoding='nonsense'?><worksheet/>",
        sheet_xml("<x>" * 1000),
        sheet_xml(f'<row x="{"y" * 12_000_000}"/>'),
    ],
)
def test_a_sheet_that_is_no_sound_xml_is_refused(sheet: bytes) -> None:
    assert "its part xl/worksheets/sheet1.xml" in refusal(parts(workbook(*_ROWS), sheet1=sheet), header=("a",))


@pytest.mark.parametrize("part", ["workbook", "styles", "sharedStrings"])
def test_a_part_with_a_document_type_declaration_is_refused(part: str) -> None:
    data = workbook(*_ROWS)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = next(name for name in archive.namelist() if name.endswith(f"/{part}.xml"))
        head, root, rest = archive.read(name).partition(b"?>")
    assert "document type declaration" in refusal(parts(data, **{part: head + root + _DOCTYPE.encode() + rest}))


def test_two_cells_at_the_corners_of_a_sheet_are_two_cells() -> None:
    rows = _A_ROW + '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    read = contents(raw_workbook(rows), header=("a",))
    assert (read.records, read.malformed) == ([("1",)], {"!S:1048576": ["record__unnamed_cell"]})


def test_more_cells_than_declared_are_refused() -> None:
    wide = "".join(f'<row r="{n}"><c r="ALL{n}"><v>1</v></c></row>' for n in range(2, 200))
    names = tuple(f"c{n}" for n in range(1000))
    text = refusal(raw_workbook(wide), header=names, most_cells=100_000)
    assert "its sheets have more than 100,000 cells. Nothing was written. Raise most_cells" in text


def test_repeated_cells_of_open_document_count_too() -> None:
    row = ods_row(ods_cell("x", times=16384), attributes='table:number-rows-repeated="1048576"')
    assert "more than 100,000 cells" in refusal(ods(ods_table(row)), header=("a",), most_cells=100_000)


def test_a_text_that_fills_the_memory_is_refused() -> None:
    text = "<si><t>" + "x" * 40_000_000 + "</t></si>"
    data = parts(workbook(*_ROWS), sharedStrings=f"<sst>{text}</sst>")
    assert "its shared strings take more than 33,554,432 bytes" in refusal(data, memory_bytes=128 * 1024**2)
    long_cell = f'<row r="1"><c r="A1" t="str"><v>{"x" * 2_000_000}</v></c></row>'
    assert "a cell of more than 1048576 characters" in refusal(raw_workbook(long_cell), header=("a",))


def test_a_row_that_is_larger_than_a_batch_is_refused() -> None:
    assert "row 2 has more than 100 bytes. Nothing was written. Raise batch_bytes" in refusal(
        workbook(("a",), ("x" * 100,)), batch_bytes=100
    )


def test_a_sheet_of_blanks_is_read_in_little_memory() -> None:
    blanks = " " * 30_000_000
    assert contents(raw_workbook(_A_ROW + blanks), header=("a",), memory_bytes=128 * 1024**2).records == [("1",)]


def test_a_reader_that_takes_too_much_memory_is_a_refusal_that_names_the_limit() -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(150_000_000)
    text = refusal(data, memory_bytes=128 * 1024**2)
    assert "reading it takes more than 134,217,728 bytes of memory" in text
    assert "Raise memory_bytes" in text


def test_a_reader_that_takes_too_long_is_a_refusal_that_names_the_limit() -> None:
    data = ods(ods_table(ods_row(ods_cell("a", times=16384), attributes='table:number-rows-repeated="1048576"')))
    text = refusal(data, header=("a",), columns="A:A", seconds=1, most_cells=10**11)
    assert "reading it takes more than 1 seconds" in text
    assert "Raise seconds" in text


def test_no_process_and_no_file_is_left_when_the_consumer_stops_early() -> None:
    contents(workbook(*_ROWS))
    before = children(), open_files()
    batches = Excel(batch_bytes=64).read(io.BytesIO(workbook(("a",), *((n,) for n in range(5000)))), "")
    next(batches)
    assert len(children()) == len(before[0]) + 1
    batches.close()  # type: ignore[attr-defined]  # it is a generator
    refusal(b"no workbook")
    assert (children(), open_files()) == before


def test_a_missing_library_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [path for path in sys.path if "site-packages" not in path])
    with pytest.raises(EnvironmentFaultError, match=r"pip install 'etl-assets\[excel\]'"):
        contents(b"\x09\x08" + bytes(100))


def encrypted(data: bytes, password: str) -> bytes:
    stream = io.BytesIO()
    msoffcrypto.OfficeFile(io.BytesIO(data)).encrypt(password, stream)
    return stream.getvalue()


def test_an_encrypted_workbook_is_read_with_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encrypted(workbook(*_ROWS), "open sesame")
    monkeypatch.setenv("BOOK_PASSWORD", "open sesame")
    assert contents(data, password=Secret("BOOK_PASSWORD")).records == [("1", "x"), ("2", "y")]
    assert contents(workbook(*_ROWS), password=Secret("BOOK_PASSWORD")).records == [("1", "x"), ("2", "y")]
    monkeypatch.setenv("BOOK_PASSWORD", "wrong")
    text = refusal(data, password=Secret("BOOK_PASSWORD"))
    assert "it cannot be decrypted with the declared password" in text
    assert "wrong" not in text
    assert "it is encrypted, and no password is declared" in refusal(data)


def test_the_password_is_neither_an_argument_nor_in_the_environment_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BOOK_PASSWORD", "open sesame")
    data = workbook(("a",), *((n,) for n in range(5000)))
    batches = Excel(batch_bytes=64, password=Secret("BOOK_PASSWORD")).read(io.BytesIO(data), "")
    known = set(children())
    next(batches)
    (child,) = set(children()) - known
    for file in ("cmdline", "environ"):
        assert b"sesame" not in Path(f"/proc/{child}/{file}").read_bytes()
    batches.close()  # type: ignore[attr-defined]  # it is a generator


_SMALL: Any = [
    workbook(*_ROWS),
    ods(ods_table(ods_row(ods_cell("a")), ods_row(ods_cell("1")))),
]


@given(st.sampled_from(_SMALL), st.data())
@settings(max_examples=12, deadline=None)
def test_bytes_that_are_cut_or_changed_anywhere_are_read_or_refused(whole: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255))
    cut = data.draw(st.booleans())
    broken = whole[:place] if cut else whole[:place] + bytes([byte]) + whole[place + 1 :]
    with suppress(DeliveryError):
        contents(broken, seconds=20)


def test_several_sheets_share_their_limits() -> None:
    data = book({"1": [("a",), *((n,) for n in range(80))], "2": [("a",), *((n,) for n in range(80))]})
    assert len(contents(data, sheet="?", most_cells=200).records) == 160
    assert "more than 100 cells" in refusal(data, sheet="?", most_cells=100)
