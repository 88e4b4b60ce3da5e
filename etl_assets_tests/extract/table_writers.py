"""Writes a table in every format, by libraries and string building; and says what a format cannot hold.

Nothing of the package is used but the declarations of formats.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from etl_assets import Csv, Excel, Field, FixedWidth, Json, Ndjson, Parquet, SqlDump, Sqlite, Xml
from etl_assets_tests.extract.sql_writers import WRITERS, quoted_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from etl_assets import Format

LONGEST: Final = 100
"""The largest number of characters of a text."""
_DIGITS: Final = re.compile("0[0-9]{1,14}")


class Table(NamedTuple):
    """A table of texts.

    Attributes:
        names: The columns, each once.
        rows: The texts; None for no value.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]


@dataclass(frozen=True)
class Form:
    """How a table is written in a format.

    Attributes:
        format: Returns the format that reads the table.
        write: Returns the bytes of a file.
        forbidden: The characters that the format cannot hold, as in a class of a regular expression.
        names: What names of columns are made of; None for any text that has nothing forbidden.
        prefix: What the published names have before the names of the table.
        read_as: Returns what a value is read as, where the format cannot hold a difference.
        blank_rows: Whether a row without any value is a record.
        examples: How many random tables are tried.
    """

    format: Callable[[Table], Format]
    write: Callable[[Table], bytes]
    forbidden: str = r"\0"
    names: str | None = None
    prefix: str = ""
    read_as: Callable[[str | None], str | None] = lambda value: value
    blank_rows: bool = True
    examples: int = 25


def empty_is_null(value: str | None) -> str | None:
    """Return what a format reads that cannot tell an empty text from no value."""
    return value or None


def stripped(value: str | None) -> str | None:
    """Return what is left of a text that blanks fill up."""
    return (value or "").rstrip(" ") or None


def as_csv(**dialect: Any) -> Callable[[Table], bytes]:
    """Return a writer of the csv module."""

    def write(table: Table) -> bytes:
        file = io.StringIO(newline="")
        writer = csv.writer(file, **dialect)
        writer.writerows([table.names, *table.rows])
        return file.getvalue().encode()

    return write


def records(table: Table) -> list[dict[str, str | None]]:
    """Return the records as objects."""
    return [dict(zip(table.names, row, strict=True)) for row in table.rows]


def as_json(table: Table) -> bytes:
    """Write the records as an array in a document."""
    return json.dumps({"about": {"rows": [None]}, "rows": records(table)}, ensure_ascii=False, indent=1).encode()


def as_json_lines(table: Table) -> bytes:
    """Write one object a line, in ASCII."""
    return "".join(json.dumps(record) + "\n" for record in records(table)).encode()


def as_elements(table: Table) -> bytes:
    """Write the values as elements; one without a value is left out."""

    def item(row: tuple[str | None, ...]) -> str:
        cells = zip(table.names, row, strict=True)
        return "".join(f"<{name}>{_xml(value)}</{name}>" for name, value in cells if value is not None)

    return ("<rows>" + "".join(f"<row>{item(row)}</row>\n" for row in table.rows) + "</rows>").encode()


def as_attributes(table: Table) -> bytes:
    """Write the values as attributes; one without a value is left out."""

    def item(row: tuple[str | None, ...]) -> str:
        cells = zip(table.names, row, strict=True)
        white = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
        return "".join(f" {name}={quoteattr(value, white)}" for name, value in cells if value is not None)

    return ("<rows>" + "".join(f"<row{item(row)}/>\n" for row in table.rows) + "</rows>").encode()


def _xml(text: str) -> str:
    return escape(text, {"\r": "&#13;"})


def as_fixed_width(table: Table) -> bytes:
    """Write the values one after the other, filled up with blanks."""
    text = "".join("".join(f"{value or '':<{LONGEST}}" for value in row) + ".\r\n" for row in table.rows)
    starts_with_mark = text.startswith("\ufeff")  # which is a value only after another mark
    return text.encode("utf-8-sig" if starts_with_mark else "utf-8")


def fixed_width(table: Table) -> FixedWidth:
    """Return the format of what `as_fixed_width` writes."""
    fields = [Field(name, index * LONGEST + 1, length=LONGEST, strip="right") for index, name in enumerate(table.names)]
    return FixedWidth(tuple(fields), length=len(fields) * LONGEST + 1)


def as_sqlite(table: Table) -> bytes:
    """Write a database with the table."""
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE t ({quoted_names(table.names)})")
    connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(table.names))})", table.rows)
    connection.commit()
    data = connection.serialize()
    connection.close()
    return data


def as_parquet(table: Table) -> bytes:
    """Write row groups of three rows."""
    columns = [pa.array([row[index] for row in table.rows], pa.string()) for index in range(len(table.names))]
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, list(table.names)), sink, row_group_size=3)
    return sink.getvalue()


def as_workbook(table: Table) -> bytes:
    """Write a sheet; digits after a zero are numbers that are shown with their zeros."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as workbook:
        sheet = workbook.add_worksheet()
        for number, row in enumerate((table.names, *table.rows)):
            for column, value in enumerate(row):
                if number and value and _DIGITS.fullmatch(value):
                    sheet.write_number(
                        number, column, int(value), workbook.add_format({"num_format": "0" * len(value)})
                    )
                elif value is not None:
                    sheet.write_string(number, column, value)
    return file.getvalue()


def sql_dump(dialect: str, write: Callable[[Sequence[str], Sequence[tuple[str | None, ...]]], str]) -> Form:
    """Return the form of a dump in a dialect."""
    return Form(
        lambda _: SqlDump("t", dialect),  # type: ignore[arg-type]  # one of the dialects
        lambda table: write(table.names, table.rows).encode(),
    )


_NOT_IN_XML: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff"
_NAME_OF_XML: Final = "abcü.-_1"
FORMS: Final = {
    "csv": Form(lambda _: Csv(), as_csv(), read_as=empty_is_null),
    "csv with escapes": Form(
        lambda _: Csv(delimiter=";", escape="\\"),
        as_csv(delimiter=";", escapechar="\\", doublequote=False),
        read_as=empty_is_null,
    ),
    "json": Form(lambda _: Json("$.rows"), as_json),
    "ndjson": Form(lambda _: Ndjson(), as_json_lines),
    "elements of xml": Form(
        lambda _: Xml("/rows/row"),
        as_elements,
        forbidden=_NOT_IN_XML,
        names=_NAME_OF_XML,
        read_as=empty_is_null,
    ),
    "attributes of xml": Form(
        lambda _: Xml("/rows/row"),
        as_attributes,
        forbidden=_NOT_IN_XML,
        names=_NAME_OF_XML,
        prefix="@",
        read_as=empty_is_null,
    ),
    "fixed width": Form(fixed_width, as_fixed_width, forbidden=r"\0\r\n", read_as=stripped),
    "sqlite": Form(lambda _: Sqlite("t"), as_sqlite),
    "parquet": Form(lambda _: Parquet(), as_parquet),
    "excel": Form(lambda _: Excel(), as_workbook, read_as=empty_is_null, blank_rows=False, examples=6),
    **{f"sql: {name}": sql_dump(*writer) for name, writer in WRITERS.items()},
}
