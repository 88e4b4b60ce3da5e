"""SQL dumps: what is a record, what is skipped, and each way in which dumps are broken."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.sql_dump import SqlDump

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.batch import RawBatch

WORDS = "CREATE TABLE words (id integer, word text);\n"


def batches(dump: str | bytes, dialect: Any = "postgres", table: str = "words", **arguments: Any) -> Sequence[RawBatch]:
    data = dump.encode() if isinstance(dump, str) else dump
    return list(SqlDump(table, dialect, **arguments).read(io.BytesIO(data), "dump.sql"))


def rows(dump: str | bytes, *arguments: Any, **named: Any) -> list[tuple[str | None, ...]]:
    return [row[:-1] for batch in batches(dump, *arguments, **named) for row in batch.frame.rows()]


def values(literals: str, dialect: Any = "postgres") -> tuple[str | None, ...]:
    """Return the values of one record."""
    count = len(rows_of := f"INSERT INTO t VALUES ({literals});\n") and literals.count("|") + 1
    names = tuple(f"c{index}" for index in range(count))
    ((row),) = rows(rows_of.replace("|", ","), dialect, "t", header=names)
    return row


def rules(dump: str | bytes, *arguments: Any, **named: Any) -> list[tuple[int, list[str]]]:
    return [row for batch in batches(dump, *arguments, **named) for row in batch.malformed.rows()]


def error(dump: str | bytes, *arguments: Any, **named: Any) -> str:
    with pytest.raises(DeliveryError) as raised:
        batches(dump, *arguments, **named)
    assert "Nothing was written" in str(raised.value)
    return str(raised.value)


def incomplete(dump: str | bytes, *arguments: Any, **named: Any) -> str:
    with pytest.raises(DeliveryIncompleteError) as raised:
        batches(dump, *arguments, **named)
    return str(raised.value)


@pytest.mark.parametrize(
    ("dialect", "literals", "expected"),
    [
        ("postgres", "1|-2.50|1e-7|.5|NULL|null|TRUE|false", ("1", "-2.50", "1e-7", ".5", None, None, "true", "false")),
        (
            "postgres",
            r"'a\n'|'it''s'|''|'NULL'|'(1),(2)'|'--'|'/*'",
            (r"a\n", "it's", "", "NULL", "(1),(2)", "--", "/*"),
        ),
        ("postgres", r"E'a\n\'\\\x41\101\u00e9'|e''''", ("a\n'\\AA\u00e9", "'")),
        ("postgres", "'1'::integer|'{}'::character varying(3)[]|N'x'|B'01'|X'1f'", ("1", "{}", "x", "01", "00011111")),
        ("postgres", "1 /* a, /* b */ ' */|\n-- it's\n 'x'", ("1", "x")),
        (
            "mysql",
            r"'a\n\t\\\'\"\0\Z\%\q'|'it''s'|" + '"d\\"o""u\'\'b"',
            ("a\n\t\\'\"\0\x1a\\%q", "it's", "d\"o\"u''b"),
        ),
        (
            "mysql",
            "0xaBc|x'4D'|X''|b'01'|0b1|_binary 'x'|_utf8mb4'y'",
            (r"\x0abc", r"\x4d", r"\x", "01", "1", "x", "y"),
        ),
        ("mysql", "1 # it's\n|2 -- it's\n|'x'", ("1", "2", "x")),
        ("sqlite", r"'a\'|X'00fF'|1.0e+20|-9223372036854775808", ("a\\", r"\x00ff", "1.0e+20", "-9223372036854775808")),
        ("sqlite", r"replace(replace('a\r\nb','\r',char(13)),'\n',char(10))", ("a\r\nb",)),
    ],
)
def test_literals_are_read_by_the_rules_of_their_dialect(
    dialect: str, literals: str, expected: tuple[str | None, ...]
) -> None:
    assert values(literals, dialect) == expected


@pytest.mark.parametrize(
    ("dialect", "expression"),
    [
        ("postgres", "now()"),
        ("postgres", "DEFAULT"),
        ("postgres", "nextval('s'::regclass)"),
        ("postgres", "'a' || 'b'"),
        ("postgres", "1-1"),
        ("postgres", "ARRAY[1]"),
        ("postgres", r"U&'\0041'"),
        ("postgres", r"E'\ud800'"),
        ("mysql", "'a' 'b'"),
        ("mysql", "_latin1'x'"),
        ("mysql", "CAST('1' AS SIGNED)"),
        ("sqlite", '"x"'),
        ("sqlite", "char(10)"),
    ],
)
def test_an_expression_makes_its_record_malformed_and_no_other(dialect: str, expression: str) -> None:
    dump = f"INSERT INTO words (id) VALUES (1), ({expression}), (3);"
    assert rules(dump, dialect) == [(2, ["record__expression"])]
    assert rows(dump, dialect) == [("1",), ("3",)]


def test_a_record_with_too_few_or_too_many_values_is_malformed() -> None:
    dump = "INSERT INTO words (id, word) VALUES (1, 'a'), (2), (3, 'c', 'd'), (4, E'd');"
    assert rules(dump) == [(2, ["record__field_count"]), (3, ["record__field_count"])]
    assert rows(dump) == [("1", "a"), ("4", "d")]


def test_a_record_that_is_not_in_the_encoding_is_malformed() -> None:
    dump = b"INSERT INTO words (id, word) VALUES (1, '\xe9'), (2, 'b');"
    assert rules(dump) == [(1, ["record__encoding"])]
    assert rows(dump, encoding="cp1252") == [("1", "\u00e9"), ("2", "b")]


def test_a_value_that_only_begins_like_a_string_may_end_inside_no_character() -> None:
    dump = r"INSERT INTO words (id, word) VALUES (1, 'a\q' ö), (2, 'b\q');"
    assert rules(dump, "mysql") == [(1, ["record__expression"])]
    assert rows(dump, "mysql") == [("2", "bq")]


def test_the_escapes_of_a_copy_are_its_own() -> None:
    dump = (
        WORDS
        + "COPY words (id, word) FROM stdin;\n"
        + "\n".join(
            [
                r"\N" + "\t" + r"a\tb\n\\N\q",
                "\t" + r"\x41\101\303\251\b",
                "2\tx\\",
                "y",
                "3\ta\\\tb",
                r"4" + "\t" + r"\\",
            ]
        )
    )
    assert rows(dump + "\n\\.\n") == [
        (None, "a\tb\n\\Nq"),
        ("", "AA\u00e9\b"),
        ("2", "x\ny"),
        ("3", "a\tb"),
        ("4", "\\"),
    ]


def test_a_line_of_a_copy_with_a_wrong_escape_is_malformed() -> None:
    dump = "COPY words (id, word) FROM stdin;\n1\ta\\.b\n2\ta\rb\n3\t\\377\n4\td\n\\.\n"
    assert rules(dump) == [(1, ["record__escape"]), (2, ["record__escape"]), (3, ["record__encoding"])]
    assert rows(dump) == [("4", "d")]


def test_lines_of_a_copy_may_end_with_carriage_returns() -> None:
    assert rows("COPY words (id) FROM stdin;\r\n1\r\n2\r\n\\.\r\n") == [("1",), ("2",)]


def test_a_copy_of_one_column_may_have_blank_lines() -> None:
    assert rows("COPY words (word) FROM stdin;\n\na\n\\N\n\n\\.\n") == [("",), ("a",), (None,), ("",)]


def test_null_words_have_no_value() -> None:
    assert rows("INSERT INTO words (a, b) VALUES ('', '-');", null=("", "-")) == [(None, None)]


@pytest.mark.parametrize(
    ("dialect", "other"),
    [
        ("postgres", "COPY other (a) FROM stdin;\nINSERT INTO words VALUES (9, '9');\n\\.x\n\\.\n"),
        ("postgres", "INSERT INTO other VALUES ('\\', 'INSERT INTO words VALUES (9, ''9'');');"),
        ("postgres", "INSERT INTO other VALUES (E'\\';INSERT INTO words VALUES (9, 9);');"),
        ("postgres", "DO $$ INSERT INTO words VALUES (9, $a$;$a$); $$;"),
        ("postgres", "CREATE FUNCTION f() RETURNS void AS $_$; INSERT INTO words VALUES (9, $1);$$; $_$ LANGUAGE sql;"),
        ("postgres", "CREATE FUNCTION f() RETURNS void BEGIN ATOMIC; INSERT INTO words VALUES (9, 9); END;"),
        ("postgres", "CREATE RULE r AS ON INSERT TO other DO (DELETE FROM a; INSERT INTO words VALUES (9, 9););"),
        ("postgres", "/* ; /* INSERT INTO words VALUES (9, 9); */ INSERT INTO words VALUES (9, 9); */"),
        ("postgres", "-- INSERT INTO words VALUES (9, 9);"),
        ("postgres", "COMMENT ON TABLE words IS 'INSERT INTO words VALUES (9, 9);';"),
        ("postgres", "\\echo INSERT INTO words VALUES (9, 9);"),
        ("postgres", "\\connect -\n\\restrict x"),
        ("mysql", "INSERT INTO other VALUES ('\\';INSERT INTO words VALUES (9, 9);',\"'\",`'`);"),
        ("mysql", "# it's\n-- it's\n/* ' */"),
        (
            "mysql",
            "DELIMITER ;;\nCREATE TRIGGER t BEGIN INSERT INTO words VALUES (9, ';;'); END;;\nDELIMITER ;",
        ),
        ("mysql", "/*!40000 ALTER TABLE `words` DISABLE KEYS */;\nLOCK TABLES `words` WRITE;"),
        (
            "sqlite",
            "CREATE TRIGGER t BEGIN SELECT CASE WHEN 1 THEN 2 END; INSERT INTO words VALUES (9, 9); END;",
        ),
        ("sqlite", "INSERT INTO \"wo;rds\" VALUES ('\\');CREATE INDEX [a;'b] ON words(id);"),
    ],
)
def test_text_in_other_statements_is_not_taken_for_records(dialect: str, other: str) -> None:
    dump = WORDS + other + "\nINSERT INTO words VALUES (1, 'a');\n" + other + "\n"
    assert rows(dump, dialect) == [("1", "a")]


@pytest.mark.parametrize(
    ("dialect", "table", "written"),
    [
        ("postgres", "Words", "WORDS"),
        ("postgres", '"Words"', '"Words"'),
        ("postgres", "public.words", "public . words"),
        ("postgres", "words", "public.words"),
        ("mysql", "words", "`db`.`words`"),
        ("mysql", "`a``b`", "`a``b`"),
        ("sqlite", "words", '"Words"'),
        ("sqlite", "words", "[words]"),
    ],
)
def test_names_are_folded_as_their_dialect_folds_them(dialect: str, table: str, written: str) -> None:
    assert rows(f"INSERT INTO {written} (id) VALUES (1);", dialect, table) == [("1",)]


def test_a_name_without_a_schema_is_in_the_schema_that_was_set() -> None:
    dump = "SET search_path = a, pg_catalog;\n" + WORDS + "COPY words (id) FROM stdin;\n1\n\\.\n"
    assert rows(dump, "postgres", "a.words") == [("1",)]
    assert rows("USE `a`;\nINSERT INTO words (id) VALUES (1);", "mysql", "a.words") == [("1",)]


@pytest.mark.parametrize(
    "dump",
    [
        "INSERT INTO a.words (id) VALUES (1); INSERT INTO b.words (id) VALUES (2);",
        "\\connect a\nINSERT INTO words (id) VALUES (1);\n\\connect b\nINSERT INTO words (id) VALUES (2);",
    ],
)
def test_a_table_that_is_there_twice_is_refused(dump: str) -> None:
    assert "more than one table" in error(dump)


def test_a_table_that_is_not_there_is_refused_with_those_that_are() -> None:
    assert 'it has "B", a.b' in error('CREATE TABLE a.b (x int); INSERT INTO "B" VALUES (1);')


def test_columns_come_from_the_table_if_the_insert_names_none() -> None:
    dump = 'CREATE TABLE words ("id" int NOT NULL, CONSTRAINT k PRIMARY KEY (id), w numeric(3, 2), "check" int);\n'
    assert batches(dump + "INSERT INTO words VALUES (1, 2, 3);")[0].names == ("id", "w", "check")
    assert "header=(...)" in error("INSERT INTO words VALUES (1);")
    assert rows("INSERT INTO words VALUES (1);", header=("x",)) == [("1",)]


def test_statements_may_name_the_columns_in_another_order_but_no_other_columns() -> None:
    dump = "INSERT INTO words (a, b) VALUES (1, 2); INSERT INTO words (b, a) VALUES (3, 4);"
    assert rows(dump) == [("1", "2"), ("4", "3")]
    assert "different columns: 'c'" in error(dump + "INSERT INTO words (a, b, c) VALUES (1, 2, 3);")
    assert "names columns twice" in error("INSERT INTO words (a, a) VALUES (1, 2);")


@pytest.mark.parametrize(
    "insert",
    [
        "INSERT IGNORE INTO words (id) VALUES (1);",
        "REPLACE INTO words (id) VALUES (1);",
        "INSERT OR REPLACE INTO words (id) VALUES (1);",
        "INSERT INTO words (id) OVERRIDING SYSTEM VALUE VALUES (1) ON CONFLICT DO NOTHING;",
        "insert into words(id) values(1);",
    ],
)
def test_the_inserts_of_dump_programs_are_read(insert: str) -> None:
    assert rows(insert) == [("1",)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE words SET id = 2;",
        "DELETE FROM words WHERE id = 1;",
        "TRUNCATE TABLE words;",
        "DROP TABLE IF EXISTS public.words;",
        "ALTER TABLE words ADD COLUMN x int;",
        "ALTER TABLE words RENAME TO x;",
        "MERGE INTO words USING x ON true WHEN MATCHED THEN DELETE;",
        "WITH x AS (SELECT 1) INSERT INTO words SELECT * FROM x;",
        "COPY words FROM '/tmp/x';",
        "INSERT INTO words SELECT * FROM x;",
        "INSERT INTO words (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 3;",
        "INSERT INTO words (id) VALUES (1) RETURNING id;",
        "INSERT INTO words DEFAULT VALUES;",
        "COPY words (id) FROM stdin WITH (FORMAT csv);\n1\n\\.\n",
        "ROLLBACK;",
        "SET standard_conforming_strings = off;",
    ],
)
def test_statements_after_which_the_records_are_not_the_rows_are_refused(statement: str) -> None:
    for padding in ("", "\n-- " + "x" * 300 + "\n"):
        error("INSERT INTO words (id) VALUES (1);\n" + statement + padding)


def test_what_mysql_executes_in_a_comment_is_refused() -> None:
    error("INSERT INTO words (id) VALUES (1);\n/*!40000 DELETE FROM words */;\n", "mysql")
    error("/*!40101 SET SQL_MODE='NO_BACKSLASH_ESCAPES' */;\nINSERT INTO words (id) VALUES (1);\n", "mysql")


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE IF EXISTS words;\nDELETE FROM words;",
        "UPDATE other SET x = 'words';",
        "ALTER TABLE ONLY words ADD CONSTRAINT p PRIMARY KEY (id);",
        "ALTER TABLE other ADD COLUMN x int REFERENCES words;",
        "DROP TABLE IF EXISTS words_of_others;\nDELETE FROM other WHERE id IN (SELECT id FROM words);",
    ],
)
def test_statements_that_change_no_record_are_skipped(statement: str) -> None:
    insert = "INSERT INTO words (id) VALUES (1);\n"
    assert rows(statement + insert) == [("1",)]
    if not statement.startswith("DROP TABLE IF EXISTS words;"):
        assert rows(insert + statement + insert) == [("1",), ("1",)]


@pytest.mark.parametrize("dialect", ["postgres", "mysql", "sqlite"])
@pytest.mark.parametrize("length", [*range(63 * 1024, 66 * 1024, 509)])
def test_a_statement_behind_comments_across_the_end_of_a_window_is_seen(dialect: str, length: int) -> None:
    for comment in ("-- " + "x" * length + "\n", "-- x\n" * (length // 5), "/* " + "x" * length + " */"):
        assert rows(comment + "INSERT INTO words (id) VALUES (1);\n" + comment, dialect, batch_bytes=4096) == [("1",)]


def test_inserts_with_another_delimiter_are_refused_and_so_is_a_table_made_from_a_query() -> None:
    error("DELIMITER //\nINSERT INTO words (id) VALUES (1)//\n", "mysql")
    error("CREATE TABLE words AS SELECT 1 AS id;\n", header=("id",))


@pytest.mark.parametrize(
    "dump",
    [
        "INSERT INTO words (id) VALUES (1), (2",
        "INSERT INTO words (id) VALUES (1),",
        "INSERT INTO words (id) VALUES (1)",
        "INSERT INTO words (id) VALUES (1), ('a",
        "COPY words (id) FROM stdin;\n1\n2",
        "COPY other (id) FROM stdin;\n1\n",
        "INSERT INTO words (id) VALUES (1);\nINSERT INTO other VALUES ('x",
        "INSERT INTO words (id) VALUES (1);\n/* x",
        "BEGIN;\nINSERT INTO words (id) VALUES (1);\n",
        "-- PostgreSQL database dump\n\nINSERT INTO words (id) VALUES (1);\n",
    ],
)
def test_a_dump_that_is_cut_short_is_incomplete(dump: str) -> None:
    incomplete(dump)


def test_a_record_that_cannot_be_cut_refuses_the_delivery_with_its_line() -> None:
    text = error("INSERT INTO words (id) VALUES\n(1),\n(2;\n(3);")
    assert "on line 3" in text
    assert "on line 2" in error("INSERT INTO words (id) VALUES (1),\n2, (3);")


@pytest.mark.parametrize(
    ("data", "remedy"),
    [
        (b"PGDMP\x01\x0e", "pg_restore -f"),
        (b"toc.dat\0\0", "pg_restore -f"),
        (b"SQLite format 3\0", ".dump"),
        ("\ufeffINSERT".encode("utf-16"), "encoding='utf-16'"),
    ],
)
def test_what_is_no_plain_dump_is_refused_with_a_remedy(data: bytes, remedy: str) -> None:
    assert remedy in error(data)


def test_a_byte_order_mark_is_accepted() -> None:
    assert rows("\ufeffINSERT INTO words (id) VALUES (1);") == [("1",)]


def test_a_record_that_is_larger_than_a_batch_can_be_read_but_not_one_beyond_the_window() -> None:
    assert rows(f"INSERT INTO words (id) VALUES ('{'x' * 1000}'), (2);", batch_bytes=64)[1] == ("2",)
    assert "raise batch_bytes" in error(f"INSERT INTO words (id) VALUES ('{'x' * 200_000}'), (2);", batch_bytes=64)


@pytest.mark.parametrize("shift", [0, 13])
def test_dumps_of_many_windows_are_read_as_one(shift: int) -> None:
    """Other statements and records come to lie across the ends of windows."""
    text = "it''s -- /* $$ \\\\ ;" + "x" * shift
    inserts = [f"INSERT INTO words VALUES ({n}, '{text}');\n-- it's\n" for n in range(2000)]
    other = "INSERT INTO other VALUES (1, '" + text + "');\nCOPY other (a) FROM stdin;\n\\\\.\nINSERT INTO words\n\\.\n"
    lines = "COPY words (id, word) FROM stdin;\n" + "".join(f"{n}\t{text}\n" for n in range(2000, 4000)) + "\\.\n"
    found = rows(WORDS + other * 900 + "".join(inserts) + other + lines + other * 900, batch_bytes=20_000 + shift)
    assert [row[0] for row in found] == [str(n) for n in range(4000)]
    assert {row[1] for row in found} == {text.replace("''", "'"), text.replace("\\\\", "\\")}


def test_places_name_line_and_byte_of_a_record_and_the_line_of_a_copy() -> None:
    (first, second) = batches(
        WORDS + "INSERT INTO words VALUES (1, 'a\n'),(2, 'b');\nCOPY words FROM stdin;\n3\tc\n\\.\n"
    )
    data = (WORDS + "INSERT INTO words VALUES (1, 'a\n'),").encode()
    assert [first.location(1), first.location(2)] == [
        f"dump.sql:2, byte {len(data) - 10}",
        f"dump.sql:3, byte {len(data)}",
    ]
    assert second.location(3) == "dump.sql:5"
    assert [first.raw(1), second.raw(3)] == [b"(1, 'a\n')", b"3\tc"]
