"""The SQL for dialects of SQLAlchemy, and databases that nothing is known of."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql, registry, sqlite
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.default import DefaultDialect

from etl_assets import DatabaseExtractor, Partition
from etl_assets.errors import DeliveryError
from etl_assets.extract.database.dialects.sqlalchemy_engine import SqlalchemyDialect
from etl_assets.extract.database.python_values import text_of, texts_of
from etl_assets_tests.extract.database.frozen import freeze

if TYPE_CHECKING:
    from pathlib import Path

INSTANT = datetime(2024, 1, 31, 12, tzinfo=UTC)
TIMESTAMP = datetime(2024, 1, 31, 12, 0, 0, 5)  # noqa: DTZ001 -- without a zone


class Unheard(SQLiteDialect_pysqlite):
    """A dialect of a name that nothing is known of, whose driver is that of SQLite."""

    name = "unheard"
    supports_statement_cache = True


registry.register("unheard", __name__, "Unheard")


def own(module: Any) -> Any:
    return module.dialect()


def named(name: str) -> Any:
    dialect = DefaultDialect()
    dialect.name = name
    return dialect


@pytest.mark.parametrize(
    ("dialect", "instant", "timestamp", "day"),
    [
        (own(postgresql), "'2024-01-31 12:00:00+00:00'", "'2024-01-31 12:00:00.000005'", "'2024-01-31'"),
        (own(mssql), "'2024-01-31 12:00:00+00:00'", "'2024-01-31 12:00:00.000005'", "'2024-01-31'"),
        (own(mysql), "'2024-01-31 12:00:00'", "'2024-01-31 12:00:00.000005'", "'2024-01-31'"),
        (own(sqlite), "'2024-01-31 12:00:00.000000'", "'2024-01-31 12:00:00.000005'", "'2024-01-31'"),
        (
            own(oracle),
            "TIMESTAMP '2024-01-31 12:00:00.000000 +00:00'",
            "TIMESTAMP '2024-01-31 12:00:00.000005'",
            "TO_DATE('2024-01-31', 'YYYY-MM-DD')",
        ),
        (
            named("trino"),
            "TIMESTAMP '2024-01-31 12:00:00.000000 UTC'",
            "TIMESTAMP '2024-01-31 12:00:00.000005'",
            "DATE '2024-01-31'",
        ),
        (named("other"), "'2024-01-31 12:00:00+00:00'", "'2024-01-31 12:00:00.000005'", "'2024-01-31'"),
        (named("clickhouse"), "'2024-01-31 12:00:00'", "'2024-01-31 12:00:00.000005'", "'2024-01-31'"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_moments_are_literals_of_the_dialect(dialect: Any, instant: str, timestamp: str, day: str) -> None:
    sql = SqlalchemyDialect(dialect)
    assert [sql.literal(value) for value in (INSTANT, TIMESTAMP, date(2024, 1, 31), 7)] == [
        *(instant, timestamp, day),
        "7",
    ]


@pytest.mark.parametrize(
    ("dialect", "name", "text"),
    [
        (own(postgresql), '"a""b`c]%"', r"'it''s 100%% \'"),
        (own(mysql), '`a"b``c]%`', r"'it''s 100%% \\'"),
        (own(mssql), '[a"b`c]]%]', r"'it''s 100%% \'"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_names_and_texts_are_quoted_as_the_dialect_does_without_doubled_percent_signs(
    dialect: Any, name: str, text: str
) -> None:
    sql = SqlalchemyDialect(dialect)
    assert (sql.quote('a"b`c]%'), sql.literal("it's 100%% \\")) == (name, text)


def test_of_an_unknown_database_the_rows_are_of_one_statement_and_a_backslash_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE t (id INTEGER, shop TEXT)")
        connection.execute("INSERT INTO t VALUES (1, 'a'), (2, 'it''s')")
    connection.close()
    extractor = DatabaseExtractor(f"unheard:///{tmp_path}/a.db", table="t", partition_column="shop")
    frozen = freeze(extractor, tmp_path, partition=Partition("it's"))
    assert frozen.column("id") == ["2"]
    assert "No snapshot is known for databases of 'unheard'" in frozen.manifest.notes[0]
    with pytest.raises(DeliveryError, match="has a backslash"):
        freeze(extractor, tmp_path, partition=Partition("a\\"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("x", "x"),
        (True, "true"),
        (2**70, str(2**70)),
        (1.5, "1.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (3.0, "3"),
        (float("-inf"), "-Infinity"),
        (Decimal("1.500"), "1.500"),
        (Decimal("NaN"), "NaN"),
        (Decimal("1E+3"), "1000"),
        (b"\x00\xff", "00ff"),
        (memoryview(b"\x01"), "01"),
        (date(2024, 2, 29), "2024-02-29"),
        (TIMESTAMP, "2024-01-31 12:00:00.000005"),
        (INSTANT, "2024-01-31 12:00:00+00:00"),
        (time(8, 5), "08:05:00"),
        (timedelta(seconds=1), "1000000 us"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (ip_address("10.0.0.1"), "10.0.0.1"),
        ([1, None, Decimal("1.50")], "[1,null,1.50]"),
        ({"a": 2**70, "b": [True]}, '{"a":1180591620717411303424,"b":[true]}'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_objects_of_python_have_one_notation(value: Any, text: str | None) -> None:
    assert text_of(value) == text


def test_durations_of_databases_whose_times_they_are_are_times() -> None:
    values = [timedelta(0), timedelta(hours=-838, minutes=-59), timedelta(seconds=1, microseconds=500_000), None]
    assert texts_of(values, "t", clocks=True).to_pylist() == ["00:00:00", "-838:59:00", "00:00:01.5", None]


def test_an_object_without_a_notation_is_refused_without_showing_it() -> None:
    for value, why in ((object(), "a object"), ("\ud800", "no Unicode|not Unicode"), ({1, 2}, "a set")):
        with pytest.raises(DeliveryError, match=f"'c' has .*(?:{why}).*Nothing was written"):
            texts_of([value], "c")
