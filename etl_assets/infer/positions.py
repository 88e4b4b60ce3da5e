"""Recognises columns by position: lines of one length, with positions that are blank in every line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from etl_assets.extract.formats.fixed_width import Field, FixedWidth
from etl_assets.infer.recognised import Recognised
from etl_assets.infer.text import encoding_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Flags = npt.NDArray[np.bool_]

_FEWEST_LINES: Final = 3
_FEWEST_OF_SHORT: Final = 10
_MOST_LINES: Final = 5_000
_LONGEST: Final = 4_000
_LENGTHS_ALIKE: Final = 0.95
_DOUBT: Final = (
    "the fields are the positions between blanks, and where digits become letters: the publisher's document says where "
    "each begins and ends, and whether there are several kinds of lines (code=, header=, trailer=)"
)


def recognise_positions(lines: bytes) -> Recognised | None:
    """Return the format with a field for each run of positions; None if no position is blank in every line.

    Args:
        lines: The first bytes of the file, up to the end of a line.
    """
    encoding, doubts = encoding_of(lines)
    text = lines.decode(encoding, "replace").removeprefix("\ufeff")
    sample = [line.removesuffix("\r") for line in text.split("\n")[:_MOST_LINES] if line.strip()]
    if len(sample) < _FEWEST_LINES or "\t" in text:
        return None
    lengths = np.array([len(line) for line in sample])
    width = int(np.bincount(lengths).argmax()) if lengths.max() <= _LONGEST else 0
    same = float((lengths == width).mean()) >= _LENGTHS_ALIKE
    if not same:
        width = int(lengths.max()) if len(sample) >= _FEWEST_OF_SHORT and lengths.max() <= _LONGEST else 0
    fields = _fields(sample, width) if width else []
    if len(fields) < 2:  # noqa: PLR2004 -- of one, nothing is divided
        return None
    doubts.append(_DOUBT)
    return Recognised(
        FixedWidth(
            tuple(Field(f"field_{n}", start, end) for n, (start, end) in enumerate(fields, start=1)),
            length=width if fields[-1][1] < width else None,
            short_records=not same,
            encoding=encoding,
            unterminated="report",
        ),
        tuple(doubts),
    )


def _fields(lines: Sequence[str], width: int) -> list[tuple[int, int]]:
    """Return the first and the last position of each field, from 1."""
    padded = "".join(line[:width].ljust(width) for line in lines)
    characters = np.frombuffer(padded.encode("utf-32-le"), np.uint32).reshape(len(lines), width)
    blank = characters == ord(" ")
    digit = (characters >= ord("0")) & (characters <= ord("9"))
    used = ~blank.all(axis=0)
    digits: Flags = np.asarray(digit.all(axis=0))
    letters: Flags = np.asarray(~digit.any(axis=0) & used)
    starts = [
        place
        for place in range(width)
        if used[place]
        and (
            place == 0
            or not used[place - 1]
            or (digits[place - 1] and letters[place])
            or (letters[place - 1] and digits[place])
        )
    ]
    if not starts or used.all() or used.sum() < len(starts):
        return []
    return [_extent(starts, number, used, blank) for number in range(len(starts))]


def _extent(starts: Sequence[int], number: int, used: Flags, blank: Flags) -> tuple[int, int]:
    """Return the positions of a field, with the blanks behind it, or before it if its values end at one position."""
    begin = starts[number]
    end = starts[number + 1] if number + 1 < len(starts) else len(used)
    last = begin + int(np.flatnonzero(used[begin:end])[-1])
    if number and not used[begin - 1] and _ends_at_one_position(begin, last, blank):
        before = starts[number - 1] + int(np.flatnonzero(used[starts[number - 1] : begin])[-1])
        begin = before + 1
    if number + 1 == len(starts):
        return begin + 1, last + 1
    following = starts[number + 1]
    next_end = starts[number + 2] if number + 2 < len(starts) else len(used)
    next_last = following + int(np.flatnonzero(used[following:next_end])[-1])
    is_right = not used[following - 1] and _ends_at_one_position(following, next_last, blank)
    return begin + 1, (last if is_right else following - 1) + 1


def _ends_at_one_position(first: int, last: int, blank: Flags) -> bool:
    """Return whether all values of a field end at its last position and not all begin at its first."""
    return not bool(blank[:, last].any()) and bool(blank[:, first].any())
