"""The format of columns by position conforms to the contract of formats."""

from __future__ import annotations

from etl_assets import Field, Filler, FixedWidth, HeaderRecord, RecordCode, TrailerRecord
from etl_assets.testing import FormatSuite

_FIELDS = (Field("number", 2, 5), Field("word", 6, length=8), Filler(14, 16, blank=True), Field("note", 17, 20))
_LINES = [
    *(f"D{n:4}wörd{n:<4}   {n % 7 or '':<4}" for n in range(20)),
    "D  20too short",
    "D  21    filled  .    ",
    "X  22unknown    .   ",
    "D  23fill    .      ",
    "D  24nul\0           ",
    *("S is another source ",) * 5,
    *(f"D{n:4}{'':8}   {'nil':4}" for n in range(25, 40)),
]


class TestFixedWidth(FormatSuite):
    format = FixedWidth(
        _FIELDS,
        20,
        code=RecordCode(1, length=1, records=("D",), skipped=("S",)),
        header=HeaderRecord("H", (Field("day", 3, 10),)),
        trailer=TrailerRecord("T", Field("lines", 2, 6), ("header", "trailer")),
        null=("nil",),
        batch_bytes=150,
    )
    sample = "\r\n".join(["H 20240101          ", *_LINES, "T   47              "]).encode()
    records = 40
    empty = b"H 20240101          \nT    2              \n"


class TestTranscodedFixedWidth(FormatSuite):
    format = FixedWidth(_FIELDS, 20, encoding="utf-16", batch_bytes=150)
    sample = "\n".join(_LINES).encode("utf-16")
    records = 45
    empty = "\n".encode("utf-16")


class TestShortFixedWidthInLatin1(FormatSuite):
    format = FixedWidth(_FIELDS, 20, short_records=True, encoding="latin-1", batch_bytes=150)
    sample = "\n".join(line.rstrip() for line in _LINES).encode("latin-1")
    records = 45
    empty = b"\n"
