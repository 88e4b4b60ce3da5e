"""A warehouse that the environment names, an instance without a home, and a feed of people."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pytest

from etl_assets import Column, Csv, FileExtractor, Schema, Source
from etl_assets.graph.build import definitions
from etl_assets.graph.jobs import source_job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult

HEADER = "id,name,age"


@pytest.fixture
def url(migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The migrated warehouse; the environment names it and its landing store."""
    monkeypatch.setenv("ETL_ASSETS_DATABASE_URL", migrated_url)
    monkeypatch.setenv("ETL_ASSETS_HOME", str(tmp_path / "home"))
    for name in ("ETL_ASSETS_LANDING_URL", "ETL_ASSETS_SOURCES", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    return migrated_url


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance that keeps runs and events in memory."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an instance that has run nothing; Dagster needs five times as long to create one as to copy it."""
    home = tmp_path_factory.mktemp("dagster")
    with dg.DagsterInstance.local_temp(str(home)):
        return home


@pytest.fixture
def dagster_home(empty_home: Path, tmp_path: Path) -> str:
    """A folder for ``DagsterInstance.local_temp``."""
    return str(shutil.copytree(empty_home, tmp_path / "dagster"))


@dataclass
class Bench:
    """Sources, an instance and a warehouse, with the methods that tests need."""

    url: str
    instance: dg.DagsterInstance
    folder: Path
    results: list[ExecuteInProcessResult] = field(default_factory=list)

    def people(self, *lines: str, **changes: Any) -> Source:
        """Write the file of people with these lines, and return the source that declares it."""
        (self.folder / "people.csv").write_text("\n".join([changes.pop("header", HEADER), *lines, ""]))
        return self.declare(**changes)

    def declare(self, **changes: Any) -> Source:
        """Return the source of people, with changes."""
        columns = (
            Column("id", "integer", required=True, minimum=1),
            Column("name", "text", required=True),
            Column("age", "integer", maximum=150),
        )
        declared: dict[str, Any] = {
            "name": "people",
            "description": "People, some of them wrong.",
            "owner": "team:people",
            "extractor": FileExtractor(
                location=str(self.folder / "people.csv"), format=Csv(null=("NA",)), settle_seconds=0
            ),
            "schema": Schema(columns=columns, key=("id",)),
        }
        return Source(**(declared | changes))

    def run(
        self, source: Source, partition: str | None = None, *, force: bool = False, **known: Source
    ) -> ExecuteInProcessResult:
        """Run a source's job in this process; a failed run is returned as well."""
        built = definitions({source.name: source, **known})
        return self.run_job(
            built,
            source.name,
            partition,
            {"ops": {f"core__{source.name}": {"config": {"force": True}}}} if force else {},
        )

    def run_job(
        self, built: dg.Definitions, name: str, partition: str | None = None, config: dict[str, Any] | None = None
    ) -> ExecuteInProcessResult:
        """Run a source, or a job, in this process."""
        has_job = built.get_repository_def().has_job(name)
        job = built.resolve_job_def(name) if has_job else source_job(built, name)
        result = job.execute_in_process(
            instance=self.instance, partition_key=partition, run_config=config, raise_on_error=False
        )
        self.results.append(result)
        return result

    def checks(self, result: ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
        """Return the check results of a run from the instance, by name, including those of a failed step."""
        records = self.instance.get_records_for_run(
            result.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ).records
        events = [record.event_log_entry.dagster_event for record in records]
        evaluations = [event.asset_check_evaluation_data for event in events if event is not None]
        return {evaluation.check_name: evaluation for evaluation in evaluations}

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Execute a statement in the warehouse and return its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def locked(self, source: str, partition: str = "") -> Iterator[None]:
        """Lock a source partition as another run would."""
        from etl_assets.postgres.connection import connected
        from etl_assets.postgres.ledger import locks

        with connected(self.url) as connection:
            locks.lock(connection, source, partition)
            yield


@pytest.fixture
def bench(url: str, instance: dg.DagsterInstance, tmp_path: Path) -> Bench:
    """The bench that most tests of this folder use."""
    return Bench(url, instance, tmp_path)


def error_of(result: ExecuteInProcessResult) -> str:
    """Return the whole error text of a failed run."""
    failures = [event for event in result.all_events if event.is_step_failure]
    assert failures, "the run did not fail in a step"
    error = failures[0].step_failure_data.error
    assert error is not None
    return error.to_string()


def metadata_of(result: ExecuteInProcessResult, *key: str) -> dict[str, Any]:
    """Return the metadata of an asset that a run materialized, as plain values."""
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(list(key))]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def materialized(result: ExecuteInProcessResult) -> list[str]:
    """Return the assets that a run materialized, in order."""
    return [event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key]
