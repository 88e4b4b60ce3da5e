"""The mapping of published columns to declared columns."""

from __future__ import annotations

import pytest

from etl_assets.errors import ShapeError
from etl_assets.schema import Column, Schema
from etl_assets.validate import resolve

SCHEMA = Schema(
    columns=(
        Column("code", "text", required=True, published_as=("Country_Code", "cc")),
        Column("name", "text", required=True),
        Column("kind", "text", required=True, default="state"),
        Column("note", "text"),
        Column("size", "integer", derived=True),
    ),
    key=("code",),
    ignored=("row_id",),
)


def test_columns_are_found_by_name_in_any_order() -> None:
    shape = resolve(SCHEMA, ["note", "name", "kind", "cc"], "the delivery", records=1)
    assert dict(shape.columns) == {"code": "cc", "name": "name", "kind": "kind", "note": "note"}
    assert (shape.unmapped, shape.missing) == ((), ())


def test_the_first_declared_name_is_used_and_the_other_is_unmapped() -> None:
    shape = resolve(SCHEMA, ["cc", "Country_Code", "name"], "the delivery", records=1)
    assert shape.columns["code"] == "Country_Code"
    assert shape.unmapped == ("cc",)


def test_a_name_that_is_neither_mapped_nor_ignored_is_unmapped() -> None:
    assert resolve(SCHEMA, ["new", "row_id", "cc", "name", "size"], "the delivery", records=1).unmapped == (
        "new",
        "size",
    )


def test_optional_columns_and_those_with_a_default_may_be_missing() -> None:
    assert resolve(SCHEMA, ["cc", "name"], "the delivery", records=1).missing == ("kind", "note")


def test_the_error_names_every_missing_required_column_with_expected_and_similar_names() -> None:
    with pytest.raises(ShapeError) as raised:
        resolve(SCHEMA, ["country-code", "colour"], "Delivery 7 of countries", records=1)
    text = str(raised.value)
    assert text.startswith("Delivery 7 of countries lacks required columns: code, name. Nothing was written.")
    assert "Column 'code' was expected as 'Country_Code' or 'cc'; the nearest published name is 'country-code'" in text
    assert "Column 'name' was expected as 'name'." in text
    assert "'country-code', 'colour'" in text
    assert "published_as" in text
    assert "ask the publisher" in text


def test_a_delivery_with_none_of_the_columns_is_refused_even_if_none_is_required() -> None:
    schema = Schema(columns=(Column("a", "text"), Column("b", "text", default="x"), Column("c", "text", derived=True)))
    with pytest.raises(ShapeError, match=r"Delivery 7 has none of the declared columns\. Nothing was written\."):
        resolve(schema, ["<html>"], "Delivery 7", records=3)
    assert resolve(schema, ["b"], "Delivery 7", records=3).missing == ("a",)


def test_the_error_supposes_another_delimiter_if_one_name_has_all_that_are_missing_in_it() -> None:
    with pytest.raises(ShapeError, match="If the publisher changed the delimiter, declare the new one"):
        resolve(SCHEMA, ["cc;name;kind"], "Delivery 7", records=3)
    with pytest.raises(ShapeError, match="published_as"):
        resolve(SCHEMA, ["cc;kind"], "Delivery 7", records=3)
    with pytest.raises(ShapeError, match="published_as"):
        resolve(Schema((Column("a", "text", required=True),), ("a",)), ["name"], "Delivery 7", records=3)


def test_the_error_lists_only_the_first_of_very_many_names() -> None:
    columns = tuple(Column(f"needed_{n}", "text", required=True) for n in range(100))
    with pytest.raises(ShapeError) as raised:
        resolve(Schema(columns, ("needed_0",)), [f"published_{n}" for n in range(5_000)], "Delivery 7", records=1)
    text = str(raised.value)
    assert "needed_99. Nothing was written." in text
    assert "Column 'needed_19' was expected" in text
    assert "Column 'needed_20' was expected" not in text
    assert "'published_19' and 4,980 more." in text


def test_a_delivery_without_records_and_names_lacks_nothing_and_one_with_either_does() -> None:
    empty = resolve(SCHEMA, [], "the delivery", records=0)
    assert (dict(empty.columns), empty.unmapped, empty.missing) == ({}, (), ())
    with pytest.raises(ShapeError, match=r"none of them can be read as declared\. If the publisher changed the format"):
        resolve(SCHEMA, [], "the delivery", records=1)
    with pytest.raises(ShapeError):
        resolve(SCHEMA, ["note"], "the delivery", records=0)
