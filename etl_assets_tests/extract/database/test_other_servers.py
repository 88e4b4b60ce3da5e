"""SQL Server and Oracle, of which there is no server here: the SQL that they are sent, and the types that come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from etl_assets import DatabaseExtractor, Incremental, Partition
from etl_assets.errors import DeliveryError, DeliveryUnreachableError
from etl_assets.extract.database.catalogue import CatalogueColumn
from etl_assets.extract.database.dialects.oracle import OracleDialect, type_of
from etl_assets.extract.database.dialects.sqlserver import SqlserverDialect
from etl_assets.extract.database.reading import UnfitError
from etl_assets.extract.database.statement import Selection
from etl_assets.extract.database.texts import column_of
from etl_assets_tests.extract.database.frozen import freeze

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.extract.database.dialects.base import Dialect

DAY = Partition("2024-01-02", "", datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))


def rows(
    dialect: Dialect, extractor: DatabaseExtractor, *columns: tuple[str, str], since: datetime | None = None
) -> str:
    """Return the statement that reads the rows of a partition."""
    selection = Selection(dialect, extractor, DAY)
    readings = [dialect.reading(CatalogueColumn(name, type_), ()) for name, type_ in columns]
    return selection.rows(readings, selection.conditions(since, nullable=True))


def test_sql_server_is_asked_for_exact_texts() -> None:
    extractor = DatabaseExtractor(
        "mssql://db.example/shop",
        table="dbo.Order]s",
        partition_column="day",
        incremental=Incremental("at", timedelta(hours=1)),
    )
    since = datetime(2024, 1, 1, 12, tzinfo=UTC)
    columns = (
        ("id", "bigint"),
        ("price", "decimal(38,9)"),
        ("coins", "money"),
        ("day", "date"),
        ("at", "datetimeoffset(3)"),
    )
    assert rows(SqlserverDialect(), extractor, *columns, since=since) == (
        "SELECT [id] AS [id], CONVERT(varchar(50), [price]) AS [price], CONVERT(varchar(50), [coins], 2) AS [coins], "
        "CONVERT(varchar(10), [day], 23) AS [day], "
        "CASE WHEN RIGHT(CONVERT(varchar(27), CAST(SWITCHOFFSET([at], '+00:00') AS datetime2(7)), 121), 8) LIKE "
        "'.______0' THEN LEFT(CONVERT(varchar(27), CAST(SWITCHOFFSET([at], '+00:00') AS datetime2(7)), 121), "
        "LEN(CONVERT(varchar(27), CAST(SWITCHOFFSET([at], '+00:00') AS datetime2(7)), 121)) - 1) ELSE "
        "CONVERT(varchar(27), CAST(SWITCHOFFSET([at], '+00:00') AS datetime2(7)), 121) END AS [at] "
        "FROM [dbo].[Order]]s] q WHERE "
        "[day] >= CAST('2024-01-02T00:00:00.000000+00:00' AS datetimeoffset(6)) AND "
        "[day] < CAST('2024-01-03T00:00:00.000000+00:00' AS datetimeoffset(6)) AND "
        "([at] >= CAST('2024-01-01T12:00:00.000000+00:00' AS datetimeoffset(6)) OR [at] IS NULL)"
    )


def test_a_query_of_sql_server_has_its_key_as_a_text() -> None:
    extractor = DatabaseExtractor("mssql://db.example/shop", query="SELECT x FROM t WHERE k = :key;")
    assert rows(SqlserverDialect(), extractor, ("x", "nvarchar(max)")) == (
        "SELECT CONVERT(nvarchar(max), [x]) AS [x] FROM (SELECT x FROM t WHERE k = N'2024-01-02'\n) q"
    )


@pytest.mark.parametrize(
    ("type_", "expression", "in_file"),
    [
        ("bit", "[c]", pa.bool_()),
        ("float", "[c]", pa.float64()),
        ("smallmoney", "CONVERT(varchar(50), [c], 2)", pa.decimal128(10, 4)),
        ("datetime", "CONVERT(varchar(23), [c], 121)", pa.timestamp("us")),
        ("uniqueidentifier", "LOWER(CONVERT(char(36), [c]))", pa.string()),
        ("varbinary(max)", "CONVERT(varbinary(max), [c])", pa.binary()),
        ("timestamp", "CONVERT(varbinary(max), [c])", pa.binary()),
        ("varchar(20)", "CONVERT(nvarchar(max), [c])", pa.string()),
        ("xml", "CONVERT(nvarchar(max), [c])", pa.string()),
        ("geography", "[c].ToString()", pa.string()),
    ],
)
def test_a_column_of_sql_server_is_read(type_: str, expression: str, in_file: pa.DataType) -> None:
    reading = SqlserverDialect().reading(CatalogueColumn("c", type_), ())
    assert (reading.expression, reading.type) == (expression, in_file)


def test_oracle_is_asked_for_exact_texts() -> None:
    extractor = DatabaseExtractor(
        "oracle://db.example/?service_name=shop",
        table="SHOP.ORDERS",
        partition_column="DAY",
        incremental=Incremental("AT", timedelta(hours=1), type="timestamp"),
        order_by=("ID",),
    )
    columns = (("ID", "NUMBER(10,0)"), ("PRICE", "NUMBER(12,2)"), ("DAY", "DATE"), ("AT", "TIMESTAMP(6)"))
    assert rows(OracleDialect(), extractor, *columns, since=datetime(2024, 1, 1, 12)) == (  # noqa: DTZ001 -- no zone
        "SELECT TO_CHAR(\"ID\", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') AS \"ID\", "
        "TO_CHAR(\"PRICE\", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''') AS \"PRICE\", "
        'LTRIM(TO_CHAR("DAY", \'SYYYY-MM-DD HH24:MI:SS\')) AS "DAY", '
        "RTRIM(RTRIM(LTRIM(TO_CHAR(\"AT\", 'SYYYY-MM-DD HH24:MI:SS.FF9')), '0'), '.') AS \"AT\" "
        'FROM "SHOP"."ORDERS" q WHERE '
        "\"DAY\" >= TIMESTAMP '2024-01-02 00:00:00.000000 +00:00' AND "
        "\"DAY\" < TIMESTAMP '2024-01-03 00:00:00.000000 +00:00' AND "
        '("AT" >= TIMESTAMP \'2024-01-01 12:00:00.000000\' OR "AT" IS NULL) ORDER BY q."ID"'
    )


@pytest.mark.parametrize(
    ("type_", "expression", "in_file"),
    [
        ("NUMBER", "TO_CHAR(\"C\", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')", pa.string()),
        ("NUMBER(38,0)", "TO_CHAR(\"C\", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')", pa.decimal128(38, 0)),
        ("NUMBER(18,0)", "TO_CHAR(\"C\", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')", pa.int64()),
        ("BINARY_DOUBLE", '"C"', pa.float64()),
        ("CLOB", '"C"', pa.string()),
        ("RAW(16)", '"C"', pa.binary()),
        ("XMLTYPE", 'XMLSERIALIZE(CONTENT "C" AS CLOB)', pa.string()),
        ("INTERVAL_DS", 'TO_CHAR("C")', pa.string()),
    ],
)
def test_a_column_of_oracle_is_read(type_: str, expression: str, in_file: pa.DataType) -> None:
    reading = OracleDialect().reading(CatalogueColumn("C", type_), ())
    assert (reading.expression, reading.type) == (expression, in_file)


def test_an_instant_of_oracle_is_in_utc() -> None:
    reading = OracleDialect().reading(CatalogueColumn("C", "TIMESTAMP(6) WITH TIME ZONE"), ())
    assert "SYS_EXTRACT_UTC" in reading.expression
    assert reading.type == pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    ("name", "precision", "scale", "type_"),
    [
        ("DB_TYPE_NUMBER", 12, 2, "NUMBER(12,2)"),
        ("DB_TYPE_NUMBER", 0, -127, "NUMBER"),
        ("DB_TYPE_NUMBER", 10, -2, "NUMBER"),
        ("DB_TYPE_VARCHAR", 0, 0, "VARCHAR2(20)"),
        ("DB_TYPE_TIMESTAMP_TZ", 0, 6, "TIMESTAMP(6) WITH TIME ZONE"),
        ("DB_TYPE_DATE", 0, 0, "DATE"),
    ],
)
def test_a_type_of_oracle_is_that_of_its_catalogue(name: str, precision: int, scale: int, type_: str) -> None:
    about = SimpleNamespace(
        type_code=SimpleNamespace(name=name), precision=precision, scale=scale, display_size=20, internal_size=20
    )
    assert type_of(about) == type_


def test_texts_become_values_or_do_not_fit() -> None:
    instant = SqlserverDialect().reading(CatalogueColumn("c", "datetimeoffset(7)"), ())
    (moment,) = column_of(["2024-01-02 03:04:05.123456"], instant).to_pylist()
    assert moment == datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    with pytest.raises(UnfitError):
        column_of(["2024-01-02 03:04:05.1234567"], instant)
    number = OracleDialect().reading(CatalogueColumn("C", "NUMBER(12,2)"), ())
    assert [str(value) for value in column_of([".5", "-1"], number).to_pylist()] == ["0.50", "-1.00"]


@pytest.mark.parametrize("url", ["mssql://127.0.0.1:1/shop", "oracle://127.0.0.1:1/shop"])
def test_a_server_that_does_not_answer_is_unreachable(url: str, tmp_path: Path) -> None:
    with pytest.raises(DeliveryError) as raised:
        freeze(DatabaseExtractor(url, table="t"), tmp_path)
    assert isinstance(raised.value, DeliveryUnreachableError), raised.value
