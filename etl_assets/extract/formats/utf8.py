"""Finds bytes that are not UTF-8, without decoding.

A decoder stops at the first bad byte, and to restart it after each bad byte costs more than the parse. The rules are
those of the Unicode Standard, table 3-7 (well-formed UTF-8 byte sequences).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from etl_assets.extract.formats.bits import find_from

if TYPE_CHECKING:
    from etl_assets.extract.formats.bits import Positions

_ASCII: Final = 0x80
_CONTINUATION: Final = 0xC0
_SPECIAL: Final = ((0xE0, 0xA0, 0xBF), (0xED, 0x80, 0x9F), (0xF0, 0x90, 0xBF), (0xF4, 0x80, 0x8F))
"""Leading bytes whose second byte has a narrower range: no overlong forms, no surrogates, nothing past U+10FFFF."""

_FOLLOWING: Final = np.zeros(256, np.uint8)
"""Number of bytes that follow a leading byte; 0 for bytes that are no leading bytes."""
_FOLLOWING[0xC2:0xE0] = 1
_FOLLOWING[0xE0:0xF0] = 2
_FOLLOWING[0xF0:0xF5] = 3


def is_utf8(data: bytes) -> bool:
    """Return whether all bytes are UTF-8."""
    offsets = pa.py_buffer(np.array([0, len(data)], np.int64).tobytes())
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def invalid_utf8(data: bytes) -> Positions:
    """Find the bytes that are no part of a well-formed character.

    Args:
        data: Any bytes.

    Returns:
        Positions, ascending: of leading bytes whose character is incomplete or not allowed, and of continuation bytes
        without a leading byte. Empty if and only if the bytes are UTF-8.
    """
    codes = np.frombuffer(data, np.uint8)
    positions = find_from(codes, _ASCII)
    if not len(positions):
        return positions
    padded = np.concatenate((codes[positions], np.zeros(3, np.uint8)))
    step = np.concatenate((positions, np.full(3, -1)))
    count = len(positions)
    lead, second = padded[:count], padded[1 : count + 1]
    continues = (padded & _CONTINUATION) == _ASCII
    length = _FOLLOWING[lead]
    whole = length > 0
    for ahead in (1, 2, 3):
        follows = continues[ahead : count + ahead] & (step[ahead : count + ahead] == positions + ahead)
        whole &= follows | (length < ahead)
    for byte, low, high in _SPECIAL:
        whole &= (lead != byte) | ((second >= low) & (second <= high))
    covered = np.zeros(count + 3, bool)
    for ahead in (0, 1, 2, 3):
        covered[ahead : count + ahead] |= whole & (length >= ahead)
    return positions[~covered[:count]]
