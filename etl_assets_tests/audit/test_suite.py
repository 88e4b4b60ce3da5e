"""Schemas are translated into expectations."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from etl_assets import Column, References, Schema
from etl_assets.audit.suite import compile_suite
from etl_assets.model.expectation_types import IN_DATABASE, ROWS
from etl_assets.model.rule import KEY_UNIQUE

if TYPE_CHECKING:
    from etl_assets.model.expectation import Expectation

KEY = Column("id", "integer", required=True)


def expectations_of(column: Column, *, key: tuple[str, ...] = ("id",)) -> dict[str, Expectation]:
    suite = compile_suite(Schema((KEY, column), key=key))
    return {expectation.name: expectation for expectation in suite.expectations}


def bound(column: Column) -> Any:
    """Return the value with which a column's maximum is compared, or the query that compares it."""
    expectation = expectations_of(column)["x__maximum"]
    return expectation.arguments.get("max_value", expectation.arguments.get("unexpected_rows_query"))


def test_every_rule_has_an_expectation_with_its_name() -> None:
    column = Column(
        "x", "text", required=True, length=5, pattern="[a-z]+", allowed=("a",), unique=True, references="core.p.c"
    )
    schema = Schema((KEY, column), key=("id",))
    suite = compile_suite(schema)
    assert {expectation.name for expectation in suite.expectations} == {
        *(rule.name for rule in schema.rule_infos if rule.name != KEY_UNIQUE),
        "x__type",
        "record__key",
    }
    assert list(suite.left_out) == [KEY_UNIQUE]
    assert {expectation.type for expectation in suite.expectations} <= IN_DATABASE


def test_every_expectation_of_a_suite_could_have_been_declared() -> None:
    column = Column("x", "decimal", scale=10, minimum=Decimal("0.0000000001"), references="core.p.c")
    schema = Schema((KEY, column), key=("id", "x"))
    for expectation in compile_suite(schema).expectations:
        expectation.check(schema.names, "the suite")


@pytest.mark.parametrize(
    ("column", "stored"),
    [
        (Column("x", "decimal", precision=18, scale=6), "NUMERIC(18, 6)"),
        (Column("x", "timestamp"), "TIMESTAMP WITHOUT TIME ZONE"),
        (Column("x", "timestamp", zone="UTC"), "TIMESTAMP WITH TIME ZONE"),
        (Column("x", "float"), "DOUBLE PRECISION"),
        (Column("x", "json"), "JSONB"),
        (Column("x", "text"), "TEXT"),
    ],
)
def test_a_column_is_expected_to_have_the_name_of_its_postgres_type(column: Column, stored: str) -> None:
    assert expectations_of(column)["x__type"].arguments["type_"] == stored


def test_a_key_of_several_columns_is_unique_as_a_whole() -> None:
    expectation = expectations_of(Column("x", "text", required=True), key=("id", "x"))["record__key"]
    assert (expectation.type, expectation.arguments) == (
        "expect_compound_columns_to_be_unique",
        {"column_list": ["id", "x"]},
    )


@pytest.mark.parametrize(
    ("column", "limit"),
    [
        (Column("x", "integer", maximum=150), 150.0),
        (Column("x", "integer", maximum=7.5), 7.5),
        (Column("x", "float", maximum=0.1), 0.1),
        (Column("x", "decimal", precision=12, scale=2, maximum=0.1), 0.1),
        (Column("x", "decimal", scale=10, maximum=0), 0.0),
        (Column("x", "date", maximum=date(2024, 2, 29)), date(2024, 2, 29)),
        (Column("x", "timestamp", maximum=datetime(2024, 1, 1, 12, 30)), datetime(2024, 1, 1, 12, 30)),  # noqa: DTZ001
        (
            Column("x", "timestamp", zone="Europe/Paris", maximum=datetime(2024, 7, 1)),  # noqa: DTZ001
            datetime(2024, 7, 1, tzinfo=ZoneInfo("Europe/Paris")),
        ),
        (
            Column("x", "timestamp", zone="Europe/Paris", maximum=datetime(2024, 7, 1, tzinfo=UTC)),
            datetime(2024, 7, 1, tzinfo=UTC),
        ),
    ],
)
def test_a_bound_that_survives_a_float_is_compared_by_the_library(column: Column, limit: object) -> None:
    assert bound(column) == limit


@pytest.mark.parametrize(
    ("column", "written"),
    [
        (Column("x", "integer", maximum=2**53 + 1), "'9007199254740993'::numeric"),
        (Column("x", "integer", maximum=Decimal("7.99999999999999999999")), "'7.99999999999999999999'::numeric"),
        (Column("x", "decimal", scale=10, maximum=0.1), "'0.1'::numeric"),
        (
            Column("x", "decimal", precision=12, scale=2, maximum=Decimal("0.1234567890123456789")),
            "'0.1234567890123456789'::numeric",
        ),
        (Column("x", "time", maximum=time(10, 30)), r"E'10\u003A30\u003A00'::time without time zone"),
    ],
)
def test_a_bound_that_a_float_would_round_is_compared_by_the_database(column: Column, written: str) -> None:
    assert f'child."x" > {written} LIMIT' in bound(column)
    assert expectations_of(column)["x__maximum"].type == ROWS


def test_rules_that_cannot_be_checked_in_a_stored_table_are_left_out_with_a_reason() -> None:
    schema = Schema(
        (
            KEY,
            Column("a", "text", pattern=r"\bx"),
            Column("b", "text", references=References("core.p.c", missing="report")),
            Column("c", "integer", derived=True),
        ),
        key=("id",),
        inputs=(Column("wide", "integer", minimum=0),),
    )
    assert compile_suite(schema).left_out == {
        "a__pattern": r"Postgres has no equivalent of \bx",
        "b__references": "rows without a parent are loaded by consent",
        "wide__type": "the table does not have the column",
        "wide__minimum": "the table does not have the column",
        KEY_UNIQUE: "it compares the records of a delivery, and the table has one row for each key",
    }
