"""The frame of rejected records: bytes, fields as JSON, rules and statuses."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets import Ndjson
from etl_assets.load.rejected import rejected_records
from etl_assets.model.batch import Batch
from etl_assets.postgres.ledger.quarantine import NEW_REJECTED
from etl_assets.schema import Column, References, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCHEMA = Schema(
    (
        Column("id", "integer", required=True),
        Column("parent", "text", references=References("core.parents.code")),
        Column("other", "text", references=References("core.others.code")),
    ),
    key=("id",),
)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)


def rejected(
    objects: Sequence[Mapping[str, str | None]], rules: Mapping[int, Sequence[str]], key_names: Sequence[str] = ()
) -> pl.DataFrame:
    lines = "\n".join(map(json.dumps, objects)).encode()
    (raw,) = Ndjson().read(io.BytesIO(lines), "m")
    broken = pl.DataFrame(
        {"record_no": list(rules), "rules": [list(broken) for broken in rules.values()]},
        schema={"record_no": pl.Int64, "rules": pl.List(pl.String)},
    )
    return rejected_records(Batch(raw, pl.DataFrame(), broken), SCHEMA, key_names)


@given(st.lists(st.dictionaries(_NAMES, st.one_of(st.none(), _TEXTS), max_size=4), min_size=1, max_size=6))
def test_fields_are_every_published_name_and_text_unless_a_text_has_a_nul(
    objects: list[dict[str, str | None]],
) -> None:
    frame = rejected(objects, {number: ["r"] for number in range(1, len(objects) + 1)})
    names = dict.fromkeys(name for object_ in objects for name in object_)
    for fields, object_ in zip(frame["fields"], objects, strict=True):
        if any("\0" in text for text in object_.values() if text):
            assert fields is None
        else:
            assert json.loads(fields) == {**names, **object_}


def test_records_come_by_their_number_with_bytes_location_and_rules() -> None:
    frame = rejected([{"a": "1"}, {"a": "2"}, {"a": "3"}], {3: ["x", "y"], 1: ["x"]})
    assert frame.schema == pl.Schema(NEW_REJECTED)
    assert frame.rows() == [
        (1, "m:1", b'{"a": "1"}', '{"a":"1"}', ["x"], "open", None),
        (3, "m:3", b'{"a": "3"}', '{"a":"3"}', ["x", "y"], "open", None),
    ]


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        (["parent__references"], "parked"),
        (["parent__references", "other__references"], "parked"),
        (["parent__references", "id__type"], "open"),
        (["id__type"], "open"),
    ],
)
def test_a_record_is_parked_if_it_lacks_only_parents(rules: list[str], status: str) -> None:
    assert rejected([{"id": "1"}], {1: rules})["status"].to_list() == [status]


def test_a_batch_without_rejected_records_has_the_same_columns() -> None:
    assert rejected([{"id": "1"}], {}).schema == pl.Schema(NEW_REJECTED)


def test_a_key_has_the_texts_as_published_without_spaces_around_them() -> None:
    frame = rejected([{"a": " 1 ", "b": "\tx"}, {"a": "", "b": " "}], {1: ["r"], 2: ["r"]}, ("b", "a"))
    assert frame["key"].to_list() == [["\tx", "1"], ["", ""]]


def test_a_record_without_a_part_of_its_key_or_with_a_nul_has_no_key() -> None:
    frame = rejected(
        [{"a": "1", "b": None}, {"a": "1", "b": "\0"}, {"a": "1"}], {1: ["r"], 2: ["r"], 3: ["r"]}, ("a", "b")
    )
    assert frame["key"].to_list() == [None, None, None]
