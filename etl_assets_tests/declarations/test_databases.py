"""Mistakes in the arguments of extractors of databases."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import DeclarationError
from etl_assets_tests.declarations.mistakes import E, assert_refused, source, tabled

if TYPE_CHECKING:
    from collections.abc import Callable

    from etl_assets_tests.declarations.mistakes import Mistake

DAYS: Any = E.Daily(date(2024, 1, 1))
NAMES: Any = E.Static(("a", "b"))
URL = "postgresql://db.example:5432/shop"


def declared(url: Any = URL, partitions: Any = None, **changes: Any) -> Callable[[], object]:
    """Return a function that declares the source ``feed`` with an extractor of a table."""
    what = {} if {"table", "query"} & set(changes) else {"table": "orders"}
    return lambda: source(extractor=E.DatabaseExtractor(url, **what, **changes), partitions=partitions)


def access(**arguments: Any) -> Callable[[], object]:
    return lambda: E.Database(**arguments)


def queried(query: str, partitions: Any = None, **more: Any) -> Callable[[], object]:
    return declared(query=query, partitions=partitions, **more)


def compared(**more: Any) -> Callable[[], object]:
    """Return a function that declares a source whose keys are compared."""
    return lambda: source(extractor=E.DatabaseExtractor(URL, table="orders", key_comparison=COMPARED), **more)


class Upper(E.Transformer):  # type: ignore[misc]
    def transform(self, rows: Any) -> Any:
        return rows


class Lenient(E.RuleValidator):  # type: ignore[misc]
    """Reads some cells otherwise."""


COMPARED: Any = E.KeyComparison(timedelta(days=1))
LATER: Any = E.Incremental("at", timedelta(hours=1))
MISTAKES: dict[str, Mistake] = {
    "no url": (declared("orders"), "url", "Write a URL that begins with one of"),
    "an address of the web": (declared("https://host/shop"), "url", "a dialect of SQLAlchemy"),
    "a name that no dialect can have": (declared("my-db://host/shop"), "url", "a dialect of SQLAlchemy"),
    "another name of PostgreSQL": (declared("postgres://host/shop"), "url", "Write postgresql://"),
    "a login in the url of another database": (
        declared("snowflake://me:secret@account/shop"),
        "url",
        "access=Database(user=",
    ),
    "a password in the query of another database": (
        declared("trino://host/shop?password=secret"),
        "url",
        "access=Database(user=",
    ),
    "a token in the query of another database": (
        declared("databricks://host/shop?access_token=secret"),
        "url",
        "access=Database(user=",
    ),
    "a login in a connection string": (
        declared("mssql+pyodbc://?odbc_connect=DSN%3Dshop%3BUID%3Dme%3BPWD%3Dsecret"),
        "url",
        "access=Database(user=",
    ),
    "a port that is none of another database": (declared("trino://host:x/shop"), "url", "dialect+driver://"),
    "certificates for a driver of SQLAlchemy": (
        declared("postgresql+psycopg2://host/shop", access=E.Database("me", ca_file="ca.pem")),
        "access",
        "into the query of the URL",
    ),
    "tls for a driver of SQLAlchemy": (
        declared("trino://host/shop", access=E.Database("me", tls=False)),
        "access",
        "into the query of the URL",
    ),
    "no time for a driver of SQLAlchemy": (
        declared("trino://host/shop", access=E.Database(deadline=0)),
        "deadline",
        "Write seconds",
    ),
    "a login in the url": (declared("postgresql://me:secret@host/shop"), "url", "access=Database(user="),
    "a user in the url": (declared("mysql://me@host/shop"), "url", "access=Database(user="),
    "a password in the query of the url": (declared(f"{URL}?password=secret"), "url", "host=… alone may be there"),
    "an option of the driver": (declared("mssql://host/shop?timeout=1"), "url", "Leave out all that follows"),
    "no database": (declared("postgresql://host"), "url", "postgresql://host:5432/database"),
    "no host": (declared("mysql:///shop"), "url", "Write both"),
    "a port that is none": (declared("postgresql://host:x/shop"), "url", "postgresql://host:5432/database"),
    "a file with two slashes": (declared("sqlite://shop.db"), "url", "sqlite:///folder/file.db"),
    "a database in memory": (declared("duckdb:///:memory:"), "url", "duckdb:///folder/file.db"),
    "a login for a file": (declared("sqlite:///a.db", access=E.Database("me")), "access", "Leave the login out"),
    "certificates that are not verified": (
        declared("mssql://host/shop", access=E.Database("me", ca_file="ca.pem")),
        "access",
        "Leave it out",
    ),
    "table and query": (declared(table="a", query="SELECT 1"), "table", "Write one of them"),
    "neither table nor query": (declared(table=""), "table", "Write one of them"),
    "a table with an empty part": (declared(table="a..b"), "table", "Write schema.table"),
    "a table with an open quote": (declared(table='a."b'), "table", "Write schema.table"),
    "a table with four parts": (declared(table="a.b.c.d"), "table", "Write schema.table"),
    "a table with a NUL": (declared(table="a\0"), "table", "Leave it out"),
    "a statement that writes": (declared(query="DELETE FROM t"), "query", "begins with SELECT or WITH"),
    "a column twice": (declared(columns=("a", "a")), "columns", "Name each once"),
    "an order without a name": (declared(order_by=("",)), "order_by", "Name each once"),
    "columns without the incremental one": (
        declared(columns=("id",), incremental=LATER),
        "columns",
        "Name it too",
    ),
    "an overlap of another kind": (
        declared(incremental=E.Incremental("id", timedelta(1), type="integer")),
        "overlap",
        "a number for integers",
    ),
    "the password of an archive": (declared(password=E.Secret("X")), "password", "access=Database(user="),
    "members of an archive": (declared(member="*.csv"), "member", "Leave it out"),
    "days without a column": (declared(partitions=DAYS), "partition_column", "use :start and :end in a query"),
    "names without a column": (declared(partitions=NAMES), "partition_column", "use :key in a query"),
    "days with a start alone": (queried("SELECT :start", DAYS), "partition_column", ":start and :end"),
    "files": (declared(partitions=E.Files()), "partitions", "Declare Daily"),
    "a column without partitions": (declared(partition_column="at"), "partition_column", "Declare partitions"),
    "a placeholder without partitions": (queried("SELECT :start, :end"), "query", "Declare partitions"),
    "a window for names": (queried("SELECT :start, :end", NAMES), "query", "Use :key"),
    "a password without a user": (access(password=E.Secret("X")), "user", "Write the user"),
    "a password that is shown": (access(user="me", password="secret"), "password", "Secret"),
    "certificates without tls": (access(tls=False, ca_file="ca.pem"), "ca_file", "Declare one of them"),
    "no time": (declared(access=E.Database(deadline=0)), "deadline", "Write seconds"),
    "keys compared all the time": (
        declared(key_comparison=E.KeyComparison(timedelta(0))),
        "every",
        "timedelta(days=1)",
    ),
    "an absent share that is none": (
        declared(key_comparison=E.KeyComparison(timedelta(1), max_absent=10)),
        "max_absent",
        "Write 0.0 to 1.0",
    ),
    "keys that a transformer may change": (compared(transformer=Upper()), "transformer", "Reshape in the query"),
    "keys that another validator reads": (compared(validator=Lenient()), "key_comparison", "validator or loader"),
    "keys that may move to another partition": (
        declared(key_comparison=COMPARED, partition_column="name", partitions=NAMES),
        "key_comparison",
        "column= in the partitions",
    ),
    "no bytes": (declared(access=E.Database(max_bytes=0)), "max_bytes", "Write a number of bytes"),
}


@tabled(MISTAKES)
def test_a_mistake_is_refused_with_its_remedy(declare: Callable[[], object], field: str, remedy: str) -> None:
    assert_refused(declare, field, remedy)


@pytest.mark.parametrize(
    "declare",
    [
        declared(),
        declared("postgresql:///shop?host=/run/postgresql"),
        declared("mariadb+pymysql://host/shop", table='"a.b".orders'),
        declared("oracle://host/?service_name=shop", table="SHOP.ORDERS"),
        declared("db2+ibm_db://host:50000/shop"),
        declared("snowflake://account/shop/public?warehouse=w&role=reader", access=E.Database("me", E.Secret("X"))),
        declared("trino://host:8080/hive/sales", table="a.b.orders"),
        declared("postgresql+psycopg2://host/shop?sslmode=verify-full"),
        declared("mssql+pyodbc://host/shop?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=yes"),
        declared("sqlite:////srv/a@b.db", partitions=DAYS, partition_column="at", incremental=LATER),
        queried("WITH a AS (SELECT 1) SELECT * FROM a WHERE '12:00' < ':start'"),
        queried("SELECT a::text FROM t WHERE at >= :start AND at < :end", DAYS),
        queried("SELECT 1 WHERE k = :key", NAMES),
        compared(),
    ],
)
def test_sound_declarations_are_accepted(declare: Callable[[], object]) -> None:
    declare()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hidden@host/shop",
        "snowflake://me:hidden@account/shop",
        "trino://host/shop?password=hidden",
        "mssql+pyodbc://?odbc_connect=DSN%3Dshop%3BPWD%3Dhidden",
        "me:hidden@host/shop",
        "me:hidden://host/shop",
    ],
)
def test_a_secret_is_in_no_error_about_a_url(url: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        declared(url)()
    assert "hidden" not in str(raised.value)


def test_a_declaration_of_another_database_is_checked_without_importing_sqlalchemy() -> None:
    code = (
        "import sys; from etl_assets import DatabaseExtractor; "
        "DatabaseExtractor('trino://host/shop', table='t').check('x'); print('sqlalchemy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
