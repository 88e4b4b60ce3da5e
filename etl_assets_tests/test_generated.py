"""The files that are generated from the code are up to date."""

from __future__ import annotations

from etl_assets_tests.generated import DECLARING, KEYWORDS, keywords, with_rules_table


def test_the_types_of_the_rule_arguments_are_up_to_date() -> None:
    assert KEYWORDS.read_text("utf-8") == keywords(), "run make format"


def test_the_table_of_rules_in_the_documents_is_up_to_date() -> None:
    document = DECLARING.read_text("utf-8")
    assert document == with_rules_table(document), "run make format"
