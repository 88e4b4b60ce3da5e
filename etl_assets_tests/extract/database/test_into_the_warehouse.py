"""From a database into the warehouse: the table has the values of the source, the quarantine what no column holds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from etl_assets import Column, Incremental, Schema
from etl_assets_tests.ingest.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets import DatabaseExtractor, ingest
    from etl_assets_tests.extract.database.conftest import Postgres, Shop

WIDE = Schema(
    columns=(
        Column("id", "integer", required=True),
        Column("amount", "decimal", precision=38, scale=9),
        Column("changed", "timestamp", zone="UTC"),
        Column("reading", "timestamp"),
        Column("day", "date"),
        Column("clock", "time"),
        Column("doc", "json"),
        Column("uid", "uuid"),
        Column("raw", "text"),
        Column("list", "text"),
        Column("word", "text"),
        Column("score", "float"),
        Column("flag", "boolean"),
        Column("small", "integer"),
    ),
    key=("id",),
)
TABLE = """
CREATE TABLE wide AS SELECT i::bigint AS id, (i * 1234567.123456789)::numeric(38,9) AS amount,
    timestamptz '2024-01-01 00:00+00' + i * interval '1.000001 s' AS changed,
    timestamp '2024-01-01' + i * interval '1 hour' AS reading, date '2024-01-01' + i AS day,
    time '00:00' + i * interval '1 minute' AS clock, jsonb_build_object('a', i, 'b', ARRAY[i]) AS doc,
    md5(i::text)::uuid AS uid, decode(md5(i::text), 'hex') AS raw, ARRAY[i, NULL, 3] AS list,
    CASE WHEN i % 7 > 0 THEN 'ž' || E'\\t"' || i END AS word, i / 3.0::float8 AS score, i % 2 = 0 AS flag,
    (i % 100)::int2 AS small FROM generate_series(1, 1000) i
"""
SOURCE_ROWS = """
SELECT id, amount, changed, reading, day, clock, doc, uid, encode(raw, 'hex'), list::text, word, score, flag, small
FROM wide WHERE isfinite(changed) AND day > '0001-01-01' AND clock < '24:00' AND amount <> 'NaN' ORDER BY id
"""


def rows_of(postgres: Postgres) -> list[tuple[Any, ...]]:
    with psycopg.connect(postgres.owner_url) as connection:
        connection.execute("SET timezone = 'UTC'")
        return connection.execute(SOURCE_ROWS).fetchall()


def world_of(url: str, folder: Path, schema: Schema, extractor: DatabaseExtractor) -> World:
    return World(url, folder, schema=schema, name="wide", extractor=extractor)


def take(world: World) -> ingest.Landed:
    """Land what has changed, and load it."""
    landed = world.land()
    world.load(landed.delivery)
    return landed


def test_a_wide_table_arrives_exactly_and_changes_follow(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    postgres.run(TABLE, "ALTER TABLE wide ADD PRIMARY KEY (id)")
    extractor = postgres.extractor(table="public.wide", incremental=Incremental("changed", timedelta(minutes=5)))
    world = world_of(migrated_url, tmp_path, WIDE, extractor)
    assert take(world).delivery.manifest.records == 1000
    assert world.rows() == rows_of(postgres)
    postgres.run(
        "UPDATE wide SET word = 'changed', changed = changed + interval '1 hour' WHERE id = 5",
        "UPDATE wide SET word = 'late, within the overlap' WHERE id = 990",
        "INSERT INTO wide (id, changed) VALUES (2000, '2024-01-01 00:13+00'), (2001, NULL)",
    )
    later = take(world).delivery
    assert later.manifest.records < 400
    assert any("1 rows have no value in 'changed'" in note for note in later.manifest.notes)
    with psycopg.connect(postgres.owner_url) as connection:
        expected = connection.execute("SELECT id, word FROM wide ORDER BY id").fetchall()
    assert world.query("SELECT id, word FROM core.wide ORDER BY id") == expected
    assert world.violations() == []


def test_values_that_no_column_can_hold_are_rejected_and_all_others_arrive(
    postgres: Postgres, migrated_url: str, tmp_path: Path
) -> None:
    postgres.run(
        TABLE,
        "UPDATE wide SET amount = 'NaN' WHERE id = 10",
        "UPDATE wide SET changed = 'infinity' WHERE id = 20",
        "UPDATE wide SET day = '0044-03-15 BC' WHERE id = 30",
        "UPDATE wide SET clock = '24:00' WHERE id = 40",
    )
    world = world_of(migrated_url, tmp_path, WIDE, postgres.extractor(table="wide"))
    take(world)
    broken = {tuple(record.rules) for record in world.waiting()}
    assert broken == {("amount__type",), ("changed__type",), ("day__type",), ("clock__type",)}
    assert len(world.rows()) == 996
    assert world.rows() == rows_of(postgres)
    assert world.violations() == []


def test_the_same_rows_are_the_same_delivery(postgres: Postgres, migrated_url: str, tmp_path: Path) -> None:
    postgres.run(TABLE)
    world = world_of(migrated_url, tmp_path, WIDE, postgres.extractor(table="wide"))
    assert [take(world).new for _ in range(2)] == [True, False]


def test_a_table_that_became_empty_is_a_delivery_without_records(
    postgres: Postgres, migrated_url: str, tmp_path: Path
) -> None:
    postgres.run(TABLE)
    world = world_of(migrated_url, tmp_path, WIDE, postgres.extractor(table="wide"))
    take(world)
    postgres.run("TRUNCATE wide")
    assert take(world).delivery.manifest.records == 0
    assert len(world.rows()) == 1000


def test_mariadb_arrives_exactly(shop: Shop, migrated_url: str, tmp_path: Path) -> None:
    shop.run(
        "CREATE TABLE wide (id BIGINT UNSIGNED PRIMARY KEY, amount DECIMAL(38,9), changed TIMESTAMP(6) NULL, day DATE, "
        "doc JSON, raw BLOB, yes TINYINT(1))",
        "SET time_zone = '+00:00'",
        "INSERT INTO wide SELECT seq, seq * 1234567.123456789, "
        "TIMESTAMPADD(MICROSECOND, seq * 1000001, '2024-01-01'), "
        "DATE_ADD('2024-01-01', INTERVAL seq DAY), CONCAT('{\"a\": ', seq, '}'), UNHEX(MD5(seq)), seq % 2 "
        "FROM seq_1_to_500",
        "UPDATE wide SET day = '0000-00-00' WHERE id = 7",
    )
    schema = Schema(
        columns=(
            Column("id", "integer", required=True),
            Column("amount", "decimal", precision=38, scale=9),
            Column("changed", "timestamp", zone="UTC"),
            Column("day", "date"),
            Column("doc", "json"),
            Column("raw", "text"),
            Column("yes", "boolean", true=("1",), false=("0",)),
        ),
        key=("id",),
    )
    world = world_of(migrated_url, tmp_path, schema, shop.extractor(table="wide"))
    take(world)
    columns = "id, CAST(amount AS CHAR), CAST(changed AS CHAR), CAST(day AS CHAR), LOWER(HEX(raw)), yes"
    expected = shop.server.run(
        shop.name, "SET time_zone = '+00:00'", f"SELECT {columns} FROM wide WHERE id <> 7 ORDER BY id"
    )
    arrived = world.query(
        "SELECT id, amount::text, to_char(changed AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), day::text, raw, "
        "yes::int FROM core.wide ORDER BY id"
    )
    assert arrived == list(expected)
    assert [tuple(record.rules) for record in world.waiting()] == [("day__type",)]


@pytest.mark.parametrize("column", [Column("price", "text"), Column("price", "decimal", scale=2)], ids=str)
def test_money_is_read_as_text_and_as_a_number(
    postgres: Postgres, migrated_url: str, tmp_path: Path, column: Column
) -> None:
    postgres.run("CREATE TABLE t (id int, price money)", "INSERT INTO t VALUES (1, '1234.50')")
    schema = Schema(columns=(Column("id", "integer", required=True), column), key=("id",))
    world = world_of(migrated_url, tmp_path, schema, postgres.extractor(table="t"))
    take(world)
    assert [str(row[1]) for row in world.rows()] == ["1234.50"]


def test_a_type_that_changes_in_the_catalogue_is_drift_until_it_changes_back(
    postgres: Postgres, migrated_url: str, tmp_path: Path
) -> None:
    postgres.run("CREATE TABLE t (id int PRIMARY KEY, price numeric(10,2) NOT NULL)", "INSERT INTO t VALUES (1, 2)")
    schema = Schema(columns=(Column("id", "integer", required=True), Column("price", "decimal", scale=2)), key=("id",))
    world = world_of(migrated_url, tmp_path, schema, postgres.extractor(table="t"))
    question = "SELECT kind, subject, status, detail ->> 'before', detail ->> 'after' FROM etl.drift ORDER BY id"
    take(world)
    assert world.query(question) == []
    former, wider = "numeric(10,2) not null", "numeric(12,2) not null"
    postgres.run("ALTER TABLE t ALTER price TYPE numeric(12,2)")
    take(world)
    assert world.query(question) == [("catalogue", "price", "open", former, wider)]
    postgres.run("ALTER TABLE t ALTER price DROP NOT NULL")
    take(world)
    assert world.query(question) == [("catalogue", "price", "open", former, "numeric(12,2)")]
    postgres.run("ALTER TABLE t ALTER price TYPE numeric(10,2), ALTER price SET NOT NULL")
    take(world)
    assert world.query(question) == [("catalogue", "price", "resolved", former, "numeric(12,2)")]
    assert world.violations() == []
