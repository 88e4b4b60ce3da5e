"""The rows that regular expressions prove are those that Expat reads; and any table that is written is read back."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.excel.child import xlsx_rows
from etl_assets.extract.formats.excel.child.number_formats import kind_of
from etl_assets.extract.formats.excel.child.package import Parser
from etl_assets.extract.formats.excel.child.refusal import RefusalError
from etl_assets.extract.formats.excel.child.values import conversion
from etl_assets.extract.formats.excel.child.xlsx_cells import CellParser
from etl_assets_tests.extract.excel_reading import contents
from etl_assets_tests.extract.workbooks import ods, ods_cell, ods_row, ods_table, sheet_xml, workbook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.formats.excel.child.book import Row

_STRINGS = ['"zero"', '"one"']
_CONVERSIONS = [conversion(kind, "seen", from_1904=False) for kind in ("number", "date", "zeros5", "percent")]
_CELLS = (
    '<c r="{at}"><v>{n}</v></c>',
    '<c r="{at}" s="1"><v>4422{n}.5</v></c>',
    '<c r="{at}" s="2"><v>{n}</v></c>',
    '<c r="{at}" t="s"><v>{n}</v></c>',
    '<c r="{at}" s="0" t="b"><v>1</v></c>',
    '<c r="{at}" s="3"/>',
    "",
    '<c r="{at}" t="str"><v>x&amp;y</v></c>',
    '<c r="{at}" t="e"><v>#N/A</v></c>',
    '<c r="{at}"><f>1+1</f><v>2</v></c>',
    '<c r="{at}"><v>1E-{n}</v></c>',
    '<c t="inlineStr"><is><t>in line</t></is></c>',
    '<!-- <c r="{at}"><v>9</v></c> -->',
    '<c  r="{at}"><v>3</v></c>',
    '<c r="{at}"><v>7</v></c><!-- </row> -->',
    '<c r="{at}" t="s"><v>-1</v></c>',
    '<c r="{at}" t="s"><v>\u0661</v></c>',
    '<c r="{at}" t="b"><v>2</v></c>',
)
_HIDDEN_ROW = '</row><row r="{n}"><c r="A{n}"><v>9</v></c><c r="B{n}" t="s"><v>1</v></c></row>'
_BETWEEN = (
    "",
    "",
    "",
    "\n",
    "<!-- < -->",
    f"<!-- {_HIDDEN_ROW} -->",
    f"<?p {_HIDDEN_ROW} ?>",
    "<x/>",
    "</x/>",
    " &e; ",
)


class Slowly(io.BytesIO):
    """A stream that returns few bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 300) if size != -1 else -1)


def proven(data: bytes) -> list[Row]:
    """The rows that the package reads."""
    rows = xlsx_rows.SheetPart("part", _STRINGS, _CONVERSIONS).rows(cast("IO[bytes]", Slowly(data)))
    return [row._replace(cells=tuple(row.cells)) for row in rows]


def parsed(data: bytes) -> list[Row]:
    """The rows that Expat alone reads."""
    parser = CellParser("part", _STRINGS, _CONVERSIONS)
    parser.parser.feed(data, final=True)
    return [row._replace(cells=tuple(row.cells)) for row in parser.finished()]


def values(rows: Sequence[Row]) -> list[tuple[int, bool, dict[int, str]]]:
    """Numbers and cells of the rows that have a value."""
    cells = [
        (row.number, row.hidden, {c: cell for c, cell in zip(row.columns, row.cells, strict=True) if cell != "null"})
        for row in rows
    ]
    return [row for row in cells if row[2]]


@st.composite
def sheets(draw: st.DrawFn) -> bytes:
    """A sheet whose rows are mostly alike, as programs write them, and sometimes in any other way."""
    shape = draw(st.lists(st.sampled_from(_CELLS[:7]), min_size=1, max_size=5))
    rows = []
    for number in range(1, draw(st.integers(1, 25))):
        odd = draw(st.sampled_from([False, False, False, True]))
        cells = draw(st.lists(st.sampled_from(_CELLS), max_size=5)) if odd else shape
        attributes = draw(st.sampled_from(["", "", "", "", ' spans="1:5"', ' hidden="1"']))
        inside = "".join(cell.format(at=f"{'ABCDE'[place]}{number}", n=number % 3) for place, cell in enumerate(cells))
        end = draw(st.sampled_from(["</row>", "</row>", "</row>", "</row >"]))
        between = draw(st.sampled_from(_BETWEEN)).format(n=number + 1)
        rows.append(f'<row r="{number}"{attributes}>{inside}{end}{between}')
    return sheet_xml("".join(rows))


@given(sheets())
@settings(max_examples=150, deadline=None)
def test_rows_that_are_proven_are_those_that_expat_reads(data: bytes) -> None:
    try:
        expected = values(parsed(data))
    except RefusalError:
        with pytest.raises(RefusalError):
            proven(data)
    else:
        assert values(proven(data)) == expected


@pytest.mark.parametrize(
    "cell",
    [
        '<c r="A50" t="s"><v>-1</v></c>',
        '<c r="A50" t="s"><v>-0</v></c>',
        '<c r="A50" t="s"><v>\u0661</v></c>',
        '<c r="A50" t="b"><v>2</v></c>',
        '<c r="A50" t="b"><v>1.0</v></c>',
    ],
)
def test_a_cell_without_a_place_or_a_truth_is_damaged(cell: str) -> None:
    rows = [_ONE.format(n=n) if n != 50 else f'<row r="50">{cell}</row>' for n in range(1, 100)]
    (damaged,) = (row for row in proven(sheet_xml("".join(rows))) if row.number == 50)
    assert damaged.cells[0].startswith('{"damaged":')


@pytest.mark.parametrize("between", [" & ", "&foo;", "</sheetData/>", "</ />"])
def test_unsound_text_between_rows_is_refused(between: str) -> None:
    rows = [_ONE.format(n=n) + (between if n == 50 else "") for n in range(1, 100)]
    with pytest.raises(RefusalError, match="no well-formed XML"):
        proven(sheet_xml("".join(rows)))


def test_rows_within_a_comment_are_no_rows() -> None:
    row = '<row r="{n}"><c r="A{n}"><v>1</v></c></row>'
    odd = '<row r="1"><c r="A1"><f>1</f><v>1</v></c></row>'
    rows = odd + "".join(row.format(n=n) for n in range(2, 40))
    hidden = "<!-- " + "".join(row.format(n=n) for n in range(40, 80)) + " -->"
    after = "".join(row.format(n=n) for n in range(80, 90))
    assert [row.number for row in proven(sheet_xml(rows + hidden + after))] == [*range(1, 40), *range(80, 90)]


_ONE = '<row r="{n}"><c r="A{n}"><v>1</v></c></row>'


@pytest.mark.parametrize(
    "odd",
    [
        '<!-- /><row r="50"><c r="A50"><v>1</v></c></row> -->',
        '<row r="50"><c r="A50"><f>/>/>/>/>/>/>/>/></f><v>1</v></c></row>',
        '<x:row r="50"><c r="A50"><v>1</v></c></x:row>/>/>/>/>/>/>',
        '<row r="50"><c r="A50"><v>1</v></c></row >',
        '<row r="50"><c r="A50"><v>1</v></c></row ><!-- </row><row r="51"><c r="A51"><v>9</v></c></row> -->',
        '<x:row r="50"><c r="A50"><v>1</v></c></x:row><!-- </row><row r="51"><c r="A51"><v>9</v></c></row> -->',
        '<row r="50"><c r="A50"><v>1</v></c></row ><?p </row><row r="51"><c r="A51"><v>9</v></c></row> ?>',
        "<row><c><v>1</v></c></row>",
        '<row r="50"/>',
        '<row r="50"><c r="A50" s="1"/></row>',
        '<x a="/>"><row r="50"><c r="A50"><v>1</v></c></row></x>',
    ],
)
def test_no_row_is_lost_or_won_where_the_proof_could_be_misled(odd: str) -> None:
    rows = [_ONE.format(n=n) for n in range(1, 100) if n != 50]
    data = sheet_xml("".join([*rows[:49], odd, *rows[49:]]), before="").replace(
        b"<worksheet", b'<worksheet xmlns:x="x"'
    )
    assert values(proven(data)) == values(parsed(data))


def test_a_row_that_does_not_end_is_refused_whatever_is_around_it() -> None:
    rows = [_ONE.format(n=n) for n in range(1, 100)]
    rows[49] = '<row r="50"><c r="A50"><v>1</v></c>/>/>/>/>/>/>'
    with pytest.raises(RefusalError):
        proven(sheet_xml("".join(rows)))


def test_rows_that_are_alike_are_read_without_expat(monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[int] = []
    rows = "".join(
        f'<row r="{n}"><c r="A{n}"><v>{n}</v></c><c r="B{n}" t="s"><v>1</v></c></row>' for n in range(1, 200)
    )
    part = xlsx_rows.SheetPart("part", _STRINGS, _CONVERSIONS)
    feed = Parser.feed

    def counted(parser: Parser, data: bytes, *, final: bool = False) -> None:
        fed.append(len(data))
        feed(parser, data, final=final)

    monkeypatch.setattr(Parser, "feed", counted)
    assert len(list(part.rows(cast("IO[bytes]", Slowly(sheet_xml(rows)))))) == 199
    assert sum(fed) < 400


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("General", "number"),
        ("0", "number"),
        ("00000", "zeros5"),
        ("#,##0.00", "number"),
        ('0.00 "days"', "number"),
        ("0.00E+00", "number"),
        ("0%", "percent"),
        ("@", "number"),
        ("yyyy-mm-dd", "date"),
        ('yyyy"-"mm"-"dd', "date"),
        ("[$-407]d. mmmm yyyy", "date"),
        ("m/d/yy h:mm", "datetime"),
        ("mm:ss.0", "time"),
        ("h:mm AM/PM", "time"),
        ("[h]:mm:ss", "duration"),
        ("[mm]:ss", "duration"),
        ("[Red]#,##0;[Blue]-0", "number"),
        ("_-* #,##0.00_-;-* #,##0.00_-", "number"),
        ('"hours: "0', "number"),
        ("\\d0", "number"),
        ("[>=100]0;dd", "number"),
        ("", "number"),
    ],
)
def test_what_a_number_format_shows(code: str, kind: str) -> None:
    assert kind_of(code) == kind


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=8)
_TABLE: Any = st.lists(st.tuples(_TEXT, st.none() | st.floats(-1e15, 1e15), st.booleans()), min_size=1, max_size=8)


@given(_TABLE)
@settings(max_examples=12, deadline=None)
def test_any_table_that_is_written_is_read_back(table: list[tuple[str, float | None, bool]]) -> None:
    read = contents(workbook(("text", "number", "truth"), *table))
    back = [(text, None if number is None else float(number), truth == "true") for text, number, truth in read.records]
    assert [(text, number, truth) for text, number, truth in back if text or number or truth] == [
        (text, None if number is None else float(f"{number:.16G}"), truth) for text, number, truth in table
    ]


_PRINTABLE = st.text(
    st.characters(min_codepoint=33, exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="<&>#"), min_size=1
)


@given(st.lists(st.tuples(_PRINTABLE, _PRINTABLE), min_size=1, max_size=8))
@settings(max_examples=8, deadline=None)
def test_any_table_of_open_document_that_is_written_is_read_back(table: list[tuple[str, str]]) -> None:
    rows = [ods_row(*map(ods_cell, row)) for row in table]
    assert contents(ods(ods_table(*rows)), header=("a", "b")).records == table
