"""The documented sources load without dlt being asked for anything, and fetch what the document says."""

from __future__ import annotations

import pytest

from etl_assets_tests.dlt_feeds import fetch_by
from etl_assets_tests.documented import example, examples

DOCUMENT = "docs/dlt.md"


@pytest.mark.parametrize("block", examples(DOCUMENT), ids=str)
def test_a_documented_source_is_sound(block: object) -> None:
    assert block.module().SOURCE.extractor.is_incremental  # type: ignore[attr-defined]


def test_the_documented_lines_of_orders_are_records() -> None:
    source = example(DOCUMENT, "orders__lines").SOURCE
    rows = fetch_by(source.extractor).records
    assert [(row["sku"], row["count"], row["_dlt_list_idx"]) for row in rows] == [("a", 2, 0), ("b", 1, 1)]
    assert {name for row in rows for name in row} == {
        *(column.published_names[0] for column in source.schema.published),
        *source.schema.ignored,
    }


def test_the_documented_source_of_an_api_is_made_without_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "t")
    made = example(DOCUMENT, "rest_api_source").github()
    assert list(made.resources) == ["issues"]
