"""An unsound expectation fails when it is declared, and the error says what to write instead."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from etl_assets import Column, Csv, Expectation, FileExtractor, Schema, Source
from etl_assets.errors import DeclarationError

SCHEMA = Schema((Column("id", "integer", required=True), Column("rate", "float", minimum=0)), key=("id",))
BETWEEN = "expect_column_values_to_be_between"


def check(*expectations: Expectation) -> None:
    Source(
        name="x",
        description="For tests.",
        owner="team:tests",
        extractor=FileExtractor(location="x.csv", format=Csv()),
        schema=SCHEMA,
        expectations=expectations,
    )


@pytest.mark.parametrize(
    "expectation",
    [
        Expectation(BETWEEN, column="rate", min_value=0),
        Expectation("expect_compound_columns_to_be_unique", column_list=["id", "rate"]),
        Expectation("expect_table_columns_to_match_set", column_set=["id", "rate", "_delivery_id"], exact_match=False),
        Expectation("unexpected_rows_expectation", unexpected_rows_query="SELECT id FROM {batch} WHERE rate > 9"),
        Expectation("team.checks.rates:ExpectSoundRates", column="rate"),
    ],
    ids=lambda expectation: expectation.name,
)
def test_an_expectation_that_a_database_can_evaluate_can_be_declared(expectation: Expectation) -> None:
    check(expectation)


def test_a_check_is_named_by_its_type_and_columns_or_by_its_declared_name() -> None:
    assert Expectation(BETWEEN, column="rate").name == f"{BETWEEN}__rate"
    assert Expectation("x.y:Own", column_A="a", column_B="b").name == "Own__a__b"
    assert Expectation(BETWEEN, name="sound", column="rate").name == "sound"


@pytest.mark.parametrize(
    ("type_", "arguments", "problem"),
    [
        ("expect_column_values_to_be_sound", {}, "which Great Expectations does not have. Write one of its names"),
        ("not a name:Own", {}, "which Great Expectations does not have"),
        ("expect_column_values_to_be_json_parseable", {}, "which a database cannot evaluate. Declare it as a rule"),
        (BETWEEN, {"column": "rte"}, "name unknown column 'rte'. Use declared columns"),
        ("expect_column_pair_values_to_be_equal", {"column_A": "id", "column_B": "x"}, "name unknown column 'x'"),
        ("expect_compound_columns_to_be_unique", {"column_list": ["id", "y"]}, "name unknown column 'y'"),
        ("expect_table_columns_to_match_set", {"column_set": ["id", "z"]}, "name unknown column 'z'"),
        (BETWEEN, {"column": "rate", "name": "a check"}, "name a check 'a check'. Use letters, digits"),
        (BETWEEN, {"column": "rate", "row_condition": "rate > 1"}, "a row_condition that is a text"),
        ("unexpected_rows_expectation", {"unexpected_rows_query": "SELECT 1"}, "does not read the table. Write"),
    ],
)
def test_an_unsound_expectation_is_refused_with_a_remedy(type_: str, arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(DeclarationError) as error:
        check(Expectation(type_, **arguments))
    assert problem in str(error.value)
    assert str(error.value).startswith("source 'x': expectations ")


@pytest.mark.parametrize("name", ["shape", "conservation", "volume", "rate__minimum", "record__quoting", "audit"])
def test_an_expectation_cannot_have_the_name_of_another_check(name: str) -> None:
    with pytest.raises(DeclarationError, match=f"name a check '{name}', which is taken"):
        check(Expectation(BETWEEN, column="rate", name=name))


def test_two_expectations_cannot_have_one_name() -> None:
    with pytest.raises(DeclarationError, match="Give it a name of its own"):
        check(Expectation(BETWEEN, column="rate", min_value=0), Expectation(BETWEEN, column="rate", max_value=9))


def test_declaring_an_expectation_imports_no_library() -> None:
    code = (
        "import sys\nfrom etl_assets import Expectation\n"
        f"Expectation('{BETWEEN}', column='x').check(('x',), 'here')\n"
        "print(sorted({'great_expectations', 'pandas', 'dagster', 'polars'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
