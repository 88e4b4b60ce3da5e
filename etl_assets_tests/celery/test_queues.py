"""A run is tagged with the queue of its sources when it is submitted, whoever submits it, and is counted by queue."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner
from dagster._core.execution.backfill import PartitionBackfill
from dagster._daemon.backfill import execute_backfill_iteration

from etl_assets.cli import main
from etl_assets.graph.celery.app import celery_app
from etl_assets.graph.keys import REBUILD, REPLAY, SOURCE_TAG, asset_keys, core_key
from etl_assets.graph.run_tags import LIMITS, POD_TAG, QUEUE, QUEUE_TAG, assets_of, tags_of
from etl_assets.postgres.migrations import migrate
from etl_assets_tests.celery.cluster import cluster
from etl_assets_tests.celery.declared import declare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.celery.cluster import Cluster

_DOCKER = Path(__file__).parents[2] / "docker"
_SCALED = yaml.safe_load((_DOCKER / "kubernetes" / "keda.yaml").read_text())
_WAITING: str = _SCALED["spec"]["triggers"][0]["metadata"]["query"]


@pytest.fixture
def queueing(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Dagster with our instance file for workers, where no daemon takes a run from its queue."""
    declare(tmp_path / "host")
    shutil.copy(_DOCKER / "celery" / "dagster.yaml", tmp_path)
    for name, value in {
        "DAGSTER_HOME": str(tmp_path),
        "ETL_ASSETS_DAGSTER_URL": database_url,
        "ETL_ASSETS_HOME": str(tmp_path / "home"),
        "ETL_ASSETS_SOURCES": str(tmp_path / "host" / "declared"),
        "FEEDS": str(tmp_path / "host" / "feeds"),
    }.items():
        monkeypatch.setenv(name, value)
    with cluster(database_url) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources`")  # of Dagster's own call
def test_a_run_is_tagged_and_counted_by_the_queue_of_its_source(queueing: Cluster) -> None:
    heavy, other = queueing.run(queueing.launch("heavy", "a")), queueing.run(queueing.launch("readings", "a"))
    assert heavy.status == other.status == dg.DagsterRunStatus.QUEUED
    assert heavy.tags[QUEUE_TAG] == "big"
    assert (heavy.tags[SOURCE_TAG], other.tags[SOURCE_TAG]) == ("heavy", "readings")
    assert QUEUE_TAG not in other.tags
    again = queueing.run(queueing.launch("heavy", "a", {QUEUE_TAG: "bigger"}))
    assert again.tags[QUEUE_TAG] == "bigger"  # a person has chosen it
    backfilled = _of_backfill(queueing).tags
    assert (backfilled[QUEUE_TAG], backfilled[SOURCE_TAG]) == ("big", "heavy")
    big = _WAITING.replace("= 'dagster'", "= 'big'")
    assert big != _WAITING
    assert [queueing.query(query)[0][0] for query in (_WAITING, big)] == [1, 2]
    queueing.instance.report_run_canceled(other)
    assert queueing.query(_WAITING) == [(0,)]


def _of_backfill(queueing: Cluster) -> dg.DagsterRun:
    """Return the run of a backfill, which the daemon submits."""
    context = queueing.process.create_request_context()
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id="backfill",
        asset_graph=context.asset_graph,
        partition_names=["a"],
        asset_selection=list(asset_keys("heavy")),
        backfill_timestamp=0.0,
        tags={},
        dynamic_partitions_store=queueing.instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    queueing.instance.add_backfill(backfill)
    for _ in range(3):
        list(execute_backfill_iteration(queueing.process, logging.getLogger("backfill")))
        if runs := queueing.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": "backfill"})):
            return runs[0]
    raise AssertionError("the backfill has no run")


@pytest.mark.parametrize(
    ("metadata", "tags"),
    [
        ([], {}),
        ([{}], {}),
        ([{QUEUE: "big"}, {}], {QUEUE_TAG: "big"}),
        ([{QUEUE: "big"}, {QUEUE: "big"}], {QUEUE_TAG: "big"}),
        ([{QUEUE: "big"}, {QUEUE: "small"}], {}),
    ],
)
def test_the_queue_of_a_run_is_the_only_one_that_its_assets_name(
    metadata: list[dict[str, Any]], tags: dict[str, str]
) -> None:
    assert tags_of(metadata) == tags


def test_a_run_is_of_the_only_source_that_its_assets_have() -> None:
    assert tags_of([{SOURCE_TAG: "heavy"}, {SOURCE_TAG: "heavy"}, {}]) == {SOURCE_TAG: "heavy"}
    assert tags_of([{SOURCE_TAG: "heavy"}, {SOURCE_TAG: "readings"}]) == {}


def test_the_highest_of_several_limits_applies() -> None:
    limits: list[dict[str, Any]] = [
        {LIMITS: {"memory": "900Mi", "processors": None}},
        {LIMITS: {"memory": "1Gi", "processors": 0.25}},
    ]
    assert '{"memory": "1024Mi", "cpu": "250m"}' in tags_of(limits)[POD_TAG]


@pytest.mark.parametrize("queues", ["Big", "big,", "big small", ""])
def test_a_worker_refuses_what_is_no_queue(queues: str) -> None:
    refused = CliRunner().invoke(main, ["worker", "--queue", queues])
    assert refused.exit_code == 2
    assert "is no queue" in refused.output


def test_a_worker_needs_the_url_of_a_broker(queueing: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = queueing.url
    for name in ("ETL_ASSETS_DATABASE_URL", "ETL_ASSETS_DAGSTER_URL"):
        monkeypatch.setenv(name, url)
    monkeypatch.setenv("ETL_ASSETS_SECRETS", str(tmp_path))
    celery_app.cache_clear()
    migrate(url)
    refused = CliRunner().invoke(main, ["worker"])
    assert refused.exit_code == 3
    assert "There is no secret ETL_ASSETS_CELERY_BROKER_URL" in refused.output


@pytest.mark.parametrize(("job", "step"), [(REPLAY, "replay_records"), (REBUILD, "rebuild_table")])
def test_a_replay_and_a_rebuild_are_about_the_table_of_their_source(job: str, step: str) -> None:
    run = dg.DagsterRun(job_name=job, run_config={"ops": {step: {"config": {"source": "heavy"}}}})
    assert assets_of(run) == {core_key("heavy")}
    assert assets_of(dg.DagsterRun(job_name=job)) == set()


def test_the_instance_file_for_workers_differs_from_the_other_where_it_says_so() -> None:
    ours = yaml.safe_load((_DOCKER / "celery" / "dagster.yaml").read_text())
    other = yaml.safe_load((_DOCKER.parent / "dagster.yaml").read_text())
    changed = {key for key in {*ours, *other} if ours.get(key) != other.get(key)}
    assert changed == {"run_launcher", "concurrency", "run_monitoring"}
