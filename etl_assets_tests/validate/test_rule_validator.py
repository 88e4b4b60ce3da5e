"""The default validator, over whole records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.schema import RECORD_NO, Column, Schema
from etl_assets.validate import RuleValidator
from etl_assets_tests.conformance.validator_suite import ValidatorSuite
from etl_assets_tests.validate.oracle import judge
from etl_assets_tests.validate.published import PublishedBatch

if TYPE_CHECKING:
    from etl_assets.model.batch import Verdict
    from etl_assets.validate import Validator

KEY = Column("k", "integer", required=True)


class TestRuleValidator(ValidatorSuite):
    def validator(self) -> Validator:
        return RuleValidator()


def validated(column: Column, *cells: str | None) -> Verdict:
    published = {"k": [str(number) for number in range(len(cells))], "x": cells}
    return RuleValidator().validate(PublishedBatch(published), Schema((KEY, column), key=("k",)))


def test_a_null_breaks_required_and_nothing_else() -> None:
    verdict = validated(Column("x", "text", required=True, pattern="a", allowed=("a",), length=1), None)
    assert verdict.rejected["rules"].to_list() == [["x__required"]]


def test_a_value_that_fails_the_cast_breaks_type_and_nothing_else() -> None:
    assert validated(Column("x", "integer", minimum=5), "four").rejected["rules"].to_list() == [["x__type"]]


def test_blanks_are_removed_before_null_words_and_the_default_are_applied() -> None:
    column = Column("x", "integer", strip=True, null=("NA",), default="7")
    assert validated(column, " 5\t", " NA ", "  ", "", None).rows["x"].to_list() == [5, 7, 7, 7, 7]


def test_blanks_stay_if_strip_is_not_declared() -> None:
    assert validated(Column("x", "text"), " a ", "", " ").rows["x"].to_list() == [" a ", "", " "]


def test_a_null_word_must_be_the_whole_cell() -> None:
    assert validated(Column("x", "text", null=("NA",)), "NA", "NAN").rows["x"].to_list() == [None, "NAN"]


def test_a_missing_column_gets_its_default() -> None:
    schema = Schema((KEY, Column("x", "integer", required=True, default="3")), key=("k",))
    assert RuleValidator().validate(PublishedBatch({"k": ["1", "2"]}), schema).rows["x"].to_list() == [3, 3]


def test_a_uuid_is_stored_in_lower_case() -> None:
    written = "6F9619FF-8B86-D011-B42D-00C04FC964FF"
    assert validated(Column("x", "uuid"), written).rows["x"].to_list() == [written.lower()]
    assert validated(Column("x", "uuid"), written.replace("-", "")).rejected["rules"].to_list() == [["x__type"]]


def test_json_is_kept_as_written() -> None:
    verdict = validated(Column("x", "json"), '{"b": 1,  "a": 2}', "{", None)
    assert verdict.rows["x"].to_list() == ['{"b": 1,  "a": 2}', None]
    assert verdict.rejected.rows() == [(2, ["x__type"])]


def test_a_text_with_nul_is_rejected_even_if_it_matches_its_pattern() -> None:
    assert validated(Column("x", "text", pattern="(?s).*"), "a\0b").rejected["rules"].to_list() == [["record__nul"]]


def test_a_pattern_is_matched_from_end_to_end_and_a_line_end_counts() -> None:
    assert validated(Column("x", "text", pattern="a|ab"), "ab", "a\n", "xa", "ba").rows["x"].to_list() == ["ab"]


def test_length_counts_characters_and_not_bytes() -> None:
    assert validated(Column("x", "text", length=2), "éé", "ééé").rejected.rows() == [(2, ["x__length"])]


def test_uniqueness_and_references_are_left_to_the_loader() -> None:
    assert validated(Column("x", "text", unique=True, references="core.y.x"), "a", "a").rejected.is_empty()


def test_published_names_that_look_like_expressions_are_only_names() -> None:
    names = ("^.*$", "*", "#c0", "#bad")
    columns = tuple(Column(f"c{i}", "text", required=True, published_as=name) for i, name in enumerate(names))
    raw = PublishedBatch({name: [name] for name in names})
    assert RuleValidator().validate(raw, Schema(columns, key=("c0",))).rows.rows() == [(*names, 1)]


def test_one_validator_validates_deliveries_of_different_shapes() -> None:
    schema = Schema((KEY, Column("x", "float", published_as=("new", "old"))), key=("k",))
    validator = RuleValidator()
    shapes: list[tuple[str, str]] = [("new", "."), ("old", ","), ("new", ","), ("other", ".")]
    batches = [PublishedBatch({name: [f"1{decimal}5"], "k": ["1"]}, decimal=decimal) for name, decimal in shapes]
    values = [validator.validate(batch, schema).rows["x"].to_list() for batch in batches]
    assert values == [[1.5], [1.5], [1.5], [None]]


def test_a_batch_with_only_rejected_records_has_typed_rows() -> None:
    verdict = validated(Column("x", "date", required=True), None, "x")
    assert verdict.rows.schema == pl.Schema({"k": pl.Int64(), "x": pl.Date(), RECORD_NO: pl.Int64()})
    assert verdict.rejected.rows() == [(1, ["x__required"]), (2, ["x__type"])]


MANY = (
    Column("a", "integer", required=True, minimum=0, maximum=5, allowed=(0, 1, 7)),
    Column("b", "text", required=True, length=2, pattern="[ab]*", allowed=("a", "ab", "c")),
    Column("c", "boolean", null=("-",)),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["0", "1", "3", "7", "-1", "x", None]),
            st.sampled_from(["a", "ab", "aba", "c", "cc\0", "", None]),
            st.sampled_from(["true", "-", "maybe", None]),
        ),
        max_size=30,
    )
)
@settings(max_examples=50)
def test_every_rule_that_a_record_breaks_is_listed_in_the_order_of_the_schema(
    records: list[tuple[str | None, ...]],
) -> None:
    cells = {column.name: [record[index] for record in records] for index, column in enumerate(MANY)}
    verdict = RuleValidator().validate(PublishedBatch(cells), Schema(MANY, key=("a",)))
    expected = {}
    for number, record in enumerate(records, start=1):
        broken = [rule for column, cell in zip(MANY, record, strict=True) for rule in judge(column, cell)[1]]
        if broken:
            expected[number] = sorted(broken, key=lambda rule: rule != "record__nul")
    assert dict(verdict.rejected.iter_rows()) == expected
    assert verdict.rows.height + verdict.rejected.height == len(records)
