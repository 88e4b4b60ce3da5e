"""Expectations by SQL of our own: they mean what Great Expectations means, and are asked of the rows of the run."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from etl_assets import Column, Expectation, Schema
from etl_assets.audit import library
from etl_assets.audit.auditor import open_auditor
from etl_assets.audit.own_queries import evaluate
from etl_assets.audit.scope import Scope
from etl_assets.model.expectation_types import ROWS
from etl_assets.postgres.connection import connected

if TYPE_CHECKING:
    from etl_assets.model.check_result import CheckResult

SCHEMA: Final = Schema(
    (
        Column("id", "integer", required=True),
        Column("place", "integer", required=True),
        Column("twin", "integer", required=True),
        Column("word", "text"),
        Column("order", "text"),
        Column("whole", "integer"),
        Column("real", "float"),
        Column("price", "decimal", precision=20, scale=4),
        Column("day", "date"),
        Column("flag", "boolean"),
        Column("secret", "integer", sensitive=True),
    ),
    key=("id",),
)
NUMBER: Final = count(1)
DAY: Final = date(2024, 2, 29)
CELLS: Final[dict[str, list[Any]]] = {
    "word": ["a", "ab", "b\nc", "", " ", "é", "O'Hara", "100%", "A", "a_c"],
    "order": ["a", "ab", "x"],
    "whole": [-1, 0, 1, 2, 2**40],
    "real": [-0.5, 0.0, 0.1, 1.0, float("nan"), float("inf"), float("-inf")],
    "price": [Decimal("0.1"), Decimal("0.1001"), Decimal(-1), Decimal(0), Decimal("123456789012.0001")],
    "day": [DAY, DAY + timedelta(days=1), date(1, 1, 1), date(9999, 12, 31)],
    "flag": [True, False],
    "secret": [1, 2],
}
NUMBERS: Final = ("whole", "real", "price")
BOUNDS: Final = [-1, 0, 0.1, 1, 2, 1e9]
FEW_EXAMPLES = settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)


def _optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


def _bounds(values: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.tuples(_optional(st.sampled_from(values)), _optional(st.sampled_from(values)))
    ordered = pairs.filter(any_given).map(lambda pair: sorted(pair) if None not in pair else list(pair))
    return st.builds(
        lambda pair, strict: {"min_value": pair[0], "max_value": pair[1], **strict},
        ordered,
        st.fixed_dictionaries({}, optional={"strict_min": st.booleans(), "strict_max": st.booleans()}),
    )


def any_given(pair: tuple[Any, Any]) -> bool:
    return pair != (None, None)


def _only_given(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


CONDITIONS: Final = st.sampled_from(
    [
        {"type": "comparison", "column": {"name": column}, "operator": operator, "parameter": value}
        for column, value in (("order", "a"), ("whole", 1), ("price", 0.1))
        for operator in ("==", "!=", "<", "<=", ">", ">=")
        if column != "order" or operator in {"==", "!="}
    ]
)
SHARED: Final = st.fixed_dictionaries(
    {}, optional={"mostly": st.sampled_from([0, 0.1, 0.5, 0.75, 1, 1.0]), "row_condition": CONDITIONS}
)
SHARE: Final = st.fixed_dictionaries({}, optional={"mostly": st.sampled_from([0, 0.5, 0.75, 1])})


@st.composite
def expectations(draw: st.DrawFn) -> Expectation:
    def column(*names: str) -> str:
        return draw(st.sampled_from(names))

    kind = draw(st.sampled_from(list(KINDS)))
    arguments: dict[str, Any] = KINDS[kind](draw, column)
    return Expectation(kind, **_only_given(arguments))


def _of_set(draw: Any, column: Any) -> dict[str, Any]:
    name = column(*(name for name in CELLS if name not in {"price", "day"}))
    finite = [cell for cell in CELLS[name] if not (isinstance(cell, float) and cell * 0 != 0)]
    return {
        "column": name,
        "value_set": draw(st.lists(st.sampled_from(finite), min_size=1, unique=True)),
        **draw(SHARED),
    }


def _between(draw: Any, column: Any) -> dict[str, Any]:
    if draw(st.booleans()):
        return {"column": column(*NUMBERS), **draw(_bounds(BOUNDS)), **draw(SHARED)}
    return {"column": "day", **draw(_bounds([DAY, DAY + timedelta(days=1)])), **draw(SHARED)}


def _pair(draw: Any, column: Any) -> dict[str, Any]:
    a, b = draw(st.sampled_from([("whole", "real"), ("price", "whole"), ("word", "order"), ("order", "order")]))
    del column
    ignored = _optional(st.sampled_from(["both_values_are_missing", "either_value_is_missing"]))
    return {"column_A": a, "column_B": b, "ignore_row_if": draw(ignored), **draw(SHARED)}


PATTERNS: Final = ["a", "^a", "[a-c]+$", "O'H", "%", "^$", ".", "é", "(?i)A", ":a", "\\d"]
LIKES: Final = ["a%", "%'%", "_", "%\\%%", "", "%"]
KINDS: Final[dict[str, Any]] = {
    "expect_column_values_to_not_be_null": lambda draw, column: {"column": column(*CELLS), **draw(SHARED)},
    "expect_column_values_to_be_null": lambda draw, column: {"column": column(*CELLS), **draw(SHARED)},
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _of_set,
    "expect_column_values_to_not_be_in_set": _of_set,
    **{
        f"expect_column_values_to_{words}": lambda draw, column, name=name, values=values: {
            "column": column("word", "order"),
            name: draw(st.sampled_from(values)),
            **draw(SHARED),
        }
        for words, name, values in (
            ("match_regex", "regex", PATTERNS),
            ("not_match_regex", "regex", PATTERNS),
            ("match_like_pattern", "like_pattern", LIKES),
            ("not_match_like_pattern", "like_pattern", LIKES),
        )
    },
    "expect_column_value_lengths_to_be_between": lambda draw, column: {
        "column": column("word", "order"),
        **draw(_bounds([0, 1, 2, 4])),
        **draw(SHARED),
    },
    "expect_column_value_lengths_to_equal": lambda draw, column: {
        "column": column("word", "order"),
        "value": draw(st.integers(0, 3)),
        **draw(SHARED),
    },
    "expect_column_pair_values_a_to_be_greater_than_b": lambda draw, column: {
        **_pair(draw, column),
        "or_equal": draw(_optional(st.booleans())),
    },
    "expect_column_pair_values_to_be_equal": _pair,
    "expect_column_values_to_be_unique": lambda draw, column: {"column": column(*CELLS), **draw(SHARE)},
    "expect_compound_columns_to_be_unique": lambda draw, _: {
        "column_list": draw(st.sampled_from([["id", "place"], ["place", "twin"], ["place", "id", "twin"]])),
        **draw(SHARE),
    },
    "expect_table_row_count_to_be_between": lambda draw, _: draw(_bounds([0, 1, 3, 6])),
    "expect_table_row_count_to_equal": lambda draw, _: {"value": draw(st.integers(0, 6))},
    "expect_column_unique_value_count_to_be_between": lambda draw, column: {
        "column": column(*CELLS),
        **draw(_bounds([0, 1, 2, 4])),
    },
    "expect_column_max_to_be_between": lambda draw, column: {"column": column(*NUMBERS), **draw(_bounds(BOUNDS))},
    "expect_column_min_to_be_between": lambda draw, column: {"column": column(*NUMBERS), **draw(_bounds(BOUNDS))},
    ROWS: lambda draw, _: {
        "unexpected_rows_query": draw(
            st.sampled_from(
                [
                    "SELECT id FROM {batch} WHERE whole > 0",
                    "SELECT * FROM {batch} AS child WHERE child.word ~ 'a' ORDER BY id",
                    "SELECT 1 FROM {batch} HAVING count(*) > 2",
                    "SELECT * FROM {batch} WHERE word LIKE 'a%'",
                    "WITH own AS (SELECT * FROM {batch}) SELECT id FROM own WHERE flag",
                ]
            )
        )
    },
}
ROWS_OF_CELLS: Final = st.lists(st.tuples(*(_optional(st.sampled_from(cells)) for cells in CELLS.values())), max_size=6)


@pytest.fixture(scope="module")
def url(warehouse_url: str) -> str:
    library.load()
    return warehouse_url


def stored(url: str, rows: list[tuple[Any, ...]]) -> Scope:
    """Store rows in a table of their own."""
    table = f"public.own_queries_{next(NUMBER)}"
    columns = ", ".join(f'"{column.name}" {column.type.postgres}' for column in SCHEMA.columns)
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} ({columns}, _delivery_id bigint)".encode())
        places = sql.SQL(", ").join([sql.Placeholder()] * (len(SCHEMA.columns) + 1))
        cursor.executemany(
            sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(*table.split(".")), places),
            [(number, number // 3, number % 2, *cells, 1) for number, cells in enumerate(rows, start=1)],
        )
    return Scope(table, table, marked=False)


def own(url: str, scope: Scope, *asked: Expectation) -> dict[str, CheckResult]:
    with connected(url) as connection:
        return evaluate(connection, SCHEMA, scope, asked)


def shown(result: CheckResult) -> tuple[Any, ...]:
    """Return everything that a result shows; the library shows other ten of the keys if there are more."""
    keys = sorted(str(key) for key in result.keys)
    return result.passed, result.failed_records, result.records, result.observed, result.description, keys


@given(rows=ROWS_OF_CELLS, drawn=st.lists(expectations(), min_size=1, max_size=12))
@example(
    rows=[("a", None, 1, float("nan"), None, None, None, 1)] * 2,
    drawn=[Expectation("expect_column_max_to_be_between", column="real", max_value=1)],
)
@FEW_EXAMPLES
def test_own_queries_agree_with_great_expectations(
    url: str, rows: list[tuple[Any, ...]], drawn: list[Expectation]
) -> None:
    asked = [Expectation(each.type, name=f"n{place}", **each.arguments) for place, each in enumerate(drawn)]
    scope = stored(url, rows)
    ours = own(url, scope, *asked)
    assert [expectation for expectation in asked if expectation.name not in ours] == []
    with open_auditor(url, SCHEMA, scope.table) as auditor:
        theirs = auditor.evaluate(asked)
    for expectation, result in zip(asked, theirs, strict=True):
        assert shown(ours[expectation.name]) == shown(result), (expectation.type, expectation.arguments)


@pytest.mark.parametrize(
    "expectation",
    [
        Expectation("expect_column_values_to_be_between", column="whole", min_value=3, max_value=1),
        Expectation("expect_column_values_to_be_between", column="word", min_value=3),
        Expectation("expect_column_values_to_be_between", column="whole", min_value=0, catch=1),
        Expectation("expect_column_values_to_be_between", column="whole"),
        Expectation("expect_column_values_to_be_in_set", column="word", value_set=["a", None]),
        Expectation("expect_column_values_to_be_in_set", column="word", value_set=[]),
        Expectation("expect_column_values_to_be_in_set", column="whole", value_set=["1"]),
        Expectation("expect_column_values_to_be_null", column="_delivery_id"),
        Expectation("expect_column_values_to_be_null", column="word", mostly=2),
        Expectation("expect_column_values_to_match_regex", column="word", regex="("),
        Expectation("expect_compound_columns_to_be_unique", column_list=["word", "order"]),
        Expectation("expect_column_median_to_be_between", column="whole", max_value=1),
        Expectation(ROWS, unexpected_rows_query="SELECT gone FROM {batch}"),
        Expectation("etl_assets_tests.audit.own_expectations:ExpectColumnValuesToBeAnAge", column="whole"),
    ],
    ids=lambda expectation: expectation.name,
)
def test_what_has_no_translation_is_left_to_the_library(url: str, expectation: Expectation) -> None:
    before = Expectation("expect_column_values_to_be_null", name="before", column="word")
    assert list(own(url, stored(url, [("a",) + (None,) * 7]), before, expectation)) == ["before"]


def test_no_key_and_no_number_is_shown_of_a_sensitive_column(url: str) -> None:
    scope = stored(url, [(None,) * 7 + (number,) for number in (1, 2)])
    several = Expectation("expect_column_unique_value_count_to_be_between", column="secret", max_value=1)
    greatest = Expectation("expect_column_max_to_be_between", column="whole", max_value=1)
    for result in own(url, scope, several, greatest).values():
        assert (result.passed, result.observed, result.description) == (False, None, "The table does not meet it.")
