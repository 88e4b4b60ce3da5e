"""Mistakes in the arguments of `Excel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets_tests.declarations.mistakes import E, assert_refused, tabled

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.declarations.mistakes import Mistake

FORMATS: dict[str, Mistake] = {
    "no sheet": (lambda: E.Excel(sheet=""), "sheet", "Write the name of the sheet"),
    "a number as the sheet": (lambda: E.Excel(sheet=1), "sheet", "Write a text or None"),
    "a word for hidden sheets": (lambda: E.Excel(hidden_sheets="yes"), "hidden_sheets", "Write True or False"),
    "no names": (lambda: E.Excel(header=()), "header", "Write the names of all columns"),
    "an empty name": (lambda: E.Excel(header=("a", "")), "header", "Write the names of all columns"),
    "a name twice": (lambda: E.Excel(header=("a", "a")), "header", "Give each a name of its own"),
    "the name of the bookkeeping": (lambda: E.Excel(header=("a", "_record_no")), "header", "Give each a name"),
    "header rows below 1": (lambda: E.Excel(header_rows=0), "header_rows", "Write 1 to 20"),
    "declared names in two rows": (lambda: E.Excel(header=("a",), header_rows=2), "header_rows", "Remove it"),
    "a header row below 1": (lambda: E.Excel(header_row=0), "header_row", "from 1"),
    "a header row that no sheet has": (lambda: E.Excel(header_row=2**21), "header_row", "from 1"),
    "a footer of no rows": (lambda: E.Excel(footer=0), "footer", "Write the number of last rows"),
    "an empty footer": (lambda: E.Excel(footer=""), "footer", "a pattern like 'Total*'"),
    "a footer below 0": (lambda: E.Excel(footer=-1), "footer", "Write the number of last rows"),
    "columns as numbers": (lambda: E.Excel(columns="1:3"), "columns", "'B:H'"),
    "columns in small letters": (lambda: E.Excel(columns="a:c"), "columns", "in capitals"),
    "columns from right to left": (lambda: E.Excel(columns="C:A"), "columns", "'B:H'"),
    "a column that no sheet has": (lambda: E.Excel(columns="A:ZZZ"), "columns", "'B:H'"),
    "fewer columns than names": (lambda: E.Excel(columns="A:B", header=("a", "b", "c")), "columns", "a longer range"),
    "an unknown word for hidden rows": (lambda: E.Excel(hidden_rows="drop"), "hidden_rows", "'read' or 'skip'"),
    "an unknown word for percentages": (lambda: E.Excel(percentages="%"), "percentages", "'seen' or 'number'"),
    "a password in the file": (lambda: E.Excel(password="secret"), "password", "Write a Secret or None"),
    "a null word that is no tuple": (lambda: E.Excel(null="#N/A"), "null", "Write ('#N/A',)"),
    "too little memory": (lambda: E.Excel(memory_bytes=1), "memory_bytes", "Write 134217728 to"),
    "no time": (lambda: E.Excel(seconds=0), "seconds", "Write 1 to"),
    "no cells": (lambda: E.Excel(most_cells=0), "most_cells", "Write 1 to"),
    "a batch below 64 bytes": (lambda: E.Excel(batch_bytes=63), "batch_bytes", "Write 64 to"),
}


@tabled(FORMATS)
def test_a_mistake_in_the_format_names_the_argument_and_the_remedy(
    declare: Callable[[], object], field: str, remedy: str
) -> None:
    assert_refused(declare, field, remedy)
