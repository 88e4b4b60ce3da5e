"""Drivers of SQLAlchemy that fail: each failure is an error that says so without secrets, and no short delivery."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from etl_assets import Database, DatabaseExtractor
from etl_assets.errors import (
    DeclarationError,
    DeliveryError,
    DeliveryMissingError,
    DeliveryUnreachableError,
    EnvironmentFaultError,
)
from etl_assets.extract.database.freezing import ParquetFile
from etl_assets_tests.extract.database.frozen import freeze
from etl_assets_tests.extract.database.test_postgresql_failures import becoming_silent
from etl_assets_tests.extract.database.test_sqlalchemy_postgresql import DRIVERS, extractor_of
from etl_assets_tests.proxy import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from etl_assets_tests.extract.database.conftest import Postgres


def everything_of(error: BaseException) -> str:
    """What a traceback would show of an error, with those that it came from and that are not suppressed."""
    shown = f"{error!r} {error}"
    if error.__cause__ is not None:
        shown += everything_of(error.__cause__)
    if error.__context__ is not None and not error.__suppress_context__:
        shown += everything_of(error.__context__)
    return shown


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_password_with_any_character_logs_in_and_a_wrong_one_is_not_shown(
    postgres: Postgres, reader: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    assert freeze(extractor_of(postgres, driver, query="SELECT 1 AS x", access=reader), tmp_path).records == [
        {"x": "1"}
    ]
    monkeypatch.setenv("READER_PASSWORD", "wrong-password")
    with pytest.raises(DeliveryError) as raised:
        freeze(extractor_of(postgres, driver, table="t", access=reader), tmp_path)
    shown = everything_of(raised.value)
    assert "wrong-password" not in shown
    if "refuses this login" not in shown:
        assert isinstance(raised.value, DeliveryMissingError)  # this server asks for no password


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_is_missing_is_named(postgres: Postgres, tmp_path: Path, driver: str) -> None:
    with pytest.raises(DeliveryMissingError, match=r"no table public\.gone"):
        freeze(extractor_of(postgres, driver, table="public.gone"), tmp_path)
    with pytest.raises(DeliveryMissingError, match=r"no table nowhere\.gone"):
        freeze(extractor_of(postgres, driver, table="nowhere.gone"), tmp_path)
    with pytest.raises(DeliveryMissingError, match=r'relation "gone" does not exist'):
        freeze(extractor_of(postgres, driver, query="SELECT * FROM gone"), tmp_path)
    url = f"{extractor_of(postgres, driver).url}_gone"
    with pytest.raises(DeliveryMissingError, match="no such database"):
        freeze(DatabaseExtractor(url, table="t", access=postgres.access), tmp_path)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_wrong_query_is_named_and_a_missing_right_too(
    postgres: Postgres, reader: Database, tmp_path: Path, driver: str
) -> None:
    postgres.run("CREATE TABLE t (id int)")
    with pytest.raises(DeliveryError, match=r'column "nope" does not exist.*Correct table, query or columns'):
        freeze(extractor_of(postgres, driver, query="SELECT nope"), tmp_path)
    with pytest.raises(DeliveryError, match=r"does not let this user read.*permission denied for table t"):
        freeze(extractor_of(postgres, driver, table="t", access=reader), tmp_path)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_that_does_not_answer_is_unreachable(tmp_path: Path, driver: str) -> None:
    with pytest.raises(DeliveryUnreachableError, match="a retry may help"):
        freeze(DatabaseExtractor(f"postgresql+{driver}://127.0.0.1:1/shop", table="t"), tmp_path)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_view_that_fails_midway_is_no_delivery_and_shows_no_value(
    postgres: Postgres, tmp_path: Path, driver: str
) -> None:
    postgres.run(
        "CREATE TABLE t AS SELECT i, i::text AS n FROM generate_series(1, 20000) i",
        "UPDATE t SET n = 'secret value' WHERE i = 19900",
        "CREATE VIEW v AS SELECT i, n::int AS n FROM t",
    )
    with pytest.raises(DeliveryError, match="cannot answer") as raised:
        freeze(extractor_of(postgres, driver, table="v"), tmp_path)
    assert not isinstance(raised.value, DeliveryUnreachableError)
    assert "secret value" not in everything_of(raised.value)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_connection_that_ends_in_the_middle_is_no_delivery(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    postgres.run("CREATE TABLE t AS SELECT i, repeat('x', 500) AS x FROM generate_series(1, 100000) i")
    add, cut = ParquetFile.add, list[int]()
    with closing(Proxy(postgres.owner_url)) as proxy:

        def cut_it(self: ParquetFile, batch: pa.RecordBatch) -> None:
            proxy.go_away()
            cut.append(batch.num_rows)
            add(self, batch)

        monkeypatch.setattr(ParquetFile, "add", cut_it)
        parts = urlsplit(proxy.url)
        url = f"postgresql+{driver}://{parts.hostname}:{parts.port}{parts.path}"
        with pytest.raises(DeliveryUnreachableError, match="Nothing was written"):
            freeze(DatabaseExtractor(url, table="t", access=postgres.access), tmp_path)
    assert 0 < sum(cut) < 100_000


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_that_becomes_silent_is_given_up(postgres: Postgres, tmp_path: Path, driver: str) -> None:
    postgres.run("CREATE TABLE t AS SELECT i, repeat('x', 500) AS x FROM generate_series(1, 40000) i")
    access = Database(postgres.access.user, postgres.access.password, timeout=1.0)
    parts = urlsplit(postgres.url)
    with becoming_silent(parts.port or 5432, 5_000_000) as port:
        url = f"postgresql+{driver}://127.0.0.1:{port}{parts.path}"
        with pytest.raises(DeliveryUnreachableError, match="took longer"):
            freeze(DatabaseExtractor(url, table="t", access=access), tmp_path)


def test_a_dialect_or_a_driver_that_is_not_installed_is_named_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFaultError, match=r"no dialect 'trino'.*pip install 'trino\[sqlalchemy\]'"):
        freeze(DatabaseExtractor("trino://localhost:8080/hive/sales", table="orders"), tmp_path)
    with pytest.raises(EnvironmentFaultError, match=r"no dialect 'unheard\+of'.*documentation of the database"):
        freeze(DatabaseExtractor("unheard+of://localhost/shop", table="orders"), tmp_path)
    with pytest.raises(EnvironmentFaultError, match="The package MySQLdb is not installed"):
        freeze(DatabaseExtractor("mysql+mysqldb://localhost/shop", table="orders"), tmp_path)


def test_what_a_driver_cannot_take_is_a_mistake_of_the_declaration(postgres: Postgres, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="asynchronous driver"):
        freeze(DatabaseExtractor("postgresql+asyncpg://localhost/shop", table="t"), tmp_path)
    with pytest.raises(DeliveryError, match="Nothing was written") as raised:
        freeze(
            DatabaseExtractor(f"{extractor_of(postgres).url}?nonsense=1", table="t", access=postgres.access), tmp_path
        )
    assert not isinstance(raised.value, DeliveryUnreachableError)
