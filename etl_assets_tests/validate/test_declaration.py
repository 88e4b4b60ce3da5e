"""Declarations that cannot be evaluated fail before any data is read."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from etl_assets.errors import DeclarationError
from etl_assets.schema import Column, Schema
from etl_assets.validate import RuleValidator

WRONG = [
    (Column("x", "text", pattern="(?=a)b"), "pattern"),
    (Column("x", "text", pattern=r"(a)\1"), "pattern"),
    (Column("x", "text", pattern="(?x)a # b"), "pattern"),
    (Column("x", "text", pattern="(?:a{1000}){1000}"), "pattern"),
    (Column("x", "date", formats=("%Y-%m-%d %d",)), "formats"),
    (Column("x", "date", formats=("%Y %y-%m-%d",)), "formats"),
    (Column("x", "timestamp", formats=("%Y-%m-%d %H %I %p",)), "formats"),
    (Column("x", "timestamp", formats=("%Y-%m-%d %H:%M %p",)), "formats"),
    (Column("x", "time", formats=("%H:%M%z",)), "formats"),
    (Column("x", "integer", minimum=date(2024, 1, 1)), "minimum"),
    (Column("x", "date", minimum=datetime(2024, 1, 1, tzinfo=UTC)), "minimum"),
    (Column("x", "date", minimum=5), "minimum"),
    (Column("x", "time", minimum=time(1, tzinfo=UTC)), "minimum"),
    (Column("x", "timestamp", minimum=datetime(2024, 1, 1, tzinfo=UTC)), "minimum"),
    (Column("x", "timestamp", minimum=date(2024, 1, 1)), "minimum"),
    (
        Column("x", "timestamp", minimum=datetime(2024, 1, 1), formats=("%Y%m%d%H%M%S%z",)),  # noqa: DTZ001
        "minimum",
    ),
    (Column("x", "integer", default="none"), "default"),
    (Column("x", "integer", default="5", minimum=6), "default"),
    (Column("x", "text", default="NA", pattern="[a-z]+"), "default"),
]
RIGHT = [
    Column("x", "text", pattern="(?i)a|b", default="A"),
    Column("x", "decimal", scale=1, default="1,5"),
    Column("x", "integer", minimum=-1e300, maximum=Decimal("1e300"), default="1"),
    Column("x", "timestamp", minimum=datetime(2024, 1, 1, tzinfo=UTC), zone="Europe/Paris"),
    Column("x", "timestamp", minimum=datetime(2024, 1, 1), zone="Europe/Paris"),  # noqa: DTZ001
]


def schema(column: Column) -> Schema:
    return Schema((Column("k", "integer", required=True), column), key=("k",))


def check(declared: Schema) -> None:
    declared.check("source 'feed'")
    RuleValidator().check(declared, "source 'feed'")


@pytest.mark.parametrize(("column", "field"), WRONG, ids=lambda value: str(value)[:0])
def test_the_error_for_an_unsound_rule_names_the_column_and_the_field(column: Column, field: str) -> None:
    with pytest.raises(DeclarationError, match=f"^column 'x' of source 'feed': {field} ") as raised:
        check(schema(column))
    assert raised.value.field == field


@pytest.mark.parametrize("column", RIGHT, ids=lambda value: str(value)[:0])
def test_a_sound_declaration_passes(column: Column) -> None:
    check(schema(column))
