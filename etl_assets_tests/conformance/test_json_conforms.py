"""The format of JSON documents conforms to the contract of formats."""

from __future__ import annotations

from etl_assets.extract.formats.json import Json
from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.testing.format_suite import FormatSuite

_RECORDS = [
    *(b'{"number": %d, "word": "w\\u00e9\\"", "price": 1.%02d}' % (n, n) for n in range(20)),
    b'{"number": 20, "number": 20}',
    b'{"number": 21, "\xff": 1}',
    b"[22]",
    b'{"number": NaN}',
    *(b'{"number": %d, "seldom": {"a": [1.0, null], "b": {}}, "word": null}' % n for n in range(24, 40)),
    b'{"number": 40, "last": true}',
]
_ORDERS = [
    *(b'{"id": %d, "lines": [{"sku": "a%d", "n": %d.0}, %d, {"sku": 1, "sku": 2}]}' % (n, n, n, n) for n in range(9)),
    b'{"id": 9, "lines": []}',
    b'{"id": 10, "lines": null, "id": 10}',
    b'{"id": 11, "lines": {"sku": 1}}',
    b'{"lines": ["x", {"more": {"sku": "\\u00e9"}}], "id": 12}',
]


class TestJsonConforms(FormatSuite):
    format = Json(batch_bytes=200)
    sample = b" [\n" + b",\n ".join(_RECORDS) + b"\n]\n"
    records = 41
    empty = b"[ ]"


class TestJsonAtAPathWithFlattenedObjectsConforms(FormatSuite):
    format = Json("$.data['the items']", flatten=True, null=("",), batch_bytes=150)
    sample = (
        b'\xef\xbb\xbf{"about": {"data": [1]}, "data": {"x": {}, "the items": ['
        + b",".join(_RECORDS)
        + b'], "more": [1, 2.5, "]"]}, "end": null}'
    )
    records = 41
    empty = b'{"data": {"the items": []}}'


class TestJsonOfNestedArraysConforms(FormatSuite):
    format = Json("$.groups[*].items", flatten=("seldom",), batch_bytes=150)
    sample = (
        b'{"groups": [{"items": []}, {"none": 1}, '
        + b", ".join(
            b'{"name": "g", "items": [%b, %b]}' % (a, b) for a, b in zip(_RECORDS[::2], _RECORDS[1::2], strict=False)
        )
        + b', {"items": {"number": 41}}]}'
    )
    records = 41
    empty = b'{"groups": []}'


class TestJsonOfMembersConforms(FormatSuite):
    format = Json("$.by_code.*", key_name="code", batch_bytes=150)
    sample = b'{"by_code": {' + b", ".join(b'"k\\"%d" : %b' % (n, record) for n, record in enumerate(_RECORDS)) + b"}}"
    records = 41
    empty = b'{"by_code": {}}'


class TestJsonThatIsExplodedConforms(FormatSuite):
    format = Json("$.orders", explode="lines", flatten=("lines.more",), batch_bytes=150)
    sample = b'{"orders": [' + b", ".join(_ORDERS) + b"]}"
    records = 31
    in_file = False
    empty = b'{"orders": []}'


class TestMembersThatAreExplodedConform(FormatSuite):
    format = Json("$.*", key_name="key", explode="lines", batch_bytes=150)
    sample = b"{" + b", ".join(b'"k%d": %b' % (n, record) for n, record in enumerate(_ORDERS)) + b"}"
    records = 31
    in_file = False
    empty = b"{}"


class TestNdjsonThatIsExplodedConforms(FormatSuite):
    format = Ndjson(explode="lines", batch_bytes=150)
    sample = b"\n".join(_ORDERS)
    records = 31
    in_file = False
    empty = b"\n"
