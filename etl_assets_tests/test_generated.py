"""What is written from the code is up to date."""

from __future__ import annotations

from etl_assets_tests.generated import DECLARING, KEYWORDS, keywords, with_rules_table


def test_the_types_of_the_rules_are_those_of_the_kinds() -> None:
    assert KEYWORDS.read_text("utf-8") == keywords(), "run make format"


def test_the_documented_rules_are_those_of_the_kinds() -> None:
    document = DECLARING.read_text("utf-8")
    assert document == with_rules_table(document), "run make format"
