"""What is fuzzed: a format with its settings, and samples that the mutations begin with."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from etl_assets import (
    Csv,
    Excel,
    Field,
    Filler,
    FixedWidth,
    HeaderRecord,
    Json,
    Ndjson,
    OneOf,
    Parquet,
    RecordCode,
    SqlDump,
    Sqlite,
    TrailerRecord,
    Xml,
)

if TYPE_CHECKING:
    from etl_assets import Format


@dataclass(frozen=True)
class Target:
    """A format, its samples, and how many mutated files the tests read."""

    format: Format
    samples: tuple[bytes, ...]
    inputs: int = 150


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

_JSON: Final = b'{"z": [1, {}], "a": [{"b": [{"x": 1.10, "y": "\\u00e9"}, {"x": null}]}, {"b": []}, {"b": {"x": [1]}}]}'
_XML: Final = (
    b'<?xml version="1.0"?>\n<l d="1"><!-- c -->'
    + b"".join(b'<i n="%d"><t>a</t><t>b</t><u>x &amp; y</u><v/></i>\n' % n for n in range(9))
    + b"<i><![CDATA[z]]></i></l>\n"
)
_COPY: Final = (
    b"--\n-- PostgreSQL database dump\n--\nSET x = 'y';\nCOPY public.other (a) FROM stdin;\n1\n\\.\n"
    b"COPY public.t (a, b) FROM stdin;\n1\tx\\ty\n2\t\\N\n3\t\\\\\n\\.\n\n--\n"
    b"-- PostgreSQL database dump complete\n--\n"
)
_INSERT: Final = (
    b"CREATE TABLE t (a int, b text);\nINSERT INTO t VALUES (1, 'it''s'), (2, NULL);\n"
    b"INSERT INTO t (b, a) VALUES ('x;', 3);\n"
)
_MYSQL: Final = (
    b"/*!40101 SET NAMES utf8 */;\nINSERT INTO `o` VALUES ('),(');\nINSERT INTO `t` (`a`,`b`) VALUES "
    b"(1,'it\\'s'),(2,NULL),(3,0x41),(4,'\\n;');\n# end\n"
)


def _parquet() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    table = pa.table(
        {"a": [*range(20)], "b": [f"text {n % 3}" for n in range(20)], "c": [[n, None] for n in range(20)]}
    )
    pq.write_table(table, sink, row_group_size=8, write_page_checksum=True)
    return sink.getvalue()


def _workbook() -> bytes:
    """Return a workbook that is not packed, so that mutations reach its XML."""
    import zipfile

    import xlsxwriter

    packed, plain = io.BytesIO(), io.BytesIO()
    with xlsxwriter.Workbook(packed, {"in_memory": True}) as book:
        sheet = book.add_worksheet("Data")
        sheet.write_row(0, 0, ["a", "b", "c"])
        for row in range(1, 20):
            sheet.write_row(row, 0, [row, f"text {row % 4}", row / 8])
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(plain, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return plain.getvalue()


def _sqlite() -> bytes:
    import sqlite3

    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (a INTEGER, b TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"text {n}" * (n % 40)) for n in range(60)])
        connection.commit()
        return connection.serialize()


TARGETS: Final = {
    "csv": Target(Csv(batch_bytes=64), (_CSV,)),
    "csv_comments": Target(Csv(batch_bytes=64, comment="#", short_records=True), (_CSV, b"#x\na,b\n1\n")),
    "csv_utf16": Target(Csv(batch_bytes=64, encoding="utf-16"), (_CSV.decode().encode("utf-16"),)),
    "csv_shift_jis": Target(Csv(batch_bytes=64, encoding="shift_jis"), ("a,b\nあ,表\n".encode("shift_jis"),)),
    "csv_escape": Target(Csv(batch_bytes=64, escape="\\"), (_CSV, b'a,b\n"x \\" y",\\N\n\\,,"\\\\"\n')),
    "csv_pipes": Target(
        Csv("||", batch_bytes=64, line_end="\r", header_begins="a", footer_begins="Total", repeated_header="skip"),
        (b'title\ra||b\r1||"x||y"\ra||b\r2||z\rTotal||2\r',),
    ),
    "csv_long": Target(Csv(batch_bytes=64, long_records="join"), (b"a,b\n1,x,y,z\n2,x\n", _CSV)),
    "excel": Target(Excel(batch_bytes=200), (_workbook(),), inputs=12),
    "fixed_width": Target(_FIXED, (_FIXED_SAMPLE,)),
    "fixed_width_cp1252": Target(
        FixedWidth((Field("a", 1, 3), Field("b", 5, 8)), encoding="cp1252", batch_bytes=64, short_records=True),
        (b"abc efgh\r\nabc \xe9\n\nab",),
    ),
    "json": Target(Json("$.a[*].b", batch_bytes=200), (_JSON,)),
    "json_members": Target(
        Json("$.*", key_name="k", batch_bytes=200, flatten=True), (_JSON, b'{"x": {"y": {"z": 1}}}')
    ),
    "json_explode": Target(
        Json("$", batch_bytes=200, explode="l"), (b'[{"l": [{"a": 1}, 2, null], "b": "x"}, {"l": []}]',)
    ),
    "xml": Target(Xml("/l/i", repeated=("t",), batch_bytes=200), (_XML,)),
    "xml_namespaces": Target(
        Xml("/a:l/a:g/a:i", (("a", "urn:a"),), batch_bytes=200),
        (b'<l xmlns="urn:a"><g d="1"><i x="&lt;"><n>1</n></i></g><g d="2"><i/></g></l>',),
    ),
    "sql_postgres": Target(SqlDump("t", "postgres", batch_bytes=200), (_COPY, _INSERT)),
    "sql_mysql": Target(SqlDump("t", "mysql", batch_bytes=200), (_MYSQL, _INSERT)),
    "parquet": Target(Parquet(batch_bytes=200), (_parquet(),)),
    "sqlite": Target(Sqlite("t", batch_bytes=200), (_sqlite(),)),
    "ndjson": Target(Ndjson(batch_bytes=64), (_NDJSON,)),
    "one_of": Target(
        OneOf(Csv(batch_bytes=64), Csv(delimiter=";", batch_bytes=64), Ndjson(batch_bytes=64)), (_CSV, _NDJSON)
    ),
}
