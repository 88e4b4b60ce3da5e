"""Frozen bytes are verified block by block, wherever a reader seeks."""

from __future__ import annotations

import io
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.errors import DeliveryDamagedError
from etl_assets.landing import digests
from etl_assets.landing.digests import Digester, VerifiedStream, digests_of

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 16


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "BLOCK_BYTES", BLOCK)
        yield


@given(chunks=st.lists(st.binary(max_size=40), max_size=8))
def test_the_sizes_of_chunks_do_not_change_digests(chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    digester = Digester()
    for chunk in chunks:
        digester.update(chunk)
    result = digester.digests()
    assert result == digests_of(io.BytesIO(data))
    assert (result.sha256, result.size) == (sha256(data).hexdigest(), len(data))
    assert result.blocks == tuple(
        sha256(data[begin : begin + BLOCK]).hexdigest() for begin in range(0, len(data), BLOCK)
    )


@settings(max_examples=300)
@given(
    data=st.binary(min_size=1, max_size=100),
    flipped=st.none() | st.integers(0, 99),
    reads=st.lists(st.tuples(st.integers(0, 110), st.integers(-1, 60)), max_size=8),
)
def test_any_read_returns_the_fetched_bytes_or_raises(
    data: bytes, flipped: int | None, reads: list[tuple[int, int]]
) -> None:
    expected = digests_of(io.BytesIO(data))
    stored = bytearray(data)
    place = None if flipped is None else flipped % len(data)
    if place is not None:
        stored[place] ^= 1
    stream = VerifiedStream(io.BytesIO(bytes(stored)), expected.size, expected.blocks, "the bytes")
    for position, size in reads:
        stream.seek(position)
        wanted = data[position:] if size < 0 else data[position : position + size]
        last = position + len(wanted) - 1
        if wanted and place is not None and position // BLOCK <= place // BLOCK <= last // BLOCK:
            with pytest.raises(DeliveryDamagedError):
                stream.read(size)
        else:
            assert stream.read(size) == wanted
            assert stream.tell() == position + len(wanted)
