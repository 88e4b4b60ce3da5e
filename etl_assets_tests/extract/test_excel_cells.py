"""Cells of workbooks: as a person sees them in the sheet, without losing a digit."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from etl_assets.extract.formats.excel.child.calamine import Calamine
from etl_assets_tests.extract.excel_reading import contents
from etl_assets_tests.extract.workbooks import (
    ods,
    ods_cell,
    ods_number,
    ods_row,
    ods_table,
    raw_workbook,
    workbook,
    zipped,
)

_STYLES = (
    "00000",
    "yyyy\\-mm\\-dd",
    "dd/mm/yyyy hh:mm",
    "h:mm AM/PM",
    "[h]:mm",
    "0.0%",
    "#,##0.00\\ &quot;EUR days&quot;",
    "[$-F400]h:mm:ss",
    "[Red]0.00E+00",
    "mmm\\-yy;@",
    "mm:ss.0",
)
(CODE, DATE, DATE_TIME, TIME, DURATION, PERCENT, EURO, LOCAL_TIME, SCIENTIFIC, MONTH, MINUTES) = range(1, 12)


def cell(content: str, type_: str = "", style: int = 0) -> str:
    """The first cell of the first row."""
    typed = f' t="{type_}"' if type_ else ""
    styled = f' s="{style}"' if style else ""
    return f'<row r="1"><c r="A1"{styled}{typed}>{content}</c></row>'


def rows_of(*cells: tuple[str, int]) -> str:
    """Rows with one number each: its text and its style."""
    return "".join(
        f'<row r="{n}"><c r="A{n}" s="{style}"><v>{text}</v></c></row>'
        for n, (text, style) in enumerate(cells, start=1)
    )


def seen(*cells: tuple[str, int], **options: Any) -> list[str | None]:
    """What is read of numbers with styles; the place of a malformed record is missing."""
    date1904 = options.pop("date1904", False)
    data = raw_workbook(rows_of(*cells), styles=_STYLES, date1904=date1904)
    return [record[0] for record in contents(data, header=("a",), **options).records]


def test_numbers_keep_the_digits_that_the_workbook_has() -> None:
    numbers = ("0.30000000000000004", "9007199254740993", "123", "-0.5", "1.50", "0.1234567890123456789")
    assert seen(*((number, 0) for number in numbers)) == list(numbers)


def test_a_whole_number_that_is_written_as_a_double_is_a_whole_number() -> None:
    numbers = (("31001.0", 0), ("-7.0", 0), ("100.0", 0), ("0.05", 0), ("9007199254740992.0", 0), ("123.0", CODE))
    assert seen(*numbers, ("0.5", PERCENT), ("1.0", PERCENT), ("44227.0", DATE)) == [
        *("31001", "-7", "100", "0.05", "9007199254740992", "00123"),
        *("50%", "100%", "2021-01-31"),
    ]


def test_a_double_that_is_written_with_17_digits_becomes_the_shortest_number_that_denotes_it() -> None:
    assert seen(("1.1000000000000001", 0), ("7.0000000000000007E-2", 0), ("12345678901234568", 0)) == [
        "1.1",
        "0.07",
        "12345678901234568",
    ]


def test_a_double_that_is_written_with_16_digits_becomes_the_shortest_number_that_denotes_it() -> None:
    written = ("581.3200000000001", "608.0599999999999", "1.100000000000001", "1234567890123456")
    assert seen(*((number, 0) for number in written)) == ["581.32", "608.06", "1.100000000000001", "1234567890123456"]


def test_numbers_have_no_exponent_unless_it_is_large() -> None:
    assert seen(("1E+5", 0), ("1.5E-3", SCIENTIFIC), ("-2.5E+10", 0), ("1E+300", 0)) == [
        "100000",
        "0.0015",
        "-25000000000",
        "1E+300",
    ]


def test_codes_have_the_leading_zeros_that_their_format_shows() -> None:
    assert seen(("123", CODE), ("-7", CODE), ("123456", CODE), ("1.5", CODE), ("1E+2", CODE)) == [
        "00123",
        "-00007",
        "123456",
        "1.5",
        "00100",
    ]


def test_dates_and_times_are_written_as_iso_8601_says() -> None:
    moments = (("44227", DATE), ("44227.75", DATE_TIME), ("44227", DATE_TIME), ("0.75", TIME), ("1.5", DURATION))
    assert seen(*moments) == ["2021-01-31", "2021-01-31 18:00:00", "2021-01-31 00:00:00", "18:00:00", "36:00:00"]


def test_nothing_that_a_date_format_hides_is_lost() -> None:
    assert seen(("44227.75", DATE), ("44227.75", TIME), ("44227", MONTH), ("44227.5", LOCAL_TIME)) == [
        "2021-01-31 18:00:00",
        "2021-01-31 18:00:00",
        "2021-01-31",
        "2021-01-31 12:00:00",
    ]


def test_times_are_exact_to_the_millisecond() -> None:
    assert seen(("0.70833333333333337", TIME), ("0.99999999999", TIME), ("5.787037037037E-6", MINUTES)) == [
        "17:00:00",
        "23:59:59.999",
        "00:00:00.5",
    ]
    assert seen(("44226.999999999", DATE_TIME), ("1.9999999999", DURATION)) == ["2021-01-31 00:00:00", "48:00:00"]


def test_numbers_in_other_formats_are_numbers() -> None:
    assert seen(("1234.5", EURO), ("0.5", SCIENTIFIC)) == ["1234.5", "0.5"]


def test_percentages_are_exactly_what_is_seen_or_the_number() -> None:
    cells = (
        ("0.12345", PERCENT),
        ("0.1", PERCENT),
        ("-1.5", PERCENT),
        ("1E-3", PERCENT),
        ("0.57999999999999996", PERCENT),
    )
    assert seen(*cells) == ["12.345%", "10%", "-150%", "0.1%", "58%"]
    assert seen(*cells, percentages="number") == ["0.12345", "0.1", "-1.5", "0.001", "0.58"]


def test_the_date_system_of_1904_is_kept_beside_the_settings_of_an_extension() -> None:
    assert seen(("0", DATE), ("42765", DATE), ("59", DATE), ("0.5", TIME), date1904=True) == [
        "1904-01-01",
        "2021-01-31",
        "1904-02-29",
        "12:00:00",
    ]


def test_the_first_days_of_1900_are_those_that_the_sheet_shows() -> None:
    assert seen(("1", DATE), ("59", DATE), ("61", DATE), ("2958465", DATE)) == [
        "1900-01-01",
        "1900-02-28",
        "1900-03-01",
        "9999-12-31",
    ]


@pytest.mark.parametrize("date1904", [False, True])
def test_a_number_that_is_shown_as_a_date_but_is_none_makes_its_record_malformed(date1904: bool) -> None:  # noqa: FBT001 -- of a table
    numbers = ("-1", "2958466", "1E+9", "1E+300") if date1904 else ("0", "0.5", "60", "60.5", "-1", "2958466", "1E+9")
    data = raw_workbook(rows_of(*((number, DATE) for number in numbers)), styles=_STYLES, date1904=date1904)
    read = contents(data, header=("a",))
    assert read.records == []
    assert list(read.malformed.values()) == [["record__date_cell"]] * len(numbers)
    assert read.batches[0].raw(1) == b'[{"date": "%s"}]' % numbers[0].encode()


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        (cell("<v>1</v>", "s"), "b"),
        (cell("<v>1</v>", "b"), "true"),
        (cell("<v>0</v>", "b"), "false"),
        (cell("<f>A2</f><v>  x &amp; y </v>", "str"), "  x & y "),
        (cell("<is><t>in line</t></is>", "inlineStr"), "in line"),
        (cell("<is><r><t>ri</t></r><r><t>ch</t></r><rPh><t>no</t></rPh></is>", "inlineStr"), "rich"),
        (cell("<is><t>a_x000D_b_x005F_x000D_</t></is>", "inlineStr"), "a\rb_x000D_"),
        (cell("<is><t>_xD83D__xDE00_</t></is>", "inlineStr"), "\U0001f600"),
        (cell("<is><t><![CDATA[<x>]]></t></is>", "inlineStr"), "<x>"),
        (cell("<v>2021-01-31T18:00:00</v>", "d"), "2021-01-31 18:00:00"),
        (cell("<v>2021-01-31</v>", "d"), "2021-01-31"),
        (cell("<f>1+1</f><v>2</v>"), "2"),
        (cell("<v> 7 </v>"), "7"),
        ("<row><c><v>8</v></c></row>", "8"),
        ('<row r="1"><c r="A1"><!-- no --><v>9</v></c></row>', "9"),
    ],
)
def test_cells_can_be_written_in_many_ways(xml: str, text: str) -> None:
    assert contents(raw_workbook(xml), header=("a",)).records == [(text,)]


@pytest.mark.parametrize(
    ("xml", "rule", "raw"),
    [
        (cell("<v>#N/A</v>", "e"), "record__error_cell", b'[{"error": "#N/A"}]'),
        (cell("<f>B1</f>"), "record__formula_cell", b'[{"formula": null}]'),
        (cell("<v>2</v>", "s"), "record__damaged_cell", b'[{"damaged": "2"}]'),
        (cell("<v>-1</v>", "s"), "record__damaged_cell", b'[{"damaged": "-1"}]'),
        (cell("<v>1.2.3</v>"), "record__damaged_cell", b'[{"damaged": "1.2.3"}]'),
        (cell("<v>NaN</v>"), "record__damaged_cell", b'[{"damaged": "NaN"}]'),
        (cell("<v>2</v>", "b"), "record__damaged_cell", b'[{"damaged": "2"}]'),
        (cell("<v>31.1.2021</v>", "d"), "record__damaged_cell", b'[{"damaged": "31.1.2021"}]'),
        (cell("<is><t>_x0000_</t></is>", "inlineStr"), "record__damaged_cell", b'[{"damaged": "\\u0000"}]'),
        (cell("<is><t>_xD83D_</t></is>", "inlineStr"), "record__damaged_cell", b'[{"damaged": "\\\\ud83d"}]'),
    ],
)
def test_a_cell_without_a_value_that_can_be_read_makes_its_record_malformed(xml: str, rule: str, raw: bytes) -> None:
    read = contents(raw_workbook(xml), header=("a",))
    assert (read.records, read.malformed) == ([], {"!S:1": [rule]})
    assert read.batches[0].raw(1) == raw


def test_an_error_whose_text_is_a_null_word_is_no_value_and_a_text_of_the_same_letters_too() -> None:
    errors = '<row r="1"><c r="A1" t="e"><v>#N/A</v></c><c r="B1" t="str"><v>#N/A</v></c><c r="C1"><v>1</v></c></row>'
    other = '<row r="2"><c r="A2" t="e"><v>#REF!</v></c></row>'
    read = contents(raw_workbook(errors + other), header=("a", "b", "c"), null=("#N/A",))
    assert read.records == [(None, None, "1")]
    assert read.malformed == {"!S:2": ["record__error_cell"]}


def test_a_text_that_looks_like_an_error_is_a_text() -> None:
    assert contents(workbook(["a"], ["#N/A"], ["=1"])).records == [("#N/A",), ("=1",)]


@pytest.mark.parametrize("id_", ["\u00b2", "\u0661", "9" * 5_000, "", "-1"])
def test_a_style_with_an_unusual_number_of_a_format_shows_numbers(id_: str) -> None:
    with zipfile.ZipFile(io.BytesIO(raw_workbook(rows_of(("1.5", 1)), styles=("0%",)))) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    styles = files["xl/styles.xml"].replace('<xf numFmtId="200"/>', f'<xf numFmtId="{id_}"/>')
    assert styles != files["xl/styles.xml"]
    data = zipped({**files, "xl/styles.xml": styles})
    assert [record[0] for record in contents(data, header=("a",)).records] == ["1.5"]


@pytest.mark.parametrize("count", ["\u00b2", "\u0663", "9" * 50, "-3", ""])
def test_an_unusual_number_of_spaces_is_one_space(count: str) -> None:
    data = ods(ods_table(ods_row(ods_cell(f'two<text:s text:c="{count}"/>words'))))
    assert contents(data, header=("a",)).records == [("two words",)]


def test_cells_of_open_document_are_the_same() -> None:
    cells = [
        ods_number("0.30000000000000004", "0.3"),
        ods_number("123", "00123"),
        ods_number("0.12345", "12.3%", "percentage"),
        ods_number("9.5", "9.50 €", "currency"),
        ods_cell("31.01.21", 'office:value-type="date" office:date-value="2021-01-31"'),
        ods_cell("18:00", 'office:value-type="date" office:date-value="2021-01-31T18:00:00.500000000"'),
        ods_cell("36:00", 'office:value-type="time" office:time-value="PT36H00M00S"'),
        ods_cell("WAHR", 'office:value-type="boolean" office:boolean-value="true"'),
        ods_cell('two<text:s text:c="3"/>words<text:tab/>.</text:p><text:p>and a line'),
        ods_cell("seen", 'office:value-type="string" office:string-value="stored"'),
        ods_cell("text").replace("<text:p>", "<office:annotation><text:p>note</text:p></office:annotation><text:p>"),
    ]
    read = contents(ods(ods_table(ods_row(*cells))), header=tuple("abcdefghijk"))
    assert read.records == [
        (
            "0.30000000000000004",
            "00123",
            "12.345%",
            "9.5",
            "2021-01-31",
            "2021-01-31 18:00:00.5",
            "36:00:00",
            "true",
            "two   words\t.\nand a line",
            "stored",
            "text",
        )
    ]


@pytest.mark.parametrize(
    ("xml", "rule"),
    [
        (ods_cell("#DIV/0!", 'table:formula="of:=1/0" office:value-type="string"'), "record__error_cell"),
        (ods_cell("Err:502", 'table:formula="of:=X" office:value-type="float" office:value="0"'), "record__error_cell"),
        (ods_cell("", 'table:formula="of:=A2"'), "record__formula_cell"),
        (ods_cell("x", 'office:value-type="float" office:value="x"'), "record__damaged_cell"),
        (ods_cell("x", 'office:value-type="boolean"'), "record__damaged_cell"),
        (ods_cell("x", 'office:value-type="date" office:date-value="0000-01-01"'), "record__date_cell"),
        (ods_cell("x", 'office:value-type="time" office:time-value="1:00"'), "record__date_cell"),
    ],
)
def test_a_cell_of_open_document_without_a_value_makes_its_record_malformed(xml: str, rule: str) -> None:
    read = contents(ods(ods_table(ods_row(xml))), header=("a",))
    assert (read.records, read.malformed) == ([], {"!S:1": [rule]})


def test_what_calamine_reads_has_errors_at_their_places_and_no_date_that_may_be_wrong() -> None:
    def change(writer: Any, sheet: Any) -> None:
        day = writer.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row("C3", ["h", 12345.678901, True])
        sheet.write_formula("D5", "=1/0", None, "#DIV/0!")
        sheet.write_row("C6", [44227, 60, 0.75, 1.5], day)
        sheet.write_number("E6", 0.75, writer.add_format({"num_format": "hh:mm"}))

    book = Calamine(io.BytesIO(workbook(change=change)), "xlsb")
    rows = {row.number: dict(zip(row.columns, row.cells, strict=True)) for row in book.rows(book.sheets[0])}
    assert rows[3] == {2: '"h"', 3: '"12345.678901"', 4: '"true"', 5: "null"}
    assert rows[5][3] == '{"error": "#DIV/0!"}'
    assert (rows[6][2], rows[6][4]) == ('"2021-01-31"', '"18:00:00"')
    assert rows[6][3].startswith('{"date": ')
