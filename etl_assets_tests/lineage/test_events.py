"""What an event says of the rules and checks of a run: the column of each, if it is of a single one."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality

from etl_assets import Column, Csv, FileExtractor, Schema, Source
from etl_assets.lineage.events import events_of
from etl_assets.postgres.runs.ended import EndedRun

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_SOURCE = Source(
    name="people",
    description="Who is there.",
    owner="team:tests",
    extractor=FileExtractor(location="/in/people.csv", format=Csv()),
    schema=Schema((Column("a", "text"), Column("a__b", "text", required=True), Column("volume", "text")), ("a__b",)),
)


def test_an_assertion_names_the_column_of_its_rule_or_check() -> None:
    run = EndedRun(1, str(uuid4()), "people", "", "job", "succeeded", _NOW, _NOW, 1, 1, None, None, None, None)
    expected = {
        "a__b__required": "a__b", "a__type": "a", "values__a__b": "a__b", "a__volume__references": None,
        "record__malformed": None, "volume": None,
    }  # fmt: skip
    _, end = events_of(run, [(name, True) for name in expected], _SOURCE, "postgresql://h/db")
    assert end.inputs
    (read,) = end.inputs
    facet = (read.inputFacets or {})["dataQualityAssertions"]
    assert isinstance(facet, quality.DataQualityAssertionsDatasetFacet)
    assert {each.assertion: each.column for each in facet.assertions} == expected
