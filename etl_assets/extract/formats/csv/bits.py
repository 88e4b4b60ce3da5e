"""Sets of byte positions as bits, 64 to a word: what makes the scan for quotes cheap. Knows nothing of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Positions: TypeAlias = NDArray[np.int64]
    Flags: TypeAlias = NDArray[np.bool_]
    Words: TypeAlias = NDArray[np.uint64]


def rank(bits: Words, before: Positions, positions: Positions) -> Positions:
    """How many bits are set before each position, given how many are before each word."""
    word = positions >> 6
    lower = (np.uint64(1) << (positions & 63).astype(np.uint64)) - np.uint64(1)
    found: Positions = before[word] + np.bitwise_count(bits[word] & lower)
    return found


def words(flags: Flags) -> Words:
    """Flags as bits, 64 to a word, the first in the lowest bit."""
    packed = np.packbits(flags, bitorder="little")
    if len(packed) % 8:
        packed = np.concatenate((packed, np.zeros(-len(packed) % 8, np.uint8)))
    return packed.view("<u8")


def prefix_parity(bits: Words) -> Words:
    """For each bit, whether the number of bits set up to and with it is odd."""
    parity = bits.copy()
    for step in (1, 2, 4, 8, 16, 32):
        parity ^= parity << np.uint64(step)
    odd = (parity >> np.uint64(63)).astype(np.uint8)
    carried = np.bitwise_xor.accumulate(odd)
    parity[1:] ^= np.where(carried[:-1] == 1, np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0))
    return parity


def later(bits: Words) -> Words:
    """Every bit moved to the position after it."""
    moved = bits << np.uint64(1)
    moved[1:] |= bits[:-1] >> np.uint64(63)
    return moved


def sooner(bits: Words) -> Words:
    """Every bit moved to the position before it."""
    moved = bits >> np.uint64(1)
    moved[:-1] |= bits[1:] << np.uint64(63)
    return moved
