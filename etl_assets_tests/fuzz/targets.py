"""What is fuzzed: a format with its settings, and samples that the mutations begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets import Csv, Field, Filler, FixedWidth, HeaderRecord, Ndjson, OneOf, RecordCode, TrailerRecord

if TYPE_CHECKING:
    from etl_assets import Format


@dataclass(frozen=True)
class Target:
    """A format and its samples."""

    format: Format
    samples: tuple[bytes, ...]


_CSV: Final = b'id,word,"a b"\r\n1,x,"y, ""z"\r\nz"\r\n2,,\r\n\r\n# no\n3,"\xc3\xa9",x\n'
_NDJSON: Final = b'{"a": 1.10, "b": [1, {"c": "d\\u00e9"}]}\n\n{"a": null, "a b": "x\\n"}\r\n[1]\n{"a": true}\n'

_FIXED: Final = FixedWidth(
    (Field("id", 2, 4), Filler(5, 5, blank=True), Field("word", 6, 9)),
    code=RecordCode(1, 1, records=("D",), skipped=("C",)),
    header=HeaderRecord("H", fields=(Field("day", 2, 9),)),
    trailer=TrailerRecord("T", count=Field("count", 2, 4), includes=("header", "trailer")),
    batch_bytes=64,
)
_FIXED_SAMPLE: Final = (
    b"H20240131\n" + b"".join(b"D%03d w%02dx\n" % (n, n) for n in range(9)) + b"C comment\nT012     \n"
)

TARGETS: Final = {
    "csv": Target(Csv(batch_bytes=64), (_CSV,)),
    "csv_comments": Target(Csv(batch_bytes=64, comment="#", short_records=True), (_CSV, b"#x\na,b\n1\n")),
    "csv_utf16": Target(Csv(batch_bytes=64, encoding="utf-16"), (_CSV.decode().encode("utf-16"),)),
    "csv_shift_jis": Target(Csv(batch_bytes=64, encoding="shift_jis"), ("a,b\nあ,表\n".encode("shift_jis"),)),
    "fixed_width": Target(_FIXED, (_FIXED_SAMPLE,)),
    "fixed_width_cp1252": Target(
        FixedWidth((Field("a", 1, 3), Field("b", 5, 8)), encoding="cp1252", batch_bytes=64, short_records=True),
        (b"abc efgh\r\nabc \xe9\n\nab",),
    ),
    "ndjson": Target(Ndjson(batch_bytes=64), (_NDJSON,)),
    "one_of": Target(
        OneOf(Csv(batch_bytes=64), Csv(delimiter=";", batch_bytes=64), Ndjson(batch_bytes=64)), (_CSV, _NDJSON)
    ),
}
