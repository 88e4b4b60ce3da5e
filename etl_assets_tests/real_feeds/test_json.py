"""JSON documents of others: the torture files of JSONTestSuite, and a database as one document."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from etl_assets.extract.formats.json import Json
from etl_assets.schema import RECORD_NO
from etl_assets_tests.real_feeds.json_verdicts import verdict, verdicts
from etl_assets_tests.real_feeds.taking import FEEDS, with_real_feeds

if TYPE_CHECKING:
    from etl_assets.model.batch import RawBatch

pytestmark = with_real_feeds
_SUITE = FEEDS / "torture" / "JSONTestSuite" / "test_parsing"
_CHINOOK = FEEDS / "chinook"


def test_every_file_of_the_suite_has_its_verdict() -> None:
    found = verdicts(_SUITE)
    assert found["y", "quarantined"] == found["y", "refused"] == found["n", "accepted"] == 0
    assert found["y", "accepted"] == 95
    assert found["n", "quarantined"] + found["n", "refused"] == 188
    assert sum(count for (kind, _), count in found.items() if kind == "i") == 35


def test_no_invalid_document_is_accepted() -> None:
    accepted = [path.name for path in _SUITE.glob("n_*.json") if verdict(path.read_bytes(), "$") == "accepted"]
    assert accepted == []


def test_valid_documents_of_objects_are_accepted_unless_a_name_is_not_kept() -> None:
    objects = [path for path in _SUITE.glob("y_object*.json") if json.loads(path.read_bytes())]
    others = {path.name for path in objects if verdict(path.read_bytes(), "$") != "accepted"}
    assert others == {
        "y_object_duplicated_key.json",
        "y_object_duplicated_key_and_value.json",
        "y_object_escaped_null_in_key.json",
    }


def chinook(table: str, batch_bytes: int) -> list[RawBatch]:
    data = (_CHINOOK / "ChinookData.json").read_bytes()
    return list(Json(f"$.{table}", batch_bytes=batch_bytes).read(io.BytesIO(data), "ChinookData.json"))


@pytest.mark.parametrize("batch_bytes", [5_000, 2**24])
@pytest.mark.parametrize("table", ["Genre", "Album", "Customer", "Invoice", "PlaylistTrack"])
def test_each_table_of_a_database_is_read_from_its_path(table: str, batch_bytes: int) -> None:
    batches = chinook(table, batch_bytes)
    published = json.loads((_CHINOOK / "ChinookData.json").read_text("utf-8"), parse_float=str)[table]
    found = [row for batch in batches for row in batch.frame.drop(RECORD_NO).to_dicts()]
    assert all(batch.malformed.is_empty() for batch in batches)
    assert len(found) == json.loads((_CHINOOK / "GROUND_TRUTH.json").read_text("utf-8"))[table]
    texts = [{key: None if value is None else str(value) for key, value in record.items()} for record in published]
    assert [{key: row.get(key) for key in text} for row, text in zip(found, texts, strict=True)] == texts
    assert batches[-1].location(len(found)) == f"ChinookData.json:$.{table}[{len(found) - 1}]"
