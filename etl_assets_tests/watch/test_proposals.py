"""Proposals of what to declare for a change, as Python."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.model.drift import Change
from etl_assets.schema import Column, References, Schema
from etl_assets.schema.names import column_name
from etl_assets.schema.type_inference import Guess, guess
from etl_assets.watch.cell_samples import allowed_values
from etl_assets.watch.proposals import propose, with_members

COLUMNS = (
    Column("code", "text", required=True),
    Column("amount", "integer", required=True, published_as="Amount", minimum=0),
    Column("day", "date"),
    Column("kind", "text", allowed=("a",), sensitive=True),
)
SCHEMA = Schema(COLUMNS, ("code",), ignored=("remark",))


def evaluated(code: str) -> Column:
    """Return the column that a proposal declares."""
    column = eval(code, {"Column": Column, "References": References})  # noqa: S307 -- our own text
    assert isinstance(column, Column)
    return column


@pytest.mark.parametrize(
    "column",
    [
        *COLUMNS,
        Column("x", "decimal", precision=9, scale=2, published_as=("X", "x'y"), null=("-",), default="0"),
        Column("parent", "text", references=References("core.t.c", missing="report"), description='"quoted"'),
    ],
)
def test_the_repr_of_a_column_evaluates_to_the_same_column(column: Column) -> None:
    assert evaluated(repr(column)) == column


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "22", None, "N/A"], Guess("integer")),
        (["1", "2.5"], Guess("float")),
        (["007", "123"], Guess("text")),
        (["yes", "No"], Guess("boolean")),
        (["2020-01-31", "2020-12-01"], Guess("date")),
        (["31.01.2020", "01.12.2020"], Guess("date", ("%d.%m.%Y",))),
        (["1/31/2020", "12/1/2020"], Guess("date", ("%-m/%-d/%Y",))),
        (["2020-01-31T10:00:00"], Guess("timestamp")),
        (["2020-01-31 10:00:00+02:00"], Guess("timestamp", ("%Y-%m-%d %H:%M:%S%z",))),
        (["3/22/20 23:45"], Guess("timestamp", ("%-m/%-d/%y %H:%M",))),
        (["23:45:00"], Guess("time")),
        (["7:45"], Guess("time", ("%-H:%M",))),
        (["1", "x"], Guess("text")),
        ([None, "-"], Guess("text")),
    ],
)
def test_a_type_is_guessed_from_cells(cells: list[str | None], expected: Guess) -> None:
    assert guess(pl.Series(cells, dtype=pl.String)) == expected


def test_a_number_with_a_decimal_comma_is_guessed_as_a_number_if_the_format_has_one() -> None:
    cells = pl.Series(["1,5", "2,25"])
    assert (guess(cells).type, guess(cells, ",").type) == ("text", "float")


@pytest.mark.parametrize(
    ("published", "name"),
    [
        ("Case-Fatality_Ratio", "case_fatality_ratio"),
        ("AlphabeticCode", "alphabetic_code"),
        ("\ufeffGlobal Code", "global_code"),
        ("2020", "_2020"),
        ("%", "column"),
        ("code", "code_2"),
    ],
)
def test_a_published_name_becomes_the_name_of_a_column(published: str, name: str) -> None:
    assert column_name(published, ["code"]) == name


@given(st.text(), st.lists(st.sampled_from(["a", "a_2", "a_3", "column"])))
def test_a_proposed_name_is_free_and_can_be_declared(published: str, taken: list[str]) -> None:
    name = column_name(published, taken)
    assert name not in taken
    Schema((Column(name, "text", required=True),), (name,)).check("the test")


def test_a_new_column_is_proposed_with_the_type_that_its_cells_have() -> None:
    sample = pl.DataFrame({"Born On": ["01.02.1950", None]})
    assert evaluated(propose(SCHEMA, Change("added", "Born On"), sample)) == Column(
        "born_on", "date", published_as="Born On", formats=("%d.%m.%Y",)
    )
    assert propose(SCHEMA, Change("added", "remark", foreseen=True), sample) == ""


def test_a_renamed_column_is_proposed_under_both_names() -> None:
    code = propose(SCHEMA, Change("renamed", "Amount", "amount_"))
    assert evaluated(code) == SCHEMA["amount"].replace(published_as=("amount_", "Amount"))
    assert propose(SCHEMA, Change("renamed", "remark", "Remark")) == "ignored=(..., 'Remark')"
    assert evaluated(propose(SCHEMA, Change("renamed", "x", "y"))) == Column("y", "text")


def test_a_removed_column_is_proposed_as_optional_or_for_removal() -> None:
    assert not evaluated(propose(SCHEMA, Change("removed", "Amount", blocking=True))).required
    assert propose(SCHEMA, Change("removed", "day")).endswith("remove this column: Column('day', 'date')")
    assert "another key" in propose(SCHEMA, Change("removed", "code", blocking=True))
    assert propose(SCHEMA, Change("removed", "unknown")) == ""


def test_changes_of_cells_are_proposed_on_their_column() -> None:
    retyped = Change("retyped", "amount", detail={"before": "integer", "after": "float"})
    assert evaluated(propose(SCHEMA, retyped)) == Column("amount", "float", required=True, published_as="Amount")
    format_ = Change("format", "day", detail={"readings": {"%d/%m/%Y": 4, "%m/%d/%Y": 9}, "strays": 9})
    assert evaluated(propose(SCHEMA, format_)).type.formats == ("%Y-%m-%d", "%m/%d/%Y")
    unreadable = Change("format", "day", detail={"readings": {"%d/%m/%Y": 4}, "strays": 9})
    assert propose(SCHEMA, unreadable) == ""
    word = Change("null_word", "amount", detail={"words": ["-"]})
    assert evaluated(propose(SCHEMA, word)).null == ("-",)


def test_members_of_a_category_are_only_in_the_proposal_for_the_reviewer() -> None:
    change = Change("category", "kind", detail={"members": ["b"]})
    assert propose(SCHEMA, change) == "Column('kind', 'text', sensitive=True, allowed=('a', ...))"
    assert allowed_values(evaluated(with_members(SCHEMA["kind"], ["b"]))) == ("a", "b")
    grade = Column("grade", "integer", allowed=(1,))
    assert allowed_values(evaluated(with_members(grade, ["2"]))) == (1, 2)
