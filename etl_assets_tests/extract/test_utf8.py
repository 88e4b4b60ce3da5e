"""The positions of bytes that are not UTF-8."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from etl_assets.extract.formats.utf8 import invalid_utf8

NEAR_MISSES = st.sampled_from(
    [b"\xc3", b"\xa9", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f\x98", b"\xff"]
)
PIECES = st.lists(st.one_of(st.text(max_size=4).map(str.encode), st.binary(max_size=4), NEAR_MISSES), max_size=8)


@given(PIECES.map(b"".join))
def test_invalid_bytes_are_found_exactly_when_python_cannot_decode_the_data(data: bytes) -> None:
    assert (len(invalid_utf8(data)) == 0) == (data.decode(errors="ignore").encode() == data)


def test_a_bad_byte_does_not_hide_the_next_one() -> None:
    assert invalid_utf8(b"a\xffb\xc3\xa9c\xc3d").tolist() == [1, 6]
