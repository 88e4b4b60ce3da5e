"""What is fuzzed: a format with its settings, and samples that the mutations begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets import Csv, Ndjson, OneOf

if TYPE_CHECKING:
    from etl_assets import Format


@dataclass(frozen=True)
class Target:
    """A format and its samples."""

    format: Format
    samples: tuple[bytes, ...]


_CSV: Final = b'id,word,"a b"\r\n1,x,"y, ""z"\r\nz"\r\n2,,\r\n\r\n# no\n3,"\xc3\xa9",x\n'
_NDJSON: Final = b'{"a": 1.10, "b": [1, {"c": "d\\u00e9"}]}\n\n{"a": null, "a b": "x\\n"}\r\n[1]\n{"a": true}\n'

TARGETS: Final = {
    "csv": Target(Csv(batch_bytes=64), (_CSV,)),
    "csv_comments": Target(Csv(batch_bytes=64, comment="#", short_records=True), (_CSV, b"#x\na,b\n1\n")),
    "csv_utf16": Target(Csv(batch_bytes=64, encoding="utf-16"), (_CSV.decode().encode("utf-16"),)),
    "csv_shift_jis": Target(Csv(batch_bytes=64, encoding="shift_jis"), ("a,b\nあ,表\n".encode("shift_jis"),)),
    "ndjson": Target(Ndjson(batch_bytes=64), (_NDJSON,)),
    "one_of": Target(
        OneOf(Csv(batch_bytes=64), Csv(delimiter=";", batch_bytes=64), Ndjson(batch_bytes=64)), (_CSV, _NDJSON)
    ),
}
