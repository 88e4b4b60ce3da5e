"""Bytes and their positions by NumPy: counts, and sets of positions as bits, which make the scan for quotes fast.

Bytes are compared part by part. A flag for each byte of a whole batch would be new memory as large as the batch, each
time, and that costs more than the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Bytes: TypeAlias = NDArray[np.uint8]
    Positions: TypeAlias = NDArray[np.int64]
    Flags: TypeAlias = NDArray[np.bool_]
    Words: TypeAlias = NDArray[np.uint64]


_PART: Final = 1024 * 1024


def count_of(byte: bytes, data: bytes, begin: int = 0, end: int | None = None) -> int:
    """Count a byte between two positions; for a frequent one, NumPy is several times as fast as ``bytes.count``."""
    codes = np.frombuffer(data, np.uint8)[begin:end]
    return sum(int(np.count_nonzero(flags)) for _, flags in _flags(codes, byte[0]))


def find_all(codes: Bytes, code: int) -> Positions:
    """Return the positions, ascending, of the bytes with a code."""
    found = [np.flatnonzero(flags) + begin for begin, flags in _flags(codes, code)]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def bits_of(codes: Bytes, code: int) -> Words:
    """Return which bytes have a code."""
    packed = np.zeros(-(-len(codes) // 64) * 8, np.uint8)
    for begin, flags in _flags(codes, code):
        packed[begin >> 3 : (begin + len(flags) + 7) >> 3] = np.packbits(flags, bitorder="little")
    return packed.view("<u8")


def bits_and_positions(codes: Bytes, code: int) -> tuple[Words, Positions]:
    """Return what `bits_of` and `find_all` return, in one pass."""
    packed = np.zeros(-(-len(codes) // 64) * 8, np.uint8)
    found = [np.zeros(0, np.int64)]
    for begin, flags in _flags(codes, code):
        packed[begin >> 3 : (begin + len(flags) + 7) >> 3] = np.packbits(flags, bitorder="little")
        found.append(np.flatnonzero(flags) + begin)
    return packed.view("<u8"), np.concatenate(found)


def find_from(codes: Bytes, least: int) -> Positions:
    """Return the positions, ascending, of the bytes with a code that is not below another."""
    found = [np.flatnonzero(flags) + begin for begin, flags in _flags(codes, least, np.greater_equal)]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _flags(codes: Bytes, code: int, compare: np.ufunc = np.equal) -> Iterator[tuple[int, Flags]]:
    """Yield where each part begins, and which of its bytes have a code; the next part overwrites these flags."""
    flags = np.empty(min(len(codes), _PART), bool)
    for begin in range(0, len(codes), _PART):
        part = codes[begin : begin + _PART]
        yield begin, compare(part, code, out=flags[: len(part)])


@dataclass(frozen=True)
class CountedBits:
    """Bits, and how many of them are set before each word.

    Attributes:
        bits: The bits, and a word after them.
        before: The counts.
    """

    bits: Words
    before: Positions

    @classmethod
    def of(cls, bits: Words) -> Self:
        """Count bits."""
        before = np.zeros(len(bits) + 1, np.int64)
        np.cumsum(np.bitwise_count(bits), out=before[1:])
        return cls(np.append(bits, np.uint64(0)), before)

    def upto(self, positions: Positions) -> Positions:
        """Return how many bits are set before each position."""
        word = positions >> 6
        lower = (np.uint64(1) << (positions & 63).astype(np.uint64)) - np.uint64(1)
        counts: Positions = self.before[word] + np.bitwise_count(self.bits[word] & lower)
        return counts


def words(flags: Flags) -> Words:
    """Pack flags as bits, 64 to a word, the first flag in the lowest bit."""
    packed = np.packbits(flags, bitorder="little")
    if len(packed) % 8:
        packed = np.concatenate((packed, np.zeros(-len(packed) % 8, np.uint8)))
    return packed.view("<u8")


def positions_of(bits: Words) -> Positions:
    """Return the positions of the bits that are set; fast if most words have none."""
    filled = np.flatnonzero(bits)
    flags = np.unpackbits(bits[filled].view(np.uint8), bitorder="little")
    places = np.flatnonzero(flags)
    positions: Positions = filled[places >> 6] * 64 + (places & 63)
    return positions


def prefix_parity(bits: Words) -> Words:
    """Return for each bit whether the number of bits set up to and including it is odd."""
    parity, shifted = bits.copy(), np.empty_like(bits)
    for step in (1, 2, 4, 8, 16, 32):
        parity ^= np.left_shift(parity, np.uint64(step), out=shifted)
    odd = (parity >> np.uint64(63)).astype(np.uint8)
    carried = np.bitwise_xor.accumulate(odd)
    parity[1:] ^= np.where(carried[:-1] == 1, np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0))
    return parity


def later(bits: Words) -> Words:
    """Move every bit to the position after it."""
    moved = bits << np.uint64(1)
    moved[1:] |= bits[:-1] >> np.uint64(63)
    return moved


def sooner(bits: Words) -> Words:
    """Move every bit to the position before it."""
    moved = bits >> np.uint64(1)
    moved[:-1] |= bits[1:] << np.uint64(63)
    return moved
