"""PostgreSQL by drivers of SQLAlchemy: the values, windows and changes are those of the native session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets import DatabaseExtractor, Incremental, Partition
from etl_assets.errors import DeliveryError
from etl_assets.extract.database.address import address_of
from etl_assets.extract.database.connecting import connect
from etl_assets_tests.extract.database.frozen import freeze
from etl_assets_tests.extract.database.test_databases_conform import CHANGED, DatabaseSuite
from etl_assets_tests.extract.database.test_databases_conform import TABLE as SMALL
from etl_assets_tests.extract.database.test_into_the_warehouse import TABLE, WIDE, rows_of, take, world_of
from etl_assets_tests.extract.database.test_postgresql import TYPES, wide

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets_tests.extract.database.conftest import Postgres

DRIVERS = ("psycopg2", "psycopg")
WRITTEN_BY_DRIVERS = {
    "single": "0.1",  # of a float with its own digits
    "twice": "0.1",
    "range_": None,  # refused, below
    "list": "[[1,2],[3,null]]",
    "shifted": "[1,2]",
    "coins": "$1,234.50",
    "net": "10.0.0.1/8",
}
DAY = Partition("2024-01-02", "", datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))


def extractor_of(postgres: Postgres, driver: str = "psycopg2", **declared: Any) -> DatabaseExtractor:
    url = postgres.url.replace("postgresql://", f"postgresql+{driver}://")
    return DatabaseExtractor(url, **{"access": postgres.access} | declared)


class TestSuite(DatabaseSuite):
    @pytest.fixture
    def extractor(self, postgres: Postgres) -> DatabaseExtractor:
        postgres.run(*SMALL)
        return extractor_of(postgres, table="t", partition_column="changed", incremental=CHANGED)


@pytest.mark.parametrize("driver", DRIVERS)
def test_each_value_is_the_text_that_the_native_session_reads(postgres: Postgres, tmp_path: Path, driver: str) -> None:
    postgres.run(*wide())
    expected = {name: WRITTEN_BY_DRIVERS.get(name, text) for name, (_, _, text, _) in TYPES.items()}
    del expected["range_"]
    frozen = freeze(extractor_of(postgres, driver, table="public.wide", columns=tuple(expected)), tmp_path)
    assert frozen.records == [expected]
    assert set(frozen.types.values()) == {"text"}


@pytest.mark.parametrize("driver", DRIVERS)
def test_values_that_pythons_types_lack_are_kept(postgres: Postgres, tmp_path: Path, driver: str) -> None:
    postgres.run(
        "CREATE TABLE odd (d date, ts timestamp, tz timestamptz, t time, n numeric, f float8, ds date[])",
        "INSERT INTO odd VALUES ('infinity', '-infinity', 'infinity', '24:00', 'NaN', 'inf', '{infinity,NULL}')",
        "INSERT INTO odd VALUES ('0044-03-15 BC', '20000-01-01', '2024-01-01 10:00+02', '10:00', 1e-20, 1e-7)",
    )
    frozen = freeze(extractor_of(postgres, driver, table="odd"), tmp_path)
    assert frozen.column("d") == ["infinity", "0044-03-15 BC"]
    assert frozen.column("ts") == ["-infinity", "20000-01-01 00:00:00"]
    assert frozen.column("tz") == ["infinity", "2024-01-01 08:00:00+00:00"]
    assert frozen.column("t") == ["24:00:00", "10:00:00"]
    assert frozen.column("n") == ["NaN", "0.00000000000000000001"]
    assert frozen.column("f") == ["Infinity", "0.0000001"]
    assert frozen.column("ds") == ['["infinity",null]', None]


def test_an_object_without_a_notation_is_refused_by_its_class(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t (r int4range)", "INSERT INTO t VALUES ('[1,5]')")
    with pytest.raises(DeliveryError, match=r"'r' has a value that is a NumericRange.*SELECT CAST"):
        freeze(extractor_of(postgres, table="t"), tmp_path)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_table_arrives_in_the_warehouse_as_by_the_native_session(
    postgres: Postgres, migrated_url: str, tmp_path: Path, driver: str
) -> None:
    postgres.run(TABLE, "ALTER TABLE wide ADD PRIMARY KEY (id)")
    names = "id, amount, changed, reading, day, clock, doc, uid, raw, word, score, flag, small"
    query = f"SELECT {names}, list::text AS list FROM wide"
    changed = Incremental("changed", timedelta(minutes=5))
    world = world_of(migrated_url, tmp_path, WIDE, extractor_of(postgres, driver, query=query, incremental=changed))
    assert take(world).delivery.manifest.records == 1000
    assert world.rows() == rows_of(postgres)
    postgres.run(
        "UPDATE wide SET word = 'late, within the overlap' WHERE id = 990",
        "INSERT INTO wide (id, changed) VALUES (2000, '2024-01-01 00:30+00')",
    )
    assert 2 < take(world).delivery.manifest.records < 1000
    assert len(world.rows()) == 1001


@pytest.mark.parametrize("driver", DRIVERS)
def test_json_keeps_its_digits(postgres: Postgres, tmp_path: Path, driver: str) -> None:
    query = "SELECT '{\"a\": 12345678901234567890.5}'::jsonb AS j, '{\"b\":  1}'::json AS k"
    frozen = freeze(extractor_of(postgres, driver, query=query), tmp_path)
    assert frozen.records == [{"j": '{"a": 12345678901234567890.5}', "k": '{"b":  1}'}]


def test_names_and_queries_with_percents_colons_and_quotes_are_not_changed(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run(
        'CREATE SCHEMA "Sche.ma"',
        'CREATE TABLE "Sche.ma"."or""der" ("select" int, "a""b" int, "ü 100%" int, ":x" text)',
        """INSERT INTO "Sche.ma"."or""der" VALUES (1, 2, 3, '%s :y')""",
    )
    table = freeze(extractor_of(postgres, table='"Sche.ma"."or""der"'), tmp_path)
    assert table.records == [{"select": "1", 'a"b': "2", "ü 100%": "3", ":x": "%s :y"}]
    query = "SELECT '%d %% :x'::text AS \"100%\" WHERE 'a%b' LIKE 'a%'"
    assert freeze(extractor_of(postgres, query=query), tmp_path).records == [{"100%": "%d %% :x"}]


def test_the_catalogue_has_the_types_of_the_table(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t (id bigint NOT NULL, price numeric(10,2), p point)")
    first = freeze(extractor_of(postgres, table="t"), tmp_path)
    assert [*first.state["_catalogue"][0], *first.state["_catalogue"][1]] == [
        *("id", "BIGINT", False),
        *("price", "NUMERIC(10, 2)", True),
    ]
    postgres.run("ALTER TABLE t ALTER price TYPE numeric(12,2), ALTER id DROP NOT NULL")
    assert sorted(freeze(extractor_of(postgres, table="t"), tmp_path, first.state).manifest.notes) == [
        "The column 'id' in t may now be null.",
        "The type of 'price' in t was 'NUMERIC(10, 2)' and is 'NUMERIC(12, 2)'.",
    ]


@pytest.mark.parametrize("driver", DRIVERS)
def test_changes_and_late_rows_within_the_overlap_are_fetched(postgres: Postgres, tmp_path: Path, driver: str) -> None:
    postgres.run(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamptz)",
        "INSERT INTO t VALUES (1, '2024-01-01 10:00+00'), (2, '2024-01-01 12:00+00'), (3, NULL)",
    )
    extractor = extractor_of(postgres, driver, table="t", incremental=Incremental("at", timedelta(minutes=30)))
    first = freeze(extractor, tmp_path)
    assert first.state["cursor"]["value"] == "2024-01-01T12:00:00+00:00"
    assert extractor.poll_since(Partition(), first.state) == first.manifest.validators
    postgres.run("INSERT INTO t VALUES (4, '2024-01-01 11:30+00'), (5, '2024-01-01 11:29:59+00')")
    assert extractor.poll_since(Partition(), first.state) != first.manifest.validators
    second = freeze(extractor, tmp_path, first.state)
    assert sorted(second.column("id")) == ["2", "3", "4"]


def test_integers_and_days_are_cursors_too(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t (id bigint, d date)", "INSERT INTO t VALUES (1, '2024-01-01'), (2, '2024-01-03')")
    by_id = extractor_of(postgres, table="t", incremental=Incremental("id", 0, type="integer"))
    by_day = extractor_of(postgres, table="t", incremental=Incremental("d", timedelta(days=1), type="date"))
    for extractor in (by_id, by_day):
        assert freeze(extractor, tmp_path, freeze(extractor, tmp_path).state).column("id") == ["2"]


@pytest.mark.parametrize("type_", ["timestamptz", "timestamp", "date"])
def test_a_window_has_its_start_and_not_its_end(postgres: Postgres, tmp_path: Path, type_: str) -> None:
    postgres.run(
        f"CREATE TABLE t (id int, at {type_})",
        "SET timezone = 'UTC'",
        "INSERT INTO t VALUES (1, '2024-01-01'), (2, '2024-01-02'), (3, '2024-01-03'), (4, NULL)",
    )
    frozen = freeze(extractor_of(postgres, table="t", partition_column="at"), tmp_path, partition=DAY)
    assert frozen.column("id") == ["2"]
    assert "1 rows have no value in 'at', so that no partition has them." in frozen.manifest.notes


def test_named_partitions_are_values_and_never_sql(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run("CREATE TABLE t (id int, shop text)", r"INSERT INTO t VALUES (1, 'it''s 100%\'), (2, 'b')")
    extractor = extractor_of(postgres, table="t", partition_column="shop")
    assert freeze(extractor, tmp_path, partition=Partition("it's 100%\\")).column("id") == ["1"]


def test_a_session_is_one_snapshot_that_only_reads(postgres: Postgres, tmp_path: Path) -> None:
    postgres.run(
        "CREATE TABLE t (id int)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); RETURN 1; END $$",
    )
    extractor = extractor_of(postgres, query="SELECT f() AS x")
    with connect(address_of(extractor.url, "x"), postgres.access) as session:
        assert (session.row("SELECT count(*) FROM t"), session.notes) == ((0,), [])
        postgres.run("INSERT INTO t VALUES (2)")
        assert session.row("SELECT count(*) FROM t") == (0,)
    with pytest.raises(DeliveryError):
        freeze(extractor, tmp_path)


FETCH = """
import json, resource, sys
from etl_assets import Database, DatabaseExtractor, Partition, Secret

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

url, user, rows = sys.argv[1:]
access = Database(user, Secret("SHOP_PASSWORD")) if user else Database()
query = "SELECT i, repeat(md5(i::text), 30) AS x FROM generate_series(1, {}) i"
for count in (40000, int(rows)):
    with DatabaseExtractor(url, query=query.format(count), access=access).fetch(Partition()) as fetched:
        print(json.dumps([fetched.statistics["records"], peak()]))
"""


@pytest.mark.parametrize("driver", DRIVERS)
def test_memory_does_not_depend_on_the_number_of_rows(postgres: Postgres, driver: str) -> None:
    rows = 250_000
    command = [
        sys.executable,
        "-c",
        FETCH,
        extractor_of(postgres, driver).url,
        postgres.access.user,
        str(rows),
    ]
    printed = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True).stdout
    (_, before), (records, after) = map(json.loads, printed.splitlines())
    assert records == rows  # 240 MB
    assert after - before < 80
