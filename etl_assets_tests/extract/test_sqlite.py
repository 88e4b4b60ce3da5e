"""Sqlite: the exact values that are read, in which order, what is refused, and databases that are made to do harm."""

from __future__ import annotations

import io
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.sqlite import Sqlite
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO
from etl_assets_tests.conformance.test_sqlite_conforms import database

if TYPE_CHECKING:
    from etl_assets.model.batch import RawBatch

_COUNT = "WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < {}) "
SAMPLE = database(
    "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price REAL)",
    "INSERT INTO items " + _COUNT.format(300) + "SELECT n, 'name ' || n, n / 8.0 FROM n",
    "CREATE INDEX by_name ON items (name)",
)
ENDLESS = "WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n)"


def read(data: bytes, format_: Sqlite | None = None) -> list[RawBatch]:
    return list((format_ or Sqlite(table="items")).read(io.BytesIO(data), "shop.sqlite"))


def rows(data: bytes, format_: Sqlite) -> list[tuple[Any, ...]]:
    """Return the cells of all well-formed records."""
    return [row[:-1] for batch in read(data, format_) for row in batch.frame.rows()]


def refusal(data: bytes, format_: Sqlite | None = None) -> str:
    """Return the error with which a file is refused while it is indexed."""
    with pytest.raises(DeliveryError) as error:
        read(data, format_)
    assert "Nothing of it was written. " in str(error.value) or "Nothing was written. " in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("type_", ["TEXT", "varchar(9)", "NCHAR", "Clob", "charint", "pointtext", ""])
def test_numbers_in_a_column_of_any_type_are_what_sqlite_makes_of_them(type_: str) -> None:
    values = "(3.0), (0.5), (7), ('8'), ('x'), (NULL), (x'01')"
    data = database(f"CREATE TABLE items (x {type_})", f"INSERT INTO items VALUES {values}")
    keeps_numbers = "int" in type_ or not type_
    first = "3" if keeps_numbers else "3.0"
    assert rows(data, Sqlite(table="items")) == [(first,), ("0.5",), ("7",), ("8",), ("x",), (None,), ("01",)]


def test_a_number_in_a_column_of_texts_as_only_a_changed_schema_has_it_keeps_its_value() -> None:
    changed = "UPDATE sqlite_master SET sql = 'CREATE TABLE items (x TEXT)'"
    data = database(
        "CREATE TABLE items (x REAL)", "INSERT INTO items VALUES ('a'), (2.5)", "PRAGMA writable_schema=ON", changed
    )
    assert rows(data, Sqlite(table="items")) == [("a",), ("2.5",)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("0.1", "0.1"),
        ("1.0 / 3", "0.3333333333333333"),
        ("3.0", "3"),
        ("1e22", "10000000000000000000000"),
        ("9e999", "inf"),
        ("'00123'", "00123"),
        ("''", ""),
        ("' é'", " é"),
        ("'a' || char(0) || 'b'", "a\0b"),
        ("x'00ff'", "00ff"),
        ("x''", ""),
        ("NULL", None),
        ("'NULL'", "NULL"),
    ],
)
@pytest.mark.parametrize("beside", ["NULL", "7", "'text'", "x'01'", "9007199254740993", "0.5"])
def test_a_cell_is_what_is_stored_whatever_the_cells_beside_it_are(value: str, text: str | None, beside: str) -> None:
    data = database("CREATE TABLE items (x)", f"INSERT INTO items VALUES ({beside}), ({value}), ({beside})")
    assert rows(data, Sqlite(table="items"))[1] == (text,)


def test_a_text_in_a_column_of_integers_is_read_as_the_text() -> None:
    data = database("CREATE TABLE items (n INTEGER)", "INSERT INTO items VALUES ('12'), ('lots'), (1.5), (2.0)")
    assert rows(data, Sqlite(table="items")) == [("12",), ("lots",), ("1.5",), ("2",)]
    (batch,) = read(data)
    assert not batch.canonical
    assert not batch.types


def test_null_words_are_no_values_and_stay_in_the_bytes_of_the_record() -> None:
    data = database("CREATE TABLE items (x, y)", "INSERT INTO items VALUES ('NA', 'NA '), (NULL, '')")
    (batch,) = read(data, Sqlite(table="items", null=("NA",)))
    assert batch.frame.rows() == [(None, "NA ", 1), (None, "", 2)]
    assert batch.raw(1) == b'{"x": "NA", "y": "NA "}'


def test_a_text_that_is_not_utf8_makes_its_record_malformed_with_its_bytes() -> None:
    data = database(
        "CREATE TABLE items (x)", "INSERT INTO items VALUES ('a'), (CAST(x'77ff' AS TEXT)), (1), (x'ff'), ('b')"
    )
    (batch,) = read(data)
    assert batch.malformed.rows() == [(2, ["record__encoding"])]
    assert batch.frame.rows() == [("a", 1), ("1", 3), ("ff", 4), ("b", 5)]
    assert batch.raw(2) == b'{"x": "w\xff"}'
    assert batch.location(2) == "shop.sqlite:items:2"


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_a_database_in_utf16_is_read(encoding: str) -> None:
    data = database(
        f"PRAGMA encoding = '{encoding}'", "CREATE TABLE items (é)", "INSERT INTO items VALUES ('zażółć 😀')"
    )
    (batch,) = read(data)
    assert (batch.names, batch.frame.rows()) == (("é",), [("zażółć 😀", 1)])


def test_rows_of_a_table_are_in_the_order_of_their_rowids_which_are_their_places() -> None:
    data = database("CREATE TABLE items (x)", "INSERT INTO items (rowid, x) VALUES (9, 'c'), (-4, 'a'), (3, 'b')")
    (batch,) = read(data)
    assert batch.frame.rows() == [("a", 1), ("b", 2), ("c", 3)]
    assert batch.locations([1, 2, 3]).to_list() == [
        "shop.sqlite:items:-4",
        "shop.sqlite:items:3",
        "shop.sqlite:items:9",
    ]


def test_rows_without_rowids_are_in_the_order_of_their_key() -> None:
    data = database(
        "CREATE TABLE items (a, b, PRIMARY KEY (b DESC, a)) WITHOUT ROWID",
        "INSERT INTO items VALUES (2, 1), (1, 2), (1, 1)",
    )
    assert rows(data, Sqlite(table="items")) == [("1", "1"), ("2", "1"), ("1", "2")]
    assert read(data)[0].location(3) == "shop.sqlite:items:row 3"


def test_rows_of_a_query_are_sorted_by_its_columns() -> None:
    data = database(
        "CREATE TABLE items (x COLLATE NOCASE, y)", "INSERT INTO items VALUES ('b', 2), ('A', 1), ('a', 9), ('B', 1)"
    )
    query = Sqlite(query="SELECT x, y FROM items ORDER BY y DESC")
    assert rows(data, query) == [("A", "1"), ("B", "1"), ("a", "9"), ("b", "2")]
    assert read(data, query)[0].location(2) == "shop.sqlite:row 2"


def test_columns_named_rowid_do_not_hide_the_rowid() -> None:
    data = database("CREATE TABLE items (rowid, OID)", "INSERT INTO items VALUES (5, 1), (4, 2)")
    assert rows(data, Sqlite(table="items")) == [("5", "1"), ("4", "2")]
    hidden = database("CREATE TABLE items (rowid, oid, _rowid_)")
    assert "has a table whose rowid has no name" in refusal(hidden)


def test_names_are_quoted_and_tables_are_found_in_any_case() -> None:
    data = database('CREATE TABLE "it""e ms" ("a ""b""", "select")', 'INSERT INTO "it""e ms" VALUES (1, 2)')
    (batch,) = read(data, Sqlite(table='IT"E MS'))
    assert batch.names == ('a "b"', "select")
    assert batch.location(1) == 'shop.sqlite:it"e ms:1'


def test_generated_columns_are_read() -> None:
    data = database("CREATE TABLE items (n, m AS (n * 2), o AS (n || '!') STORED)", "INSERT INTO items VALUES (4)")
    assert rows(data, Sqlite(table="items")) == [("4", "8", "4!")]


def test_a_row_that_is_larger_than_a_batch_is_a_batch_of_its_own() -> None:
    data = database("CREATE TABLE items (x)", "INSERT INTO items VALUES ('a'), ('b'), (printf('%.5000c', 'x')), ('c')")
    assert [batch.span.records for batch in read(data, Sqlite(table="items", batch_bytes=100))] == [2, 1, 1]


def test_any_batch_is_read_from_its_rowid() -> None:
    format_ = Sqlite(table="items", batch_bytes=500)
    whole = read(SAMPLE, format_)
    for batch in whole[::-3]:
        index = MemberIndex("m", 0, batch.names, (batch.span,))
        (again,) = format_.read(io.BytesIO(SAMPLE), "m", index=index)
        assert again.frame.equals(batch.frame)


def test_an_index_of_other_bytes_is_an_error() -> None:
    span = read(SAMPLE)[0].span
    other = database("CREATE TABLE items (id INTEGER PRIMARY KEY)")
    with pytest.raises(DeliveryIncompleteError, match="ends before batch 1"):
        list(Sqlite(table="items").read(io.BytesIO(other), "m", index=MemberIndex("m", 0, ("id",), (span,))))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty"),
        (b"a,b\n1,2\n" * 30, "is not an SQLite database, or is encrypted"),
        (bytes(range(256)) * 20, "is not an SQLite database, or is encrypted"),
        (SAMPLE[:60], "is cut short"),
        (SAMPLE[:-1], "is cut short"),
        (SAMPLE[:4096], "is cut short"),
        (SAMPLE[:4096] + bytes(len(SAMPLE) - 4096), "is damaged"),
        (SAMPLE[:100] + bytes(4000) + SAMPLE[4100:], "is damaged"),
        (database("CREATE TABLE t (x)", "CREATE VIEW v AS SELECT 1"), "has no table 'items'; its tables are: t, v"),
        (database("PRAGMA journal_mode=WAL", "VACUUM"), "they may be in a -wal file"),
        (database("CREATE VIEW items AS SELECT 1 AS x"), "has a view or a virtual table, and no table, 'items'"),
        (database("CREATE VIRTUAL TABLE items USING fts5(x)"), "has a view or a virtual table, and no table, 'items'"),
        (database(f"CREATE TABLE items ({RECORD_NO})"), "publishes the name '_record_no'"),
        (database('CREATE TABLE items ("")'), "has a column without a name"),
    ],
    ids=range(14),
)
def test_an_unusable_file_is_refused_with_a_remedy(data: bytes, problem: str) -> None:
    assert problem in refusal(data)


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("SELECT * FROM absent", "no such table: absent. Its tables and views are: evil, items, v"),
        ("SELECT absent FROM items", "no such column: absent"),
        ("SELEC 1", "syntax error"),
        ("SELECT id, name AS id FROM items", "has two columns of one name: 'id'"),
        ("SELECT load_extension('x')", "not authorized"),
        ("SELECT * FROM evil", "unsafe use of load_extension"),
        ("SELECT * FROM items ORDER BY random()", "not authorized"),
        ("DELETE FROM items RETURNING id", "syntax error"),
        ("SELECT 1); DROP TABLE items; --", "one statement at a time"),
        ("SELECT * FROM pragma_table_info('items')", "not authorized"),
        ("SELECT * FROM v", "takes longer to read than it may"),
        (f"{ENDLESS} SELECT n FROM n", "takes longer to read than it may"),
        ("SELECT zeroblob(2000000) AS x", "has a row or value of more than 1,048,576 bytes"),
        ("SELECT n FROM items AS i, evil", "unsafe use"),
    ],
)
def test_a_query_that_cannot_be_read_or_may_not_be_run_is_refused(query: str, problem: str) -> None:
    data = database(
        "CREATE TABLE items (id, name)",
        f"CREATE VIEW v AS {ENDLESS} SELECT max(n) AS n FROM n",
        "CREATE VIEW evil AS SELECT load_extension('evil') AS n",
        "INSERT INTO items VALUES (1, 'a')",
    )
    assert problem in refusal(data, Sqlite(query=query, seconds=0.1, batch_bytes=1000))


def test_a_virtual_table_is_not_read_by_a_query_either() -> None:
    data = database("CREATE VIRTUAL TABLE items USING fts5(x)", "INSERT INTO items VALUES ('a')")
    assert "cannot be read" in refusal(data, Sqlite(query="SELECT x FROM items"))


def test_values_that_break_constraints_of_the_table_are_records_like_others() -> None:
    data = database("CREATE TABLE items (n CHECK (n > 0), m NOT NULL)", "INSERT INTO items VALUES (1, 2)")
    relaxed = database("CREATE TABLE items (n              , m         )", "INSERT INTO items VALUES (-1, NULL)")
    broken = relaxed.replace(b"(n              , m         )", b"(n CHECK (n > 0), m NOT NULL)")
    assert len(data) == len(broken)
    assert rows(broken, Sqlite(table="items")) == [("-1", None)]


def test_nothing_is_written_beside_the_database() -> None:
    data = database("PRAGMA journal_mode=WAL", "CREATE TABLE items (x)", "INSERT INTO items VALUES (1)")
    assert rows(data, Sqlite(table="items")) == [("1",)]


@given(st.integers(0, len(SAMPLE) - 1), st.integers(1, 255), st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
def test_bytes_that_are_cut_or_changed_anywhere_are_refused_or_read(place: int, change: int, cut: bool) -> None:  # noqa: FBT001
    data = SAMPLE[:place] if cut else SAMPLE[:place] + bytes([SAMPLE[place] ^ change]) + SAMPLE[place + 1 :]
    try:
        batches = read(data, Sqlite(table="items", seconds=5))
    except DeliveryError:
        return
    assert not cut
    for batch in batches:
        assert batch.frame.height + batch.malformed.height == batch.span.records


_CELLS = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
)


@given(st.lists(st.tuples(_CELLS, _CELLS), max_size=30))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
def test_a_random_table_is_read_back_equal(cells: list[tuple[Any, ...]]) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE items (x, y)")
    connection.executemany("INSERT INTO items VALUES (?, ?)", cells)
    connection.commit()
    again = rows(connection.serialize(), Sqlite(table="items", batch_bytes=100))
    assert [len(row) for row in again] == [2] * len(cells)
    for row, stored in zip(again, cells, strict=True):
        for text, cell in zip(row, stored, strict=True):
            assert text == _expected(cell) if not isinstance(cell, float) else float(text) == cell


def _expected(cell: Any) -> str | None:
    if isinstance(cell, bytes):
        return cell.hex()
    return None if cell is None else str(cell)
