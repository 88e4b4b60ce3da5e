"""Texts that no database stores are escaped, and all others are left unchanged."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from etl_assets.model.text import storable


def test_nul_undecodable_bytes_and_lone_surrogates_are_escaped() -> None:
    assert storable("a\0b") == r"a\x00b"
    assert storable(os.fsdecode(b"f\xff.csv")) == r"f\xff.csv"
    assert storable("\ud800 and \udfff") == r"\ud800 and \udfff"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_other_text_is_left_unchanged(text: str) -> None:
    assert storable(text) == text
