"""What a column is inferred as, from its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.infer.columns import PublishedColumn, infer_column
from etl_assets.infer.readings import unreadable
from etl_assets.schema import Column

if TYPE_CHECKING:
    from etl_assets.infer.columns import InferredColumn
    from etl_assets.model.batch import PublishedType


def inferred(*cells: str | None, name: str = "x", **about: Any) -> InferredColumn:
    return infer_column(PublishedColumn(name, pl.Series(cells, dtype=pl.String), **about), "x")


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        (("1", "-20", None), Column("x", "integer")),
        (("1", "NA", "n/a"), Column("x", "integer", null=("NA", "n/a"))),
        (("1", " 2 "), Column("x", "integer", strip=True)),
        (("007", "010"), Column("x", "text")),
        (("0", "10"), Column("x", "integer")),
        (("1.5", "22.25", "1e3"), Column("x", "float")),
        (("1.50", "22.25"), Column("x", "decimal", scale=2)),
        (("0.1234567890123456789", "1"), Column("x", "decimal", scale=19)),
        (("10.357019999999999", "1.5"), Column("x", "float")),
        (("99999999999999999999", "1"), Column("x", "decimal", scale=0)),
        (("true", "false", None), Column("x", "boolean")),
        (("Y", "N", "Y"), Column("x", "boolean", true=("Y",), false=("N",))),
        (("2024-01-31", "2023-02-28"), Column("x", "date")),
        (("31.12.2024", "01.01.2024"), Column("x", "date", formats=("%d.%m.%Y",))),
        (("12/31/2024", "1/2/2024"), Column("x", "date", formats=("%-m/%-d/%Y",))),
        (("1962/2/18", "1958/12/8"), Column("x", "date", formats=("%Y/%-m/%-d",))),
        (
            ("2024-01-31T10:00:00Z", "2024-01-31T10:00:00+02:00"),
            Column("x", "timestamp", formats=("%Y-%m-%dT%H:%M:%S%z",)),
        ),
        (("10:00:00", "23:59:59"), Column("x", "time")),
        (('{"a": 1}', "[]"), Column("x", "json")),
        (("6ba7b810-9dad-11d1-80b4-00c04fd430c8",), Column("x", "uuid")),
        (("a", "b"), Column("x", "text")),
        ((None, None), Column("x", "text")),
        (("NA", "GB"), Column("x", "text")),
    ],
)
def test_the_narrowest_type_that_reads_every_cell_is_declared(cells: tuple[str | None, ...], column: Column) -> None:
    assert inferred(*cells).column == column


@pytest.mark.parametrize(
    ("name", "cells", "column"),
    [
        ("unit_price", ("1.5", "22.25"), Column("x", "decimal", published_as="unit_price", scale=2)),
        ("amount", ("1", "22"), Column("x", "integer", published_as="amount")),
        ("USD", ("1.0954", "1.1"), Column("x", "decimal", published_as="USD", scale=4)),
        ("TRL", ("1845300", "1845000"), Column("x", "decimal", published_as="TRL", scale=2)),
        ("price", ("1.5e3", "2.0"), Column("x", "float", published_as="price")),
    ],
)
def test_fractions_of_money_are_decimals(name: str, cells: tuple[str, ...], column: Column) -> None:
    assert inferred(*cells, name=name).column == column


@pytest.mark.parametrize("number", ["340282366920938463463374607431768211455", f"0.{'1234567890' * 4}"])
def test_numbers_that_neither_a_decimal_nor_a_float_keeps_are_text_and_a_question(number: str) -> None:
    found = inferred("1", number)
    assert found.column == Column("x", "text")
    assert found.doubts == ("numbers with more digits than a decimal or a float can keep: text, so that none is lost",)


def test_several_formats_are_declared_if_one_does_not_read_every_cell() -> None:
    column = inferred("2020-02-01 10:00", "2/28/20 11:19", "2/29/20 1:02").column
    assert column == Column("x", "timestamp", formats=("%-m/%-d/%y %-H:%M", "%Y-%m-%d %H:%M"))


@pytest.mark.parametrize("cells", [("01/02/2024", "03/04/2024"), ("1.2.2024 10:00", "3.4.2024 10:00")])
def test_dates_that_could_be_read_in_two_ways_stay_text_with_both_ways_in_a_question(cells: tuple[str, ...]) -> None:
    found = inferred(*cells)
    if "/" in cells[0]:
        assert found.column.type.name == "text"
        assert any("%d/%m/%Y" in doubt and "%m/%d/%Y" in doubt for doubt in found.doubts)
    else:
        assert found.column.type.name == "timestamp"


def test_digits_are_dates_only_if_all_of_many_are() -> None:
    days = [f"{month:02}{day:02}17" for month in range(1, 13) for day in (1, 15, 28)]
    assert inferred(*days).column == Column("x", "date", formats=("%m%d%y",))
    assert inferred(*[f"2017{month:02}{day:02}" for month in range(1, 13) for day in (5, 28)]).column == Column(
        "x", "date", formats=("%Y%m%d",)
    )
    assert inferred("20170101", "20170202").column == Column("x", "integer")
    assert inferred(*days, "991317").column == Column("x", "text")


def test_nearly_all_values_of_a_type_raise_a_question_with_the_odd_ones() -> None:
    found = inferred(*map(str, range(100)), "12 345")
    assert found.column == Column("x", "text")
    assert found.doubts == ("integer but for 1 of 101 different values: '12 345'",)


def test_a_null_word_in_a_text_is_a_question() -> None:
    assert inferred("NA", "GB").doubts == ("'NA' may mean that there is no value: declare null=('NA',) if it does",)


def test_few_values_that_each_occur_often_are_the_allowed_ones() -> None:
    assert inferred(*["JFK", "LGA", "EWR"] * 20).column == Column("x", "text", allowed=("EWR", "JFK", "LGA"))
    assert inferred(*["JFK", "LGA", "EWR"] * 19).column == Column("x", "text")


@pytest.mark.parametrize(
    ("type_", "cells", "column"),
    [
        ("integer", ("1", "2"), Column("x", "integer")),
        ("text", ("1", "2"), Column("x", "integer")),
        ("instant", ("2024-01-31 08:05:00+00:00",), Column("x", "timestamp", zone="UTC")),
        ("decimal", ("1.50", "2.255"), Column("x", "decimal", scale=3)),
        ("json", ("[1]",), Column("x", "json")),
    ],
)
def test_a_type_of_the_file_itself_is_declared(type_: PublishedType, cells: tuple[str, ...], column: Column) -> None:
    assert inferred(*cells, type=type_, canonical=True).column == column


def test_a_decimal_comma_is_read_where_the_format_has_one() -> None:
    assert inferred("1,50", "2,25", decimal=",").column == Column("x", "decimal", scale=2)


@pytest.mark.parametrize(
    ("cells", "formats"),
    [
        (["05/05/2024"], ("%m/%d/%Y", "%d/%m/%Y")),
        (["05/05/24"], ("%-m/%-d/%y", "%-d/%-m/%y")),
        (["05/05/2024 10:00", "06/06/2024 11:00"], ("%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M")),
        ([f"{n:02}{n:02}2024" for n in range(1, 13)], ("%d%m%Y", "%m%d%Y")),
    ],
)
def test_a_day_and_a_month_that_are_equal_in_every_value_are_a_question(
    cells: list[str], formats: tuple[str, ...]
) -> None:
    found = inferred(*cells)
    assert found.column == Column("x", "text")
    assert all(any(repr(format_) in doubt for doubt in found.doubts) for format_ in formats)


def test_names_of_months_that_are_short_and_long_at_once_are_no_question() -> None:
    assert inferred("5 May 2024", "6 May 2024").column.type.name == "date"


def test_two_digit_years_in_the_future_are_a_question() -> None:
    assert inferred("31.12.65", "30.11.20").doubts == (
        "two-digit years: the last day is read as 2065-12-31, in the future. Is it?",
    )
    assert inferred("31.12.19", "30.11.20").doubts == ()


@pytest.mark.parametrize("name", ["zip", "PostalCode", "plz", "Home Phone", "customer-fax", "gtin", "siteSIRET"])
def test_digits_in_a_column_that_is_named_like_a_code_are_text(name: str) -> None:
    assert inferred("1010", "4020", name=name).column.type.name == "text"


@pytest.mark.parametrize("name", ["zipped", "phones", "amount", "facsimile"])
def test_digits_in_a_column_with_another_name_are_numbers(name: str) -> None:
    assert inferred("1010", "4020", name=name).column.type.name == "integer"


def test_numbers_with_a_plus_are_text_and_a_question() -> None:
    found = inferred("+43661234567", "+43661234568", name="mobile")
    assert found.column == Column("x", "text", published_as="mobile")
    assert "lose the + before them" in found.doubts[0]


def test_points_that_may_separate_thousands_beside_decimal_commas_are_a_question() -> None:
    found = inferred("950", "1.250", decimal=",")
    assert found.column == Column("x", "text")
    assert found.doubts == (
        "numbers like '1.250', '950': does the point separate thousands, or is it before a fraction?",
    )


def test_a_blank_cell_of_a_padded_column_is_no_value() -> None:
    found = inferred("1 ", "2", " ")
    assert found.column == Column("x", "integer", strip=True)
    assert found.nulls == 1


def test_a_blank_cell_among_padded_dates_leaves_them_dates() -> None:
    assert inferred("2024-01-31 ", " ").column == Column("x", "date", strip=True)


def test_cells_that_are_all_blank_have_no_value() -> None:
    found = inferred(" ", "  ")
    assert found.column == Column("x", "text", strip=True)
    assert found.nulls == 2


_CELLS = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.integers().map(str),
    st.floats(allow_nan=False).map(repr),
    st.dates().map(str),
    st.datetimes().map(str),
    st.dates().map(lambda day: f"{day:%d/%m/%Y}"),
    st.dates().map(lambda day: f"{day:%m%d%y}"),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(["NA", "", " 1 ", "Y", "N", "true", "-", "[1]", "{}", "007"]),
)


@given(st.lists(_CELLS, min_size=1, max_size=30))
def test_an_inferred_column_reads_every_cell_that_it_was_inferred_from(cells: list[str | None]) -> None:
    column = inferred(*cells).column
    assert unreadable(column, pl.Series(cells, dtype=pl.String)).to_list() == []


@settings(max_examples=15)
@given(st.one_of(*(st.lists(kind, min_size=2, max_size=30) for kind in (st.dates(), st.datetimes(), st.times()))))
def test_any_moments_in_iso_notation_are_recognised_and_read(moments: list[Any]) -> None:
    cells = [str(moment) for moment in moments]
    column = inferred(*cells).column
    assert column.type.name in {"date", "timestamp", "time", "text"}
    assert unreadable(column, pl.Series(cells, dtype=pl.String)).to_list() == []
