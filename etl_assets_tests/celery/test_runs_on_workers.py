"""Runs on the workers of two hosts: spread, killed, retried, terminated, sent to the queue of their source."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import dagster as dg
import psutil
import pytest
import redis

from etl_assets_tests.celery.cluster import cluster
from etl_assets_tests.celery.declared import PARTITIONS, RECORDS, records
from etl_assets_tests.celery.hosts import Host, can_be_apart, kill
from etl_assets_tests.celery.servers import PASSWORD, RABBITMQ, REDIS, rabbitmq, redis_server
from etl_assets_tests.cli.launches import until
from etl_assets_tests.databases import drop_database, fresh_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.celery.cluster import Cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(RABBITMQ is None, reason="rabbitmq-server is not installed"),
    pytest.mark.skipif(REDIS is None, reason="redis-server is not installed"),
    pytest.mark.skipif(not can_be_apart(), reason="no namespaces can be made"),
]
_LONG = 120.0
_WRITTEN = "SELECT number FROM etl.batch WHERE run_id = %s ORDER BY 1"
_LOCKS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE datname = current_database() AND locktype = 'advisory'
"""


class Hosts:
    """The host of Dagster, and two for workers."""

    def __init__(self, dagster: Host, first: Host, second: Host, cluster: Cluster) -> None:
        self.dagster = dagster
        self.first = first
        self.second = second
        self.cluster = cluster


@pytest.fixture(scope="module")
def hosts(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    folder = tmp_path_factory.mktemp("celery")
    for name in ("rabbitmq", "redis", "hosts"):
        (folder / name).mkdir()
    with (
        fresh_database(postgres_url, "celery") as url,
        rabbitmq(folder / "rabbitmq") as broker,
        redis_server(folder / "redis") as results,
        pytest.MonkeyPatch.context() as patch,
    ):
        dagster_url = url.replace("?", "_dagster?", 1) if "?" in url else f"{url}_dagster"
        common = {
            "ETL_ASSETS_CELERY_BROKER_URL": broker,
            "ETL_ASSETS_CELERY_RESULTS_URL": results,
            "ETL_ASSETS_DATABASE_URL": url,
            "ETL_ASSETS_DAGSTER_URL": dagster_url,
            "ETL_ASSETS_LANDING_URL": str(folder / "landing"),
        }
        dagster, first, second = (Host(name, folder / "hosts" / name, common) for name in ("dagster", "one", "two"))
        dagster.run("migrate")
        for name, value in dagster.environment.items():
            patch.setenv(name, value)
        with dagster.daemon(), cluster(url) as opened:
            yield Hosts(dagster, first, second, opened)
        drop_database(postgres_url, dagster_url.rpartition("/")[2].partition("?")[0])


def _status(hosts: Hosts, run_id: str) -> dg.DagsterRunStatus:
    return hosts.cluster.run(run_id).status


def _host_of(hosts: Hosts, run_id: str) -> str:
    rows = hosts.cluster.query("SELECT host FROM etl.run WHERE run_id = %s", run_id)
    return str(rows[0][0]) if rows else ""


def test_what_a_killed_host_left_is_loaded_by_the_other(hosts: Hosts) -> None:
    with hosts.first.worker("dagster", 2) as doomed, hosts.second.worker("dagster", 2):
        runs = [hosts.cluster.launch("readings", key) for key in PARTITIONS]
        until(lambda: {_host_of(hosts, run) for run in runs} == {"one", "two"}, _LONG)
        on_first = [run for run in runs if _host_of(hosts, run) == "one"]
        until(lambda: hosts.cluster.query("SELECT FROM etl.batch WHERE run_id = %s", on_first[0]), _LONG)
        kill(doomed)
        assert {_status(hosts, run) for run in on_first} == {dg.DagsterRunStatus.STARTED}
        until(lambda: all(hosts.cluster.retries(run) for run in on_first), _LONG)
        retries = [retry.run_id for run in on_first for retry in hosts.cluster.retries(run)]
        until(lambda: all(hosts.cluster.run(run).is_finished for run in (*runs, *retries)), _LONG)
        assert {_status(hosts, run) for run in on_first} == {dg.DagsterRunStatus.FAILURE}
        assert {_status(hosts, run) for run in {*runs, *retries} - {*on_first}} == {dg.DagsterRunStatus.SUCCESS}
        assert {_host_of(hosts, run) for run in retries} == {"two"}
    rows = hosts.cluster.query("SELECT partition, n::text, v FROM core.readings ORDER BY 1, core.readings.n")
    assert rows == [record for key in PARTITIONS for record in records(key)]
    assert len(rows) == RECORDS * len(PARTITIONS)
    crashed = hosts.cluster.query("SELECT DISTINCT run_id FROM etl.run WHERE status = 'crashed'")
    assert {run for (run,) in crashed} == {*on_first}


def test_terminate_ends_the_work_of_a_run(hosts: Hosts) -> None:
    with hosts.first.worker("dagster", 1) as worker:
        run = hosts.cluster.launch("slow", "a")
        until(lambda: hosts.cluster.query(_WRITTEN, run), _LONG)
        executing = psutil.Process(worker.pid).children(recursive=True)[-1]
        assert hosts.cluster.query(_LOCKS) != [(0,)]
        assert hosts.cluster.terminate(run) == "TerminateRunSuccess"
        until(lambda: _status(hosts, run) == dg.DagsterRunStatus.CANCELED)
        written = hosts.cluster.query(_WRITTEN, run)
        until(lambda: not executing.is_running(), 10)
        until(lambda: hosts.cluster.query(_LOCKS) == [(0,)], 10)
        ended = hosts.cluster.query("SELECT status, host FROM etl.run WHERE run_id = %s", run)
        assert ended == [("cancelled", "one")]
        next_ = hosts.cluster.launch("readings", "a")
        until(lambda: hosts.cluster.run(next_).is_finished, _LONG)
        assert _status(hosts, next_) == dg.DagsterRunStatus.SUCCESS
    assert hosts.cluster.query(_WRITTEN, run) == written
    assert 0 < len(hosts.cluster.query("SELECT FROM core.slow")) < RECORDS


def test_a_run_waits_for_a_worker_of_the_queue_of_its_source(hosts: Hosts) -> None:
    with hosts.first.worker("dagster", 1):
        unwanted, run = hosts.cluster.launch("heavy", "a"), hosts.cluster.launch("heavy", "a")
        assert hosts.cluster.run(run).tags["dagster-celery/queue"] == "big"
        other = hosts.cluster.launch("readings", "b")
        until(lambda: hosts.cluster.run(other).is_finished, _LONG)
        assert {_status(hosts, waiting) for waiting in (unwanted, run)} == {dg.DagsterRunStatus.STARTING}
        assert hosts.cluster.terminate(unwanted, "MARK_AS_CANCELED_IMMEDIATELY") == "TerminateRunSuccess"
        with hosts.second.worker("big,bigger", 1):
            until(lambda: hosts.cluster.run(run).is_finished, _LONG)
        assert _status(hosts, run) == dg.DagsterRunStatus.SUCCESS
        assert _host_of(hosts, run) == "two"
        assert _status(hosts, unwanted) == dg.DagsterRunStatus.CANCELED
        assert _host_of(hosts, unwanted) == ""


def test_two_hosts_load_one_delivery(hosts: Hosts) -> None:
    with hosts.first.worker("dagster", 1), hosts.second.worker("dagster", 1):
        run = hosts.cluster.launch("long", "a")
        until(lambda: hosts.cluster.run(run).is_finished, _LONG)
    assert _status(hosts, run) == dg.DagsterRunStatus.SUCCESS
    rows = hosts.cluster.query("SELECT partition, n::text, v FROM core.long ORDER BY core.long.n")
    assert rows == records("a")
    batches = [number for (number,) in hosts.cluster.query(_WRITTEN, run)]
    assert batches == [*range(1, len(batches) + 1)]
    assert 0 < _written_by_shares() < len(batches)


def _written_by_shares() -> int:
    """Return how many batches were written by tasks that loaded shares: the results of these tasks."""
    with redis.Redis.from_url(os.environ["ETL_ASSETS_CELERY_RESULTS_URL"]) as client:
        results = [json.loads(client.get(key) or "{}") for key in client.scan_iter("celery-task-meta-*")]
    return sum(result.get("result") or 0 for result in results if result.get("status") == "SUCCESS")


def test_the_password_of_the_broker_is_in_no_file_of_a_host(hosts: Hosts) -> None:
    """The tests above have written them."""
    files = [path for host in (hosts.dagster, hosts.first, hosts.second) for path in host.folder.rglob("*")]
    texts = {path: path.read_bytes() for path in files if path.is_file()}
    assert [path for path, text in texts.items() if PASSWORD.encode() in text] == []
    assert any("worker.txt" in str(path) for path in texts)
    assert PASSWORD in os.environ["ETL_ASSETS_CELERY_BROKER_URL"]
