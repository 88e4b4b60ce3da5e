"""Random changes of bytes: flips, cuts, copies of pieces, and the characters that formats are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

_TOKENS: Final = (
    *(b"\n", b"\r", b"\r\n", b'"', b"'", b",", b";", b"\t", b"\\", b"\0", b"\xff", b"\xef\xbb\xbf", b"{", b"}", b"["),
    *(b"]", b"<", b">", b"</", b"/>", b"<!", b"&", b"--", b"/*", b"*/", b"(", b")", b"$$", b"\\.", b"null", b"1e400"),
    *(b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\ud800", b"0" * 40, b"x" * 80),
)
_MOST_CHANGES: Final = 6


def mutated(samples: Sequence[bytes], random: Random) -> Iterator[bytes]:
    """Yield changed samples without end; equal seeds give equal bytes."""
    while True:
        data = bytearray(random.choice(samples))
        for _ in range(random.randint(1, _MOST_CHANGES)):
            _change(data, samples, random)
        yield bytes(data)


def _change(data: bytearray, samples: Sequence[bytes], random: Random) -> None:
    place = random.randrange(len(data) + 1)
    length = random.choice((1, 2, 5, 20))
    match random.randrange(6):
        case 0 if place < len(data):
            data[place] ^= random.randrange(1, 256)
        case 1:
            del data[place : place + length]
        case 2:
            data[place:place] = random.choice(_TOKENS)
        case 3:
            other = random.choice(samples)
            start = random.randrange(len(other) + 1)
            data[place:place] = other[start : start + length * 4]
        case 4:
            del data[place:]
        case _:
            data[place : place + length] = random.choice(_TOKENS)
