"""Dagster on one host, which sends runs to the workers of others; what a person does in the UI is done by GraphQL."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_graphql.schema import create_schema

from etl_assets.graph.keys import ALL_ASSETS, asset_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LAUNCH = """
mutation ($run: ExecutionParams!) { launchRun(executionParams: $run) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
_TERMINATE = """
mutation ($id: String!, $policy: TerminateRunPolicy) {
  terminateRun(runId: $id, terminatePolicy: $policy) { __typename } }
"""
_LOCATION = "etl_assets.definitions"


class Cluster:
    """Launches and ends runs by Dagster's API, and sees what becomes of them."""

    def __init__(self, instance: dg.DagsterInstance, process: WorkspaceProcessContext, url: str) -> None:
        self.instance = instance
        self.process = process
        self._schema = create_schema()
        self.url = url

    def launch(self, source: str, partition: str, more: Mapping[str, str] | None = None) -> str:
        """Launch a run as the UI does; return its id."""
        selector = {
            "repositoryName": "__repository__",
            "repositoryLocationName": _LOCATION,
            "pipelineName": ALL_ASSETS,
            "assetSelection": [{"path": key.path} for key in asset_keys(source)],
        }
        tags = [{"key": key, "value": value} for key, value in {"dagster/partition": partition, **(more or {})}.items()]
        answer = self._ask(_LAUNCH, run={"selector": selector, "executionMetadata": {"tags": tags}})["launchRun"]
        return str(answer["run"]["runId"])

    def terminate(self, run_id: str, policy: str = "SAFE_TERMINATE") -> str:
        """Ask a run to end, as the UI does; return what Dagster says."""
        return str(self._ask(_TERMINATE, id=run_id, policy=policy)["terminateRun"]["__typename"])

    def _ask(self, question: str, **variables: Any) -> Any:
        context = self.process.create_request_context()
        asked = self._schema.execute_async(question, context_value=context, variable_values=variables)
        result = asyncio.run(asked)
        assert not result.errors, result.errors
        return result.data

    def run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def retries(self, run_id: str) -> list[dg.DagsterRun]:
        return list(self.instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": run_id})))

    def query(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(question.encode(), values).fetchall()


@contextmanager
def cluster(url: str) -> Iterator[Cluster]:
    """Open Dagster of the host whose environment this process has."""
    with dg.DagsterInstance.get() as instance:
        with WorkspaceProcessContext(instance, ModuleTarget(_LOCATION, None, None, _LOCATION)) as process:
            yield Cluster(instance, process, url)
        process._grpc_server_registry.wait_for_processes()
