"""The check whether a text is a JSON document that the database can store."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.validate.json_text import MAX_DEPTH, is_document

VALID = [
    "null",
    " [1, 2.5e-3, -0, true, false] ",
    '{"a": {"b": [""]}, "a": 1}',
    '"\\u00e9\\ud83d\\ude00 é"',
    '"\\\\u0000"',
    '"\\\\ud800"',
    "1" * 5000,
    "0." + "1" * 16_000,
    "1e131071",
    "[" * MAX_DEPTH + "]" * MAX_DEPTH,
    '"' + "[" * 2000 + '"',
    "[" + "[]," * 2000 + "[]]",
]
INVALID = [
    "",
    " ",
    "NaN",
    "[Infinity]",
    "-Infinity",
    "01",
    "1.",
    ".5",
    "+1",
    "'a'",
    "[1,]",
    '{"a":1,}',
    "{a:1}",
    '"\t"',
    '"\n"',
    '"\\x"',
    "nul",
    "1 2",
    "\ufeff1",
    "\u00a01",
    '"\\u0000"',
    '["\\\\\\u0000"]',
    '"\\ud800"',
    '{"\\uDC00\\uD800": 1}',
    "1e131072",
    "1e-16384",
    "0." + "1" * 16_384,
    "1e99999999999999999999",
    "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "[" * 200_000,
]


@pytest.mark.parametrize("text", VALID, ids=lambda text: text[:20])
def test_a_document_that_the_database_accepts_is_valid(text: str) -> None:
    assert is_document(text)


@pytest.mark.parametrize("text", INVALID, ids=lambda text: ascii(text[:20]))
def test_a_text_that_the_database_refuses_is_invalid(text: str) -> None:
    assert not is_document(text)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text('aé\\"u0'),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab\n"), inner),
    ),
    st.booleans(),
)
def test_any_value_written_as_json_is_a_document(value: object, escaped: bool) -> None:  # noqa: FBT001
    assert is_document(json.dumps(value, ensure_ascii=escaped))


def test_the_largest_depth_does_not_depend_on_the_stack_of_the_caller() -> None:
    def deep(frames: int) -> bool:
        return deep(frames - 1) if frames else is_document("[" * MAX_DEPTH + "]" * MAX_DEPTH)

    assert deep(max(1, sys.getrecursionlimit() // 4))
