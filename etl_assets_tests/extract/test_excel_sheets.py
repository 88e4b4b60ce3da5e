"""Sheets of workbooks: which one is read, its header, its footer, its rows and its columns."""

from __future__ import annotations

import io
from typing import Any

import pytest

from etl_assets.extract.formats.excel.format import Excel
from etl_assets_tests.extract.excel_reading import contents, refusal
from etl_assets_tests.extract.workbooks import book, ods, ods_cell, ods_row, ods_table, raw_workbook, workbook

_TABLE = (("a", "b"), (1, "x"), (2, "y"))
_READ = [("1", "x"), ("2", "y")]


def of_table(*rows: Any, **options: Any) -> Any:
    """Read a workbook of one sheet."""
    return contents(workbook(*rows), **options)


def test_the_only_sheet_with_cells_is_read_by_default() -> None:
    read = contents(book({"Empty": (), "Table": _TABLE, "Blank": ((),)}))
    assert (read.names, read.records) == (("a", "b"), _READ)
    assert [read.batches[0].location(number) for number in (1, 2)] == ["!Table:2", "!Table:3"]


def test_several_sheets_with_cells_are_refused_with_their_names() -> None:
    text = refusal(book({"One": _TABLE, "Two": _TABLE}))
    assert "several sheets have cells; it has 'One', 'Two'. Nothing was written. Declare sheet=" in text


def test_a_workbook_whose_sheets_have_no_cells_is_refused() -> None:
    assert "row 1 of sheet 'One' has no names" in refusal(book({"One": (), "Two": ()}))


def test_a_name_is_no_pattern_where_a_sheet_has_it() -> None:
    data = ods(ods_table(ods_row(ods_cell("c")), name="Part 1") + ods_table(ods_row(ods_cell("d")), name="Part ?"))
    assert contents(data, sheet="Part ?").names == ("d",)


def test_sheets_that_match_a_pattern_are_read_one_after_another() -> None:
    data = book({"2020": _TABLE, "Notes": (("n",),), "2021": (("b", "a"), ("z", 3))})
    read = contents(data, sheet="20*")
    assert read.records == [*_READ, ("3", "z")]
    assert read.batches[1].location(3) == "!2021:2"


def test_sheets_with_other_names_are_refused() -> None:
    text = refusal(book({"2020": _TABLE, "2021": (("a", "c"), (1, 2))}), sheet="20*")
    assert "sheet '2021' does not have the names of the sheets before it" in text


def test_a_sheet_that_is_not_there_is_an_error_that_lists_those_that_are() -> None:
    assert "no sheet matches sheet='Two'; it has 'One'. Nothing was written" in refusal(
        book({"One": _TABLE}), sheet="Two"
    )


@pytest.mark.parametrize("hide", ["hide", "very_hidden"])
def test_a_hidden_sheet_is_read_only_if_hidden_sheets_are_declared(hide: str) -> None:
    def change(_: Any, sheet: Any) -> None:
        getattr(sheet, hide)()

    data = book({"Shown": _TABLE, "Kept back": (("c",), (1,))}, change=change)
    assert contents(data).records == _READ
    assert "'Kept back' (hidden)" in refusal(data, sheet="Kept back")
    assert contents(data, sheet="Kept back", hidden_sheets=True).records == [("1",)]


def test_a_sheet_of_a_chart_has_no_cells() -> None:
    def change(writer: Any, _: Any) -> None:
        chart = writer.add_chart({"type": "bar"})
        chart.add_series({"values": "=Table!$A$2:$A$3"})
        writer.add_chartsheet("Chart").set_chart(chart)

    data = book({"Table": _TABLE}, change=change)
    assert contents(data).records == _READ
    assert "'Chart' (without cells)" in refusal(data, sheet="Chart")


def test_rows_before_the_names_are_counted_as_skipped_unless_they_are_blank() -> None:
    read = of_table(("Title",), (), *_TABLE, header_row=3)
    assert (read.names, read.records, read.skipped) == (("a", "b"), _READ, 1)


def test_names_in_two_rows_are_joined_and_merged_cells_count_for_their_range() -> None:
    def change(_: Any, sheet: Any) -> None:
        sheet.merge_range("A1:A2", "Date")
        sheet.merge_range("B1:C1", "Tests")
        sheet.write("B2", "negative")
        sheet.write("C2", "positive")
        sheet.write("D2", "alone")
        sheet.merge_range("E1:F2", "both")
        sheet.write_row("A3", [1, 2, 3, 4, 5])

    text = refusal(workbook(change=change), header_rows=2)
    assert "rows 1 to 2 of sheet 'Sheet1' has the name 'both' in columns E, F" in text
    read = contents(workbook(change=change), header_rows=2, columns="A:E")
    assert read.names == ("Date", "Tests / negative", "Tests / positive", "alone", "both")
    assert read.records == [("1", "2", "3", "4", "5")]


def test_merged_cells_of_open_document_count_in_the_header_too() -> None:
    spanned = 'office:value-type="string" table:number-columns-spanned="2" table:number-rows-spanned="1"'
    upper = ods_row(ods_cell("Tests", spanned), "<table:covered-table-cell/>")
    rows = (upper, ods_row(ods_cell("old"), ods_cell("new")), ods_row(ods_cell("1"), ods_cell("2")))
    read = contents(ods(ods_table(*rows)), header_rows=2)
    assert (read.names, read.records) == (("Tests / old", "Tests / new"), [("1", "2")])


def test_a_column_without_a_name_and_without_values_is_ignored() -> None:
    assert of_table(("a", None, "b"), (1, None, "x"), (2, "", "y")).records == _READ


def test_a_value_in_a_column_without_a_name_makes_its_record_malformed() -> None:
    read = of_table(("a", None, "b"), (1, None, "x"), (2, "?", "y", "!"))
    assert (read.records, read.malformed) == ([("1", "x")], {"!Sheet1:3": ["record__unnamed_cell"]})
    assert read.batches[0].raw(2) == b'["2","y",{"unnamed": {"B": "?", "D": "!"}}]'


def test_columns_outside_the_declared_ones_are_not_read() -> None:
    read = of_table(("x", "a", "b", "x"), (9, 1, "x", 9), (9, 2, "y"), (9,), columns="B:C")
    assert (read.names, read.records) == (("a", "b"), _READ)


def test_a_name_twice_is_refused_with_its_columns() -> None:
    assert "row 1 of sheet 'Sheet1' has the name 'a' in columns A, C" in refusal(workbook(("a", "b", "a"), (1, 2, 3)))


def test_an_error_as_a_name_is_refused() -> None:
    data = raw_workbook('<row r="1"><c r="B1" t="e"><v>#REF!</v></c></row>')
    assert "the name in cell B1 of sheet 'S' is an error" in refusal(data)


def test_numbers_and_dates_as_names_are_what_is_seen() -> None:
    assert of_table(("a", 2020, 1.5), (1, 2, 3)).names == ("a", "2020", "1.5")


def test_a_sheet_without_names_has_the_declared_ones() -> None:
    read = of_table(("Title",), *_TABLE[1:], header=("a", "b"), header_row=2)
    assert (read.names, read.records, read.skipped) == (("a", "b"), _READ, 1)
    assert of_table((9, 1, "x"), header=("a", "b"), columns="B:C").records == [("1", "x")]


def test_a_blank_row_is_no_record() -> None:
    read = of_table(_TABLE[0], (), _TABLE[1], ("", ""), _TABLE[2])
    assert (read.records, read.skipped) == (_READ, 0)
    assert read.batches[0].location(2) == "!Sheet1:5"


def test_a_declared_number_of_last_rows_is_no_record() -> None:
    read = of_table(*_TABLE, ("Total", 3), ("Source: us",), (), footer=2)
    assert (read.records, read.skipped) == (_READ, 2)
    assert of_table(*_TABLE, footer=5).records == []


def test_the_table_ends_before_the_row_whose_first_cell_matches() -> None:
    read = of_table(*_TABLE, ("Total", 3), (4, "after"), footer="Total*")
    assert (read.records, read.skipped) == (_READ, 2)


def test_a_footer_that_is_declared_and_not_there_is_refused() -> None:
    text = refusal(workbook(*_TABLE, ("Sum", 3)), footer="Total*")
    assert "sheet 'Sheet1' has no row whose first cell matches footer='Total*'. Nothing was written" in text


def test_the_table_ends_before_a_blank_row_if_that_is_declared() -> None:
    read = of_table(*_TABLE, (), ("Notes", None, "far away"), ends_at_blank_row=True)
    assert (read.records, read.skipped) == (_READ, 1)
    assert of_table(_TABLE[0], (), *_TABLE[1:], ends_at_blank_row=True).records == []


def test_hidden_rows_are_read_unless_they_are_declared_as_skipped() -> None:
    def change(_: Any, sheet: Any) -> None:
        sheet.set_row(1, None, None, {"hidden": True})

    data = workbook(*_TABLE, change=change)
    assert contents(data).records == _READ
    read = contents(data, hidden_rows="skip")
    assert (read.records, read.skipped) == (_READ[1:], 1)


def test_filtered_rows_of_open_document_are_hidden_and_its_hidden_tables_too() -> None:
    hidden = '<style:style style:name="h"><style:table-properties table:display="false"/></style:style>'
    rows = (
        ods_row(ods_cell("a")),
        ods_row(ods_cell("1"), attributes='table:visibility="filter"'),
        ods_row(ods_cell("2")),
    )
    data = ods(ods_table(*rows) + ods_table(ods_row(ods_cell("x")), name="H", style="h"), hidden)
    assert contents(data, hidden_rows="skip").records == [("2",)]
    assert "'H' (hidden)" in refusal(data, sheet="H")


def test_repeated_rows_and_cells_of_open_document_are_records_of_their_own() -> None:
    rows = (
        ods_row(ods_cell("a"), ods_cell("b"), ods_cell("", "", times=16382)),
        ods_row(ods_cell("1", times=2), attributes='table:number-rows-repeated="2"'),
        ods_row(ods_cell("", ""), attributes='table:number-rows-repeated="1000"'),
        ods_row(ods_cell("2")),
        ods_row(ods_cell("", "", times=16384), attributes='table:number-rows-repeated="1047000"'),
    )
    read = contents(ods(ods_table(*rows)))
    assert read.records == [("1", "1"), ("1", "1"), ("2", None)]
    assert read.batches[0].location(3) == "!S:1004"


def test_rows_and_cells_without_numbers_follow_one_another() -> None:
    rows = "<row><c><v>1</v></c><c/><c><v>2</v></c></row><row r='5'/><row><c r='B6'><v>3</v></c></row>"
    read = contents(raw_workbook(rows), header=("a", "b", "c"))
    assert read.records == [("1", None, "2"), (None, "3", None)]
    assert read.batches[0].location(2) == "!S:6"


def test_a_workbook_may_be_a_member_of_an_archive_and_its_place_names_it() -> None:
    (batch,) = Excel().read(io.BytesIO(workbook(*_TABLE)), "book.xlsx")
    assert batch.location(1) == "book.xlsx!Sheet1:2"
