"""One feed of goods, with a bad and a malformed record, in each format."""

from __future__ import annotations

import io
import json
import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from etl_assets import Excel, Field, FixedWidth, Json, Parquet, SqlDump, Sqlite, Xml

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from etl_assets import Format

    Row = tuple[str, str, str]

_BATCH: Final = 200


class Feed(NamedTuple):
    """A feed of goods in a format.

    Attributes:
        format: Reads it.
        write: Returns the bytes of a file; what stands for None is a malformed record.
        bad: The bytes and the place of the second record, whose amount is a question mark.
        malformed: The bytes, the place and the rule of the third record, which is malformed.
    """

    format: Format
    write: Callable[[Sequence[Row | None]], bytes]
    bad: tuple[bytes, str]
    malformed: tuple[bytes, str, str]


def _json(rows: Sequence[Row | None]) -> bytes:
    records = [row and dict(zip(("code", "amount", "note"), row, strict=True)) for row in rows]
    return json.dumps({"goods": [17 if record is None else record for record in records]}).encode()


def _xml(rows: Sequence[Row | None]) -> bytes:
    items = [
        "<i><code>x</code><code>y</code></i>"
        if row is None
        else f'<i note="{row[2]}"><code>{row[0]}</code><amount>{row[1]}</amount></i>'
        for row in rows
    ]
    return f"<goods>{''.join(items)}</goods>".encode()


def _fixed_width(rows: Sequence[Row | None]) -> bytes:
    lines = ["short" if row is None else f"{row[0]:3}{row[1]:>5}{row[2]:10}" for row in rows]
    return "".join(f"{line}\n" for line in lines).encode()


def _sql_dump(rows: Sequence[Row | None]) -> bytes:
    values = ["('x', 1, now())" if row is None else f"('{row[0]}', '{row[1]}', '{row[2]}')" for row in rows]
    return ("INSERT INTO goods (code, amount, note) VALUES\n" + ",\n".join(values) + ";\n").encode()


def _sqlite(rows: Sequence[Row | None]) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE goods (code, amount, note)")
    for row in rows:
        values = "'x', '1', CAST(x'ff' AS TEXT)" if row is None else "?, ?, ?"
        connection.execute(f"INSERT INTO goods VALUES ({values})", row or ())
    connection.commit()
    data = connection.serialize()
    connection.close()
    return data


def _parquet(rows: Sequence[Row | None]) -> bytes:
    cells = [("x", "1", b"\xff") if row is None else (row[0], row[1], row[2].encode()) for row in rows]
    columns = [pa.array(column, type_) for column, type_ in zip(zip(*cells, strict=True), _PARQUET, strict=True)]
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, ["code", "amount", "note"]), sink, row_group_size=8)
    return sink.getvalue()


_PARQUET: Final = (pa.string(), pa.string(), pa.binary())


def _excel(rows: Sequence[Row | None]) -> bytes:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as workbook:
        sheet = workbook.add_worksheet("goods")
        sheet.write_row(0, 0, ("code", "amount", "note"))
        for number, row in enumerate(rows, start=1):
            sheet.write_row(number, 0, row or ("x", "1"))
            if row is None:
                sheet.write_formula(number, 2, "=NA()", value="#N/A")
    return file.getvalue()


_OBJECT: Final = b'{"code": "bbb", "amount": "?", "note": "note 1"}'
FEEDS: Final = {
    "json": Feed(
        Json("$.goods", batch_bytes=_BATCH),
        _json,
        (_OBJECT, ":$.goods[1]"),
        (b"17", ":$.goods[2]", "record__object"),
    ),
    "xml": Feed(
        Xml("/goods/i", batch_bytes=_BATCH),
        _xml,
        (b'<i note="note 1"><code>bbb</code><amount>?</amount></i>', ":/goods/i[2]"),
        (b"<i><code>x</code><code>y</code></i>", ":/goods/i[3]", "record__element_twice"),
    ),
    "fixed_width": Feed(
        FixedWidth((Field("code", 1, 3), Field("amount", 4, 8), Field("note", 9, 18)), batch_bytes=_BATCH),
        _fixed_width,
        (b"bbb    ?note 1    ", ":2"),
        (b"short", ":3", "record__length"),
    ),
    "sql_dump": Feed(
        SqlDump("goods", "postgres", batch_bytes=_BATCH),
        _sql_dump,
        (b"('bbb', '?', 'note 1')", ":3, byte 70"),
        (b"('x', 1, now())", ":4, byte 94", "record__expression"),
    ),
    "sqlite": Feed(
        Sqlite("goods", batch_bytes=_BATCH),
        _sqlite,
        (_OBJECT, ":goods:2"),
        (b'{"code": "x", "amount": "1", "note": "\xff"}', ":goods:3", "record__encoding"),
    ),
    "parquet": Feed(
        Parquet(batch_bytes=_BATCH),
        _parquet,
        (_OBJECT, ":group 1:row 2"),
        (b'{"code": "x", "amount": "1", "note": "\xff"}', ":group 1:row 3", "record__encoding"),
    ),
    "excel": Feed(
        Excel(batch_bytes=_BATCH),
        _excel,
        (b'["bbb","?","note 1"]', "!goods:3"),
        (b'["x","1",{"error": "#N/A"}]', "!goods:4", "record__error_cell"),
    ),
}


def goods(first: int, last: int, more: int = 0) -> list[Row]:
    return [(chr(97 + number) * 3, str(number + more), f"note {number}") for number in range(first, last + 1)]
