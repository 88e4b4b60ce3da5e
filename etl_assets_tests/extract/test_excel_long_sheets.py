"""An unusual row among thousands of usual ones, of which most are read without Expat, is read as Expat reads it."""

from __future__ import annotations

import io

import pytest

from etl_assets.extract.formats.excel.child.package import CHUNK, Parser
from etl_assets.extract.formats.excel.child.values import conversion
from etl_assets.extract.formats.excel.child.xlsx_rows import SheetPart
from etl_assets_tests.extract.excel_reading import contents, refusal
from etl_assets_tests.extract.workbooks import parts, raw_workbook, sheet_xml

_BEFORE = 6_000
_ODD = _BEFORE + 1
_USUAL = '<row r="{n}" spans="1:2"><c r="A{n}"><v>{n}</v></c><c r="B{n}" t="s"><v>0</v></c></row>'
_OF_TWO_CELLS = '<row r="{n}"><c r="A{n}"><v>1</v></c><c r="B{n}" t="s"><v>1</v></c></row>'
_ENDED_BY_A_BLANK = '<row r="{n}"><c r="A{n}"><v>1</v></c></row >'
_PREFIXED = '<x:row r="{n}"><c r="A{n}"><v>1</v></c></x:row>'
_HIDING = f"</row>{_OF_TWO_CELLS.format(n=_ODD + 1)}"


def usual(first: int, end: int) -> str:
    """Rows as programs write them."""
    return "".join(_USUAL.format(n=n) for n in range(first, end))


def among_usual_rows(odd: str) -> bytes:
    """A workbook with rows around an odd one, in place of ``{n}``, that fill several chunks."""
    before = usual(1, _ODD)
    assert len(before) > 2 * CHUNK - len(_USUAL)
    rows = before + odd.replace("{n}", str(_ODD)) + usual(_ODD + 2, _ODD + _BEFORE)
    return raw_workbook(rows).replace(b"<worksheet ", b'<worksheet xmlns:x="x" ')


def read(odd: str) -> list[tuple[str | None, ...]]:
    """The records of a workbook that are unlike those of usual rows."""
    records = contents(among_usual_rows(odd), header=("a", "b")).records
    return [record for record in records if record[1] != "a"]


def damaged(cell: str) -> list[list[str]]:
    """The rules that are broken in a workbook, with a row with a cell."""
    row = f'<row r="{{n}}"><c r="A{{n}}"><v>1</v></c>{cell}</row>'
    return list(contents(among_usual_rows(row), header=("a", "b")).malformed.values())


@pytest.mark.parametrize("row", [_ENDED_BY_A_BLANK, _PREFIXED])
def test_a_row_within_a_comment_is_no_record(row: str) -> None:
    assert read(f"{row}<!-- {_HIDING} -->") == [("1", None)]


@pytest.mark.parametrize("row", [_ENDED_BY_A_BLANK, _PREFIXED])
def test_a_row_within_an_instruction_is_no_record(row: str) -> None:
    assert read(f"{row}<?p {_HIDING} ?>") == [("1", None)]


def test_rows_within_a_comment_at_the_begin_of_all_rows_are_no_records() -> None:
    hidden = f"<sheetData ><!-- <sheetData>{usual(1, _BEFORE)} -->{_OF_TWO_CELLS.format(n=1)}"
    sheet = sheet_xml("").replace(b"<sheetData>", hidden.encode())
    assert contents(parts(raw_workbook(""), sheet1=sheet), header=("a", "b")).records == [("1", "b")]


@pytest.mark.parametrize("place", ["-1", "-0", "\u0661", "1.0", "2"])
def test_a_shared_string_without_a_place_damages_its_record(place: str) -> None:
    assert damaged(f'<c r="B{{n}}" t="s"><v>{place}</v></c>') == [["record__damaged_cell"]]


@pytest.mark.parametrize("truth", ["2", "1.0", "-1", "\u0661"])
def test_a_truth_that_is_neither_0_nor_1_damages_its_record_alone(truth: str) -> None:
    assert damaged(f'<c r="B{{n}}" t="b"><v>{truth}</v></c>') == [["record__damaged_cell"]]


def test_a_number_in_digits_of_another_script_damages_its_record() -> None:
    assert damaged('<c r="B{n}"><v>\u0661\u0662</v></c>') == [["record__damaged_cell"]]


def test_a_moment_in_digits_of_another_script_damages_its_record() -> None:
    assert damaged('<c r="B{n}" t="d"><v>\u0662\u0660\u0662\u0664-01-01</v></c>') == [["record__damaged_cell"]]


@pytest.mark.parametrize("text", [" & &foo; ", "\x01", "\x1c", "]]>", "\ufffe", "</sheetData/>", "</ />", "< />"])
def test_unsound_text_between_rows_is_refused(text: str) -> None:
    assert "no well-formed XML" in refusal(among_usual_rows(text + _OF_TWO_CELLS))


@pytest.mark.parametrize("text", ["&foo;", "\x01", "\x1c", "]]>", "\ufffe"])
def test_unsound_text_between_cells_is_refused(text: str) -> None:
    assert "no well-formed XML" in refusal(among_usual_rows(_OF_TWO_CELLS.replace("</c><c", f"</c>{text}<c")))


@pytest.mark.parametrize("text", ["&foo;", "\x01", "]]>"])
def test_unsound_text_after_the_last_cell_is_refused(text: str) -> None:
    assert "no well-formed XML" in refusal(among_usual_rows(_OF_TWO_CELLS.replace("</row>", f"{text}</row>")))


_UNSOUND = ['r="3"', 'a="1" a="2"', 'a="1"b="2"', 'a="\x01"', "a", "a=1", '1="1"', 'a="1" "']


@pytest.mark.parametrize("attributes", _UNSOUND)
def test_unsound_attributes_of_a_row_are_refused(attributes: str) -> None:
    row = _OF_TWO_CELLS.replace('"{n}">', f'"{{n}}" {attributes}>', 1)
    assert "no well-formed XML" in refusal(among_usual_rows(row))


@pytest.mark.parametrize("attributes", _UNSOUND)
def test_unsound_attributes_of_a_row_without_cells_are_refused(attributes: str) -> None:
    assert "no well-formed XML" in refusal(among_usual_rows(f'<row r="{{n}}" {attributes}/>'))


def test_attributes_of_a_row_that_follow_no_blank_are_refused() -> None:
    row = _OF_TWO_CELLS.replace('"{n}">', '"{n}"a="1">', 1)
    assert "no well-formed XML" in refusal(among_usual_rows(row))


def test_a_row_without_cells_beyond_the_following_ones_is_refused() -> None:
    assert f"has row {_ODD + 2} after row 99999" in refusal(among_usual_rows('<row r="99999"/>'))


def test_a_row_without_cells_before_the_preceding_ones_is_refused() -> None:
    assert f"has row 5 after row {_BEFORE}" in refusal(among_usual_rows('<row r="5" spans="1:2"/>'))


@pytest.mark.parametrize("between", ["", "\n", '<row r="{n}"/>', '\n<row r="{n}" spans="1:2" ht="20"/>\n'])
def test_rows_with_blanks_or_rows_without_cells_between_them_are_read_without_expat(
    between: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = range(1, 3 * _BEFORE, 3)
    rows = "".join(f"{usual(n, n + 2)}{between.format(n=n + 2)}" for n in numbers)
    fed: list[int] = []
    feed = Parser.feed

    def counted(parser: Parser, data: bytes, *, final: bool = False) -> None:
        fed.append(len(data))
        feed(parser, data, final=final)

    monkeypatch.setattr(Parser, "feed", counted)
    sheet = SheetPart("part", ['"a"'], [conversion("number", "seen", from_1904=False)])
    found = [row.number for row in sheet.rows(io.BytesIO(sheet_xml(rows))) if row.cells]
    assert found == [n for number in numbers for n in (number, number + 1)]
    assert sum(fed) < 2 * CHUNK < len(rows) // 2


@pytest.mark.parametrize("blanks", ["\n", "\r\n\t "])
def test_a_row_with_blanks_between_its_cells_is_read(blanks: str) -> None:
    assert read(_OF_TWO_CELLS.replace("><c", f">{blanks}<c").replace("</row>", f"{blanks}</row>")) == [("1", "b")]


@pytest.mark.parametrize("text", ["junk", "a > b", ">"])
def test_text_between_cells_is_no_value(text: str) -> None:
    assert read(_OF_TWO_CELLS.replace("</c><c", f"</c>{text}<c")) == [("1", "b")]
