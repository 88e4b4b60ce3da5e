"""Parts of bytes: the same as a sequence and as a column, whichever parts they are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.extract.formats.slices import Slices, binary_column

PARTS = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=2)), max_size=20)


def slices_of(parts: list[tuple[bytes, bytes]]) -> Slices:
    """Join parts with what is between them."""
    sizes = np.array([len(each) for part in parts for each in part], np.int64)
    ends = np.cumsum(sizes)[::2]
    return Slices(b"".join(map(b"".join, parts)), ends - sizes[::2], ends)


@given(PARTS)
def test_any_parts_are_a_sequence_and_a_column_of_the_same_bytes(parts: list[tuple[bytes, bytes]]) -> None:
    found, wanted = slices_of(parts), [part for part, _ in parts]
    assert list(found) == wanted
    assert binary_column(found).to_list() == binary_column(wanted).to_list() == wanted


@given(PARTS, st.slices(20))
def test_some_of_any_parts_are_those_of_a_list(parts: list[tuple[bytes, bytes]], chosen: slice) -> None:
    assert list(slices_of(parts)[chosen]) == [part for part, _ in parts][chosen]
