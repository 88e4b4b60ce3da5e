"""A choice of layouts conforms to the contract of formats, whichever layout a file has."""

from __future__ import annotations

from etl_assets.extract.formats.csv import Csv
from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.extract.formats.one_of import Layout, OneOf
from etl_assets.testing import FormatSuite

_EVERY = OneOf(
    Csv(batch_bytes=64, short_records=True),
    Layout(Csv(batch_bytes=64, delimiter=";", encoding="cp1252"), keys="*"),
    Csv(batch_bytes=64, delimiter="|", header=("a", "b", "c")),
)


class TestTheFirstLayoutConforms(FormatSuite):
    format = _EVERY
    sample = b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(60)) + b'"bad"x,y\n'
    records = 61
    empty = b"a,b\n"


class TestTheSecondLayoutConforms(FormatSuite):
    format = _EVERY
    sample = b"a;b\n" + b"".join(b"%d;\xe9\n" % n for n in range(60)) + b"1;2;3\n"
    records = 61
    empty = b"a;b\n"


class TestTheThirdLayoutConforms(FormatSuite):
    format = _EVERY
    sample = b"".join(b"%d|x|y\n" % n for n in range(60)) + b"1|2\n"
    records = 61


class TestOneOfConformsWithFormatsOfTheUnion(FormatSuite):
    format = OneOf(Ndjson(batch_bytes=64), Ndjson(batch_bytes=64, null=("NA",)))
    sample = b"".join(b'{"a": %d}\n' % n for n in range(60)) + b"[]\n" + b'{"b": 1}\n'
    records = 62
    empty = b"\n"
