"""Rules over whole records: valid declarations, refused declarations, and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars import col, lit

from etl_assets.errors import DeclarationError, RuleError
from etl_assets.schema import RECORD_NO, Column, ForeignKey, Rule, Schema, UniqueTogether

if TYPE_CHECKING:
    import pandas as pd

    from etl_assets.schema import RecordRule

COLUMNS = (
    Column("id", "integer", required=True),
    Column("departed", "timestamp"),
    Column("arrived", "timestamp"),
    Column("net", "decimal", precision=12, scale=2),
    Column("code", "text"),
    Column("made", "integer", derived=True),
)
LATER = Rule("lands_later", col("arrived") > col("departed"), "it lands after it takes off")


def positive(frame: pd.DataFrame) -> pd.Series[Any]:
    return frame["net"] > 0


def schema(*rules: RecordRule, **more: Any) -> Schema:
    declared = Schema(COLUMNS, key=("id",), rules=rules, **more)
    declared.check("source 'x'")
    return declared


def test_the_columns_of_an_expression_are_found_and_listed_with_its_name_and_words() -> None:
    assert LATER.columns == ("arrived", "departed")
    info = schema(LATER).rule_infos[-1]
    assert (info.name, info.words, info.columns) == ("lands_later", "it lands after it takes off", LATER.columns)


def test_every_change_of_a_rule_over_records_changes_the_fingerprint() -> None:
    schemas = [
        schema(),
        schema(LATER),
        schema(Rule("lands_later", col("arrived") >= col("departed"), "it lands after it takes off")),
        schema(Rule("lands_later", col("arrived") > col("departed"), "other words")),
        schema(Rule("positive", positive, "net is above 0", columns=("net",))),
        schema(UniqueTogether("net", "code")),
        schema(ForeignKey(("net", "code"), "core.parents")),
        schema(ForeignKey(("net", "code"), "core.parents", missing="reject")),
    ]
    assert len({schema.fingerprint for schema in schemas}) == len(schemas)
    assert schema(LATER).fingerprint == schema(LATER).fingerprint
    assert schema(LATER) == schema(LATER)
    assert schema(LATER) != schema()


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (Rule("a rule", col("net") > 0, "words"), "name 'a rule' cannot be a name in the database"),
        (Rule("net__positive", col("net") > 0, "words"), "name has '__'"),
        (Rule("r", col("net") > 0, " "), "words are empty"),
        (Rule("r", col("nett") > 0, "words"), "columns name unknown column 'nett'"),
        (Rule("r", lit(value=True), "words"), "columns are fewer than 1"),
        (Rule("r", pl.all() > 0, "words"), "a Python function or a selection of columns"),
        (Rule("r", col("^n.*$") > 0, "words"), "a Python function or a selection of columns"),
        (Rule("r", col("net") > col("net").mean(), "words"), "which does not evaluate each row by itself"),
        (Rule("r", col("net") > col("net").shift(), "words"), "which does not evaluate each row by itself"),
        (Rule("r", col("net").sum().over("code") > 0, "words"), "which does not evaluate each row by itself"),
        (Rule("r", ~col("code").is_duplicated(), "words"), "which does not evaluate each row by itself"),
        (Rule("r", col("code").is_first_distinct(), "words"), "which does not evaluate each row by itself"),
        (Rule("r", col("id").map_batches(lambda s: s > 0), "words"), "a Python function or a selection of columns"),
        (Rule("r", col("net") + 1, "words"), "returns Decimal"),
        (Rule("r", col("arrived") > "noon", "words"), "cannot be computed"),
        (Rule("r", "net > 0", "words"), "neither an expression nor a function"),  # type: ignore[arg-type]
        (Rule("r", positive, "words"), "columns are fewer than 1"),
        (Rule("r", eval("lambda frame: True"), "words", columns=("net",)), "source cannot be read"),  # noqa: S307
        (Rule("r", (col("wide") > 0) & (col("made") > 0), "words"), "include wide, which the table does not have"),
        (UniqueTogether("net"), "columns are fewer than 2"),
        (UniqueTogether("net", "net"), "name 'net' twice"),
        (UniqueTogether("net", "wide"), "include wide, which the table does not have"),
        (ForeignKey(("net", "x"), "core.p"), "columns name unknown column 'x'"),
        (ForeignKey(("net", "code"), "p"), "refer to 'p', no table"),
        (ForeignKey(("net", "code"), "core.p", ("a",)), "compare 2 columns with 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unsound_rule_is_refused_and_the_error_names_its_owner(rule: RecordRule, problem: str) -> None:
    with pytest.raises(DeclarationError) as error:
        schema(rule, inputs=(Column("wide", "integer"),))
    assert problem in str(error.value)
    assert "source 'x'" in str(error.value)


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(DeclarationError, match="give the name 'lands_later' to two rules"):
        schema(LATER, LATER)
    with pytest.raises(DeclarationError, match="give the name 'id__required' to two rules"):
        schema(_Named("id__required"))


class _Named(UniqueTogether):
    """A rule with a chosen name."""

    def __init__(self, name: str) -> None:
        super().__init__("net", "code")
        object.__setattr__(self, "name", name)


ROWS = pl.DataFrame({"net": [1, -1, None], RECORD_NO: [7, 8, 9]}, schema_overrides={"net": pl.Decimal(12, 2)})


def test_null_is_no_violation_unless_the_expression_replaces_it() -> None:
    assert Rule("r", col("net") > 0, "w").violations(ROWS).to_list() == [False, True, None]
    assert Rule("r", (col("net") > 0).fill_null(value=False), "w").violations(ROWS).to_list() == [False, True, True]


def test_a_column_without_any_value_is_also_evaluated_row_by_row() -> None:
    empty = ROWS.with_columns(net=pl.lit(None, ROWS.schema["net"]))
    rule = Rule("r", lit(1) > pl.coalesce(col("net"), lit(2)), "w")
    assert rule.violations(empty).to_list() == [True, True, True]


def test_a_function_gets_its_columns_by_record_number_and_answers_for_each_row() -> None:
    frames: list[pd.DataFrame] = []

    def function(frame: pd.DataFrame) -> pd.Series[Any]:
        frames.append(frame)
        return frame["net"] > 0

    rule = Rule("r", function, "w", columns=("net",))
    assert rule.violations(ROWS.with_columns(other=1).select("net", RECORD_NO)).to_list() == [False, True, None]
    assert list(frames[0].columns) == ["net"]
    assert list(frames[0].index) == [7, 8, 9]


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda frame: frame["absent"], "raised KeyError at test_record_rules.py:"),
        (lambda frame: frame["net"].head(1) > 0, "returned 1 answers for 3 rows"),
        (lambda _: None, "returned a NoneType that is not of Booleans"),
        (lambda frame: frame["net"].astype("str") + "secret", "returned a Series that is not of Booleans"),
        (lambda frame: frame["net"].astype("float"), "returned a Series that is not of Booleans"),
    ],
)
def test_the_error_of_a_function_has_no_record_contents(function: Any, problem: str) -> None:
    with pytest.raises(RuleError) as error:
        Rule("r", function, "w", columns=("net",)).violations(ROWS)
    assert problem in str(error.value)
    assert "Nothing of the batch was written" in str(error.value)
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


def test_the_error_of_an_expression_has_no_record_contents() -> None:
    rows = pl.DataFrame({"code": ["1", "secret"], RECORD_NO: [1, 2]})
    with pytest.raises(RuleError, match="The rule 'r' raised InvalidOperationError") as error:
        Rule("r", col("code").cast(pl.Int64) > 0, "w").violations(rows)
    assert "secret" not in str(error.value)
