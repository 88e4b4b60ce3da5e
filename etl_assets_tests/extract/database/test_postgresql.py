"""PostgreSQL as a source: each type, each value, one snapshot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from etl_assets import Incremental, Partition
from etl_assets.errors import DeliveryError
from etl_assets.extract.database.address import address_of
from etl_assets.extract.database.connecting import connect
from etl_assets.extract.database.freezing import ParquetFile
from etl_assets_tests.extract.database.frozen import freeze, schema_of

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from etl_assets_tests.extract.database.conftest import Postgres

LONG = "-12345678901234567890123456789.123456789"
SETUP = (
    "CREATE TYPE mood AS ENUM ('sad', 'happy')",
    "CREATE TYPE pair AS (a int, b text)",
    "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
    "CREATE DOMAIN price AS numeric(10,2)",
)
TYPES = {
    "small": ("smallint", "-32768", "-32768", "integer"),
    "plain": ("integer", "2147483647", "2147483647", "integer"),
    "big": ("bigint", "-9223372036854775808", "-9223372036854775808", "integer"),
    "exact": ("numeric(38,9)", LONG, LONG, "decimal"),
    "whole": ("numeric(5)", "12345", "12345", "decimal"),
    "any_numeric": ("numeric", "1e50", "1" + "0" * 50, "text"),
    "longest": ("numeric(60,20)", "1.5", "1.5" + "0" * 19, "text"),
    "single": ("real", "0.1", "0.10000000149011612", "float"),
    "twice": ("double precision", "0.1", "0.1", "float"),
    "yes": ("boolean", "true", "true", "boolean"),
    "word": ("text", r"E'a\\N\tb\n'", "a\\N\tb\n", "text"),
    "limited": ("varchar(9)", "'ž😀'", "ž😀", "text"),
    "fixed": ("char(4)", "'ab'", "ab  ", "text"),
    "name_": ("name", "'n'", "n", "text"),
    "letter": ('"char"', "'x'", "x", "text"),
    "raw": ("bytea", r"'\x00ff10'", "00ff10", "text"),
    "uid": (
        *("uuid", "'123E4567-E89B-12D3-A456-426655440000'", "123e4567-e89b-12d3-a456-426655440000"),
        "uuid",
    ),
    "day": ("date", "'2024-02-29'", "2024-02-29", "date"),
    "reading": ("timestamp", "'9999-12-31 23:59:59.999999'", "9999-12-31 23:59:59.999999", "timestamp"),
    "instant": ("timestamptz", "'2024-02-29 12:00:00.5+02'", "2024-02-29 10:00:00.5+00:00", "instant"),
    "clock": ("time", "'23:59:59.999999'", "23:59:59.999999", "time"),
    "zoned_clock": ("timetz", "'10:00+02'", "10:00:00+02", "text"),
    "span": ("interval", "'1 mon 2 days 03:04:05'", "1 mon 2 days 03:04:05", "text"),
    "doc": ("jsonb", "'{\"a\": 12345678901234567890.5}'", '{"a": 12345678901234567890.5}', "text"),
    "doc_text": ("json", '\'{"a":  1, "a": 2}\'', '{"a":  1, "a": 2}', "text"),
    "list": ("int[]", "'{{1,2},{3,NULL}}'", "{{1,2},{3,NULL}}", "text"),
    "shifted": ("int[]", "'[2:3]={1,2}'", "[2:3]={1,2}", "text"),
    "composite": ("pair", "ROW(1, 'a,b')", '(1,"a,b")', "text"),
    "range_": ("int4range", "'[1,5]'", "[1,6)", "text"),
    "enum": ("mood", "'happy'", "happy", "text"),
    "domain": ("positive", "7", "7", "integer"),
    "domain_price": ("price", "7.5", "7.50", "decimal"),
    "net": ("inet", "'10.0.0.1/8'", "10.0.0.1/8", "text"),
    "mac": ("macaddr", "'08:00:2b:01:02:03'", "08:00:2b:01:02:03", "text"),
    "coins": ("money", "'1234.50'", "1234.50", "text"),
    "object": ("oid", "4294967295", "4294967295", "text"),
    "bits": ("bit(4)", "B'1010'", "1010", "text"),
    "words": ("tsvector", "'a fat cat'", "'a' 'cat' 'fat'", "text"),
    "place": ("point", "'(1,2.5)'", "(1,2.5)", "text"),
    "nothing": ("integer", "NULL", None, "integer"),
}


def wide(*rows: str) -> tuple[str, ...]:
    """Statements that make the table ``wide`` with a row of each type."""
    columns = ", ".join(f"{name} {type_}" for name, (type_, *_) in TYPES.items())
    values = ", ".join(f"({value})::{type_}" for type_, value, *_ in TYPES.values())
    return (*SETUP, f"CREATE TABLE wide ({columns})", f"INSERT INTO wide SELECT {values}", *rows)


def test_each_type_is_read_exactly(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run(*wide())
    frozen = freeze(postgres.extractor(table="public.wide"), tmp_path)
    assert frozen.records == [{name: text for name, (_, _, text, _) in TYPES.items()}]
    assert frozen.types == {name: type_ for name, (*_, type_) in TYPES.items()}


def test_a_query_has_the_same_values_and_types(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run(*wide())
    of_query = freeze(postgres.extractor(query="-- all\nWITH w AS (SELECT * FROM wide) SELECT * FROM w;"), tmp_path)
    of_table = freeze(postgres.extractor(table="wide"), tmp_path)
    assert of_query.records == of_table.records
    assert of_query.types == of_table.types
    types = {name: type_ for name, type_, _ in of_query.state["_catalogue"]}
    assert (types["exact"], types["doc"], types["enum"]) == ("numeric(38,9)", "jsonb", "mood")


def test_values_outside_of_their_types_are_kept_as_text(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run(
        "CREATE TABLE odd (d date, ts timestamp, tz timestamptz, t time, n numeric(10,2))",
        "INSERT INTO odd VALUES ('2024-01-01', '2024-01-01', '2024-01-01 00:00+00', '10:00', 1.5)",
        "INSERT INTO odd VALUES ('infinity', '-infinity', 'infinity', '24:00', 'NaN')",
        "INSERT INTO odd VALUES ('0044-03-15 BC', '20000-01-01', '0044-03-15 00:00+00 BC', NULL, NULL)",
    )
    frozen = freeze(postgres.extractor(table="odd"), tmp_path)
    assert frozen.column("d") == ["2024-01-01", "infinity", "0044-03-15 BC"]
    assert frozen.column("ts") == ["2024-01-01 00:00:00", "-infinity", "20000-01-01 00:00:00"]
    assert frozen.column("tz") == ["2024-01-01 00:00:00+00:00", "infinity", "0044-03-15 00:00:00+00 BC"]
    assert frozen.column("t") == ["10:00:00", "24:00:00", None]
    assert frozen.column("n") == ["1.50", "NaN", None]


def test_the_frozen_file_has_the_types_of_the_catalogue(postgres: Postgres) -> None:
    postgres.run(*SETUP, "CREATE TABLE t (id bigint NOT NULL, price numeric(38,9), m mood)")
    about = {field.name: field.metadata or {} for field in schema_of(postgres.extractor(table="t"))}
    assert about["id"] == {b"etl_assets:type": b"bigint", b"etl_assets:nullable": b"false", **_number(about["id"])}
    assert about["price"][b"etl_assets:type"] == b"numeric(38,9)"
    assert about["m"][b"etl_assets:type"] == b"mood"


def _number(metadata: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """What Parquet itself keeps of a column."""
    return {key: value for key, value in metadata.items() if key.startswith(b"PARQUET:")}


def test_a_second_fetch_has_the_same_bytes(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t AS SELECT i, md5(i::text) AS x FROM generate_series(1, 50000) i")
    assert len({freeze(postgres.extractor(table="t"), tmp_path).manifest.sha256 for _ in range(2)}) == 1


def test_declared_columns_and_order_are_kept(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t (a int, b int, c int)", "INSERT INTO t VALUES (1, 2, 3), (0, 5, 6)")
    frozen = freeze(postgres.extractor(table="t", columns=("c", "a"), order_by=("b",)), tmp_path)
    assert frozen.records == [{"c": "3", "a": "1"}, {"c": "6", "a": "0"}]
    with pytest.raises(DeliveryError, match=r"has no columns 'd'.*It has 'a', 'b', 'c'"):
        freeze(postgres.extractor(table="t", columns=("d",)), tmp_path)


def test_the_order_is_that_of_the_column_and_not_of_its_text(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t (n numeric(10, 0) PRIMARY KEY)", "INSERT INTO t VALUES (10), (9), (100), (-1)")
    assert freeze(postgres.extractor(table="t", order_by=("n",)), tmp_path).column("n") == ["-1", "9", "10", "100"]


def test_names_with_quotes_and_reserved_words_are_read(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run(
        'CREATE SCHEMA "Sche.ma"',
        'CREATE TABLE "Sche.ma"."or""der" ("select" int, "a""b" int, "ü 100%" int)',
        'ALTER TABLE "Sche.ma"."or""der" ADD gen int GENERATED ALWAYS AS ("select" + 1) STORED',
        'INSERT INTO "Sche.ma"."or""der" ("select", "a""b", "ü 100%") VALUES (1, 2, 3)',
    )
    frozen = freeze(postgres.extractor(table='"Sche.ma"."or""der"'), tmp_path)
    assert frozen.records == [{"select": "1", 'a"b': "2", "ü 100%": "3", "gen": "2"}]


def test_sixteen_hundred_columns_are_read(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run(
        f"CREATE TABLE t ({', '.join(f'c{i} int' for i in range(1600))})", "INSERT INTO t (c0, c1599) VALUES (1, 2)"
    )
    (record,) = freeze(postgres.extractor(table="t"), tmp_path).records
    assert (record["c0"], record["c1599"], len(record)) == ("1", "2", 1600)


def test_a_table_without_rows_is_a_delivery_without_records(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t (id int, at timestamptz)")
    extractor = postgres.extractor(table="t", incremental=Incremental("at", timedelta(hours=1)))
    frozen = freeze(extractor, tmp_path)
    assert (frozen.manifest.records, frozen.manifest.names) == (0, ("id", "at"))
    assert extractor.poll_since(Partition(), frozen.state) == frozen.manifest.validators


def test_two_columns_of_one_name_are_refused(postgres: Postgres, tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="two columns of one name: 'x'"):
        freeze(postgres.extractor(query="SELECT 1 AS x, 2 AS x"), tmp_path)


def test_a_row_inserted_during_a_fetch_is_not_seen(postgres: Postgres) -> None:
    postgres.run("CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
    with connect(address_of(postgres.url, "x"), postgres.access) as session:
        postgres.run("INSERT INTO t VALUES (2)")
        assert session.row("SELECT count(*) FROM t") == (1,)


def test_a_fetch_cannot_write(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run(
        "CREATE TABLE t (id int)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); RETURN 1; END $$",
    )
    with pytest.raises(DeliveryError):
        freeze(postgres.extractor(query="SELECT f() AS x"), tmp_path)


class TestIncremental:
    def test_changes_and_late_rows_within_the_overlap_are_fetched(self, postgres: Postgres, tmp_path: Path) -> None:
        postgres.run(
            "CREATE TABLE t (id int PRIMARY KEY, at timestamptz)",
            "INSERT INTO t VALUES (1, '2024-01-01 10:00+00'), (2, '2024-01-01 12:00+00'), (3, NULL)",
        )
        extractor = postgres.extractor(table="t", incremental=Incremental("at", timedelta(minutes=30)))
        first = freeze(extractor, tmp_path)
        assert first.state["cursor"]["value"] == "2024-01-01T12:00:00+00:00"
        assert any("1 rows have no value in 'at'" in note for note in first.manifest.notes)
        postgres.run(
            "INSERT INTO t VALUES (4, '2024-01-01 11:30+00'), (5, '2024-01-01 11:29:59+00')",
            "INSERT INTO t VALUES (6, '2024-01-01 13:00+00')",
            "UPDATE t SET at = '2024-01-01 13:01+00' WHERE id = 1",
        )
        second = freeze(extractor, tmp_path, first.state)
        assert sorted(second.column("id")) == ["1", "2", "3", "4", "6"]
        assert second.state["cursor"]["value"] == "2024-01-01T13:01:00+00:00"

    def test_a_poll_differs_after_a_late_row_and_not_before(self, postgres: Postgres, tmp_path: Path) -> None:
        postgres.run("CREATE TABLE t (id int, at timestamp)", "INSERT INTO t VALUES (1, '2024-01-01 10:00')")
        extractor = postgres.extractor(table="t", incremental=Incremental("at", timedelta(hours=1), type="timestamp"))
        first = freeze(extractor, tmp_path)
        assert extractor.poll_since(Partition(), first.state) == first.manifest.validators
        postgres.run("INSERT INTO t VALUES (2, '2024-01-01 09:30')")
        assert extractor.poll_since(Partition(), first.state) != first.manifest.validators

    def test_a_value_of_the_future_hides_nothing(self, postgres: Postgres, tmp_path: Path) -> None:
        postgres.run(
            "CREATE TABLE t (id int, at timestamptz)", "INSERT INTO t VALUES (1, '9999-01-01'), (2, 'infinity')"
        )
        extractor = postgres.extractor(table="t", incremental=Incremental("at", timedelta(hours=1)))
        first = freeze(extractor, tmp_path)
        assert datetime.fromisoformat(first.state["cursor"]["value"]) <= datetime.now(UTC)
        postgres.run("INSERT INTO t VALUES (3, now())")
        assert "3" in freeze(extractor, tmp_path, first.state).column("id")

    def test_integers_and_days_are_cursors_too(self, postgres: Postgres, tmp_path: Path) -> None:
        postgres.run("CREATE TABLE t (id bigint, d date)", "INSERT INTO t VALUES (1, '2024-01-01'), (2, '2024-01-03')")
        by_id = postgres.extractor(table="t", incremental=Incremental("id", 0, type="integer"))
        by_day = postgres.extractor(table="t", incremental=Incremental("d", timedelta(days=1), type="date"))
        for extractor in (by_id, by_day):
            assert freeze(extractor, tmp_path, freeze(extractor, tmp_path).state).column("id") == ["2"]

    def test_another_declaration_fetches_everything(self, postgres: Postgres, tmp_path: Path) -> None:
        postgres.run("CREATE TABLE t (id int, x int)", "INSERT INTO t VALUES (1, 1), (2, 2)")
        by_id = Incremental("id", 0, type="integer")
        state = freeze(postgres.extractor(table="t", columns=("id",), incremental=by_id), tmp_path).state
        assert freeze(postgres.extractor(table="t", incremental=by_id), tmp_path, state).column("id") == ["1", "2"]

    def test_a_column_of_another_type_is_refused(self, postgres: Postgres, tmp_path: Path) -> None:
        postgres.run("CREATE TABLE t (id int)")
        with pytest.raises(DeliveryError, match="'id' is integer, and declared as 'instant'"):
            freeze(postgres.extractor(table="t", incremental=Incremental("id", timedelta(hours=1))), tmp_path)
        with pytest.raises(DeliveryError, match="has no columns 'gone'"):
            freeze(postgres.extractor(table="t", incremental=Incremental("gone", timedelta(hours=1))), tmp_path)


class TestPartitions:
    DAY = Partition("2024-01-02", "", datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))

    @pytest.mark.parametrize("type_", ["timestamptz", "timestamp", "date"])
    def test_a_window_has_its_start_and_not_its_end(self, postgres: Postgres, tmp_path: Path, type_: str) -> None:
        postgres.run(
            f"CREATE TABLE t (id int, at {type_})",
            "SET timezone = 'UTC'",
            "INSERT INTO t VALUES (1, '2024-01-01'), (2, '2024-01-02'), (3, '2024-01-03'), (4, NULL)",
        )
        frozen = freeze(postgres.extractor(table="t", partition_column="at"), tmp_path, partition=self.DAY)
        assert frozen.column("id") == ["2"]
        assert "1 rows have no value in 'at', so that no partition has them." in frozen.manifest.notes

    def test_a_query_has_the_window_and_the_key(self, postgres: Postgres, tmp_path: Path) -> None:
        query = "SELECT :start::date AS a, ':end' AS b, ':end'::text AS c /* :end */, :key AS k"
        (record,) = freeze(postgres.extractor(query=query), tmp_path, partition=self.DAY).records
        assert record == {"a": "2024-01-02", "b": ":end", "c": ":end", "k": "2024-01-02"}

    def test_named_partitions_are_those_of_a_column(self, postgres: Postgres, tmp_path: Path) -> None:
        postgres.run("CREATE TABLE t (id int, shop text)", "INSERT INTO t VALUES (1, 'it''s'), (2, 'b')")
        extractor = postgres.extractor(table="t", partition_column="shop")
        assert freeze(extractor, tmp_path, partition=Partition("it's")).column("id") == ["1"]


def test_a_changed_catalogue_is_noted(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t (id int PRIMARY KEY, a numeric(10,2), b int NOT NULL, c int)")
    first = freeze(postgres.extractor(table="t"), tmp_path)
    assert freeze(postgres.extractor(table="t"), tmp_path, first.state).manifest.notes == ()
    postgres.run("ALTER TABLE t ALTER a TYPE numeric(12,2), ALTER b DROP NOT NULL, DROP c, ADD d text")
    notes = freeze(postgres.extractor(table="t"), tmp_path, first.state).manifest.notes
    assert sorted(notes) == [
        "The column 'b' in t may now be null.",
        "The type of 'a' in t was 'numeric(10,2)' and is 'numeric(12,2)'.",
        "t has a new column, 'd' (text).",
        "t no longer has the column 'c'.",
    ]


def test_the_statistics_have_rows_and_bytes(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t AS SELECT generate_series(1, 10) AS id")
    manifest = freeze(postgres.extractor(table="t"), tmp_path).manifest
    assert manifest.statistics["records"] == 10.0
    assert manifest.statistics["bytes"] == manifest.size
    assert manifest.origin == f"{postgres.url} t"
    assert manifest.name == "t.parquet"


def test_rows_are_in_row_groups_of_bounded_size(postgres: Postgres) -> None:
    postgres.run("CREATE TABLE t AS SELECT i, repeat(md5(i::text), 30) AS x FROM generate_series(1, 100000) i")
    with postgres.extractor(table="t").fetch(Partition()) as fetched:
        metadata = pq.read_metadata(fetched.stream)
    sizes = [metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)]
    assert len(sizes) > 1
    assert max(sizes) < 64 * 1024**2


def test_the_cursor_is_of_the_snapshot_of_the_rows(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.run("CREATE TABLE t (id int, at timestamptz)", "INSERT INTO t VALUES (1, '2024-01-01 10:00+00')")
    extractor = postgres.extractor(table="t", incremental=Incremental("at", timedelta(0)))
    add = ParquetFile.add

    def add_while_another_writes(self: ParquetFile, batch: pa.RecordBatch) -> None:
        postgres.run("INSERT INTO t VALUES (2, '2024-01-01 11:00+00')")
        add(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(ParquetFile, "add", add_while_another_writes)
        first = freeze(extractor, tmp_path)
    assert first.column("id") == ["1"]
    assert first.state["cursor"]["value"] == "2024-01-01T10:00:00+00:00"
    assert extractor.poll_since(Partition(), first.state) != first.manifest.validators
    assert freeze(extractor, tmp_path, first.state).column("id") == ["1", "2"]
