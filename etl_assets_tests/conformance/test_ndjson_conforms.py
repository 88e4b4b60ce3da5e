"""The format of newline-delimited JSON conforms to the contract of formats."""

from __future__ import annotations

from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.testing.format_suite import FormatSuite

_RECORDS = [
    *(b'{"number": %d, "word": "w\\u00e9\\"", "price": 1.%02d}' % (n, n) for n in range(20)),
    b'{"number": 20, "number": 20}',
    b'{"number": 21, "\xff": 1}',
    b"[22]",
    *(b'{"number": %d, "seldom": {"a": [1.0, null]}, "word": null}' % n for n in range(23, 40)),
    b'{"number": 40, "last": true}',
]


class TestNdjsonConforms(FormatSuite):
    format = Ndjson(batch_bytes=200)
    sample = b"\n\n".join(_RECORDS) + b"\n"
    records = 41
    empty = b"\n"
    marked = b"\xef\xbb\xbf" + sample
    foreign = '{"a": "caf\u00e9"}\n'.encode("latin-1")
    twins = b'{"a": 1, "a": 2}\n'
    huge = b'{"a": "%s"}\n' % (b"x" * 1000)
    nul = b'{"a": "x\\u0000y"}\n'


class TestNdjsonWithMarkAndCarriageReturnsConforms(FormatSuite):
    format = Ndjson(batch_bytes=150, null=("",))
    sample = b"\xef\xbb\xbf" + b"\r\n".join(_RECORDS)
    records = 41
    empty = b"\xef\xbb\xbf\r\n"
