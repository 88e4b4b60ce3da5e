"""Which columns are candidates for the key, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.infer.columns import PublishedColumn, infer_column
from etl_assets.infer.keys import key_candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.infer.columns import InferredColumn


def inferred_columns(**columns: Sequence[str | None]) -> list[InferredColumn]:
    series = {name: pl.Series(cells, dtype=pl.String) for name, cells in columns.items()}
    return [infer_column(PublishedColumn(name, cells), name) for name, cells in series.items()]


def candidates(**columns: Sequence[str | None]) -> list[tuple[str, ...]]:
    frame = pl.DataFrame({name: pl.Series(cells, dtype=pl.String) for name, cells in columns.items()})
    return key_candidates(frame, inferred_columns(**columns))


def test_a_column_without_a_second_record_of_a_value_is_the_key() -> None:
    assert candidates(kind=["a", "a", "b"], code=["1", "2", "3"]) == [("code",)]


def test_a_code_is_likelier_than_a_name() -> None:
    names = ["Some long name of a country", "Another one", "A third"]
    assert candidates(name=names, code=["GB", "FR", "NA"]) == [("code",), ("name",)]


def test_columns_that_identify_a_record_only_together_are_the_key_in_their_order() -> None:
    found = candidates(day=["1", "1", "2", "2"], shop=["x", "y", "x", "y"], sold=["7", "7", "8", "8"])
    assert found[0] == ("day", "shop")


def test_a_set_that_contains_a_smaller_one_is_no_candidate() -> None:
    assert candidates(id=["1", "2"], other=["x", "x"]) == [("id",)]


def test_amounts_and_measures_identify_nothing() -> None:
    assert candidates(amount=["1.50", "2.25", "3.75"]) == []


def test_a_column_with_an_empty_cell_is_in_a_key_only_if_nothing_else_is() -> None:
    assert candidates(id=["1", "2", None], part=["a", "b", "c"]) == [("part",)]
    assert candidates(country=["US", "US", "FR"], county=["Kings", "Queens", None]) == [("county",)]


def test_a_number_is_likelier_than_a_code_that_belongs_to_an_address() -> None:
    assert candidates(postal_code=["1010", "1020"], employee_id=["1", "2"])[0] == ("employee_id",)


def test_of_one_record_the_likeliest_column_is_the_key() -> None:
    assert candidates(count=["7"], day=["2020-03-27"]) == [("day",)]


def test_values_that_differ_in_blanks_alone_are_the_same() -> None:
    assert candidates(id=["1", "1 ", "2"]) == []


def test_texts_that_are_read_as_the_same_value_identify_nothing() -> None:
    assert candidates(at=["2024-10-27T02:30:00+02:00", "2024-10-27T00:30:00Z"]) == []
    assert candidates(id=["6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"]) == []


def test_moments_that_differ_identify_a_record() -> None:
    assert candidates(at=["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00Z"]) == [("at",)]


def test_a_padded_column_with_a_blank_cell_is_no_key() -> None:
    assert candidates(nr=["1 ", "2", " ", "3"]) == []
    assert candidates(code=["a ", "b", " ", "c"]) == []
