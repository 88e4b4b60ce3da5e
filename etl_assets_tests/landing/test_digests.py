"""Frozen bytes are verified block by block, wherever a reader seeks."""

from __future__ import annotations

import io
from hashlib import sha256
from typing import TYPE_CHECKING, Any

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


def stored(data: bytes, flipped: int | None) -> tuple[VerifiedStream, int | None]:
    """Return the stream of some bytes, of which one may have been damaged since, and the place of that one."""
    expected = digests_of(io.BytesIO(data))
    kept = bytearray(data)
    place = None if flipped is None else flipped % len(data)
    if place is not None:
        kept[place] ^= 1
    return VerifiedStream(io.BytesIO(bytes(kept)), expected.size, expected.blocks, "the bytes"), place


@settings(max_examples=300)
@given(
    data=st.binary(min_size=1, max_size=100),
    flipped=st.none() | st.integers(0, 99),
    reads=st.lists(st.tuples(st.integers(0, 110), st.integers(-1, 60)), max_size=8),
)
def test_any_read_returns_the_fetched_bytes_or_raises(
    data: bytes, flipped: int | None, reads: list[tuple[int, int]]
) -> None:
    stream, place = stored(data, flipped)
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


@settings(max_examples=300)
@given(
    data=st.binary(min_size=1, max_size=100),
    flipped=st.none() | st.integers(0, 99),
    begin=st.integers(0, 110),
    size=st.integers(1, 110),
)
def test_a_buffer_is_filled_with_the_fetched_bytes_or_reading_raises(
    data: bytes, flipped: int | None, begin: int, size: int
) -> None:
    stream, place = stored(data, flipped)
    stream.seek(begin)
    wanted = data[begin : begin + size]
    buffer = bytearray(size)
    if wanted and place is not None and begin // BLOCK <= place // BLOCK <= (begin + len(wanted) - 1) // BLOCK:
        with pytest.raises(DeliveryDamagedError):
            stream.readinto(buffer)
    else:
        assert stream.readinto(buffer) == len(wanted)
        assert bytes(buffer) == wanted + bytes(size - len(wanted))
        assert stream.tell() == begin + len(wanted)


def test_buffers_that_are_filled_in_turn_take_every_byte_from_the_file_once() -> None:
    class Counted(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            chunk = super().read(size)
            self.taken += len(chunk)
            return chunk

        def readinto(self, buffer: Any, /) -> int:
            count = super().readinto(buffer)
            self.taken += count
            return count

    data = bytes(range(250))
    expected = digests_of(io.BytesIO(data))
    file = Counted(data)
    stream = VerifiedStream(file, expected.size, expected.blocks, "the bytes")
    whole = b""
    while count := stream.readinto(buffer := bytearray(3 * BLOCK + 5)):
        whole += buffer[:count]
    assert whole == data
    assert file.taken == len(data)


def test_a_file_that_was_cut_is_damaged_when_a_buffer_is_filled() -> None:
    data = bytes(range(100))
    expected = digests_of(io.BytesIO(data))
    stream = VerifiedStream(io.BytesIO(data[:50]), expected.size, expected.blocks, "the bytes")
    with pytest.raises(DeliveryDamagedError):
        stream.readinto(bytearray(100))
