"""How a person names a row: values are read as the schema types them, and mistakes are explained."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import Column, Schema
from etl_assets.errors import ExplainError
from etl_assets.explain import parse_key
from etl_assets_tests.ingest.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets import Source


@pytest.fixture
def source(tmp_path: Path) -> Source:
    columns = (
        Column("day", "date", required=True, formats=("%d/%m/%Y",)),
        Column("stock", "text", required=True, published_as="Stock", pattern="[A-Z]+"),
        Column("note", "text"),
        Column("more", "json"),
    )
    return World("", tmp_path, schema=Schema(columns, ("day", "stock"))).source


def refusal(source: Source, **texts: str) -> str:
    with pytest.raises(ExplainError) as raised:
        parse_key(source, texts)
    return str(raised.value)


def test_a_date_may_be_written_as_published_or_as_the_database_shows_it(source: Source) -> None:
    for text in ("02/01/2024", "2024-01-02"):
        key = parse_key(source, {"day": text, "stock": "A"})
        assert key.frame.row(0) == (date(2024, 1, 2), "A")


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        (Column("key", "integer"), "-17", -17),
        (Column("key", "decimal", precision=9, scale=2), "1.50", Decimal("1.50")),
        (Column("key", "boolean", true=("Y",), false=("N",)), "Y", True),
        (Column("key", "boolean", true=("Y",), false=("N",)), "false", False),
        (Column("key", "timestamp"), "2024-01-02 03:04:05", datetime(2024, 1, 2, 3, 4, 5)),  # noqa: DTZ001
        (Column("key", "timestamp", zone="UTC"), "2024-01-02 03:04:05+00", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (
            Column("key", "timestamp", zone="UTC"),
            "2024-01-02 03:04:05.123456+01",
            datetime(2024, 1, 2, 2, 4, 5, 123456, tzinfo=UTC),
        ),
        (Column("key", "uuid"), "6F9619FF-8B86-D011-B42D-00CF4FC964FF", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
        (Column("key", "text", derived=True), "x", "x"),
        (Column("key", "text", default="?"), "x", "x"),
    ],
)
def test_a_value_has_the_type_of_its_column(source: Source, column: Column, text: str, value: Any) -> None:
    schema = Schema((column.replace(required=True),), ("key",))
    of_key = object.__new__(type(source))
    vars(of_key).update({**vars(source), "schema": schema})
    assert parse_key(of_key, {"key": text}).typed["key"][1] == value


def test_a_missing_column_of_the_key_is_named_with_an_example(source: Source) -> None:
    assert (
        refusal(source, day="2024-01-02")
        == "stock of the key of core.goods is missing. Write: core.goods day=… stock=…"
    )


def test_a_column_that_is_not_in_the_key_is_refused(source: Source) -> None:
    text = refusal(source, day="2024-01-02", stock="A", note="x")
    assert text == "note is not in the key of core.goods, which is day, stock."


def test_an_unknown_column_is_refused_with_the_likeliest_one(source: Source) -> None:
    assert "has no column 'stok'. Did you mean stock?" in refusal(source, day="2024-01-02", stok="A")


def test_a_published_name_is_refused_with_the_name_in_the_table(source: Source) -> None:
    renamed = replace(source, schema=Schema((Column("id", "integer", required=True, published_as="Nr"),), ("id",)))
    assert "has no column 'Nr'. Did you mean id?" in refusal(renamed, Nr="1")


def test_a_value_that_is_not_written_as_declared_is_refused_without_showing_it(source: Source) -> None:
    text = refusal(source, day="yesterday", stock="A")
    assert text == "The key cannot be read: day is not written as a date written %d/%m/%Y."
    assert "stock has no value" not in text


def test_rules_are_not_asked_of_a_key(source: Source) -> None:
    assert parse_key(source, {"day": "2024-01-02", "stock": "not capitals"}).texts["stock"] == "not capitals"


def test_a_table_without_a_key_needs_at_least_one_column_and_none_of_json(source: Source) -> None:
    from etl_assets import Append

    events = replace(source, schema=replace(source.schema, key=()), write=Append())
    assert refusal(events) == "core.goods has no key. Name any of its columns: day, stock, note, more."
    assert "more of core.goods is json" in refusal(events, more="{}")
    assert list(parse_key(events, {"note": "x", "day": "2024-01-02"}).types) == ["day", "note"]
