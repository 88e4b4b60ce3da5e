"""Pools limit how many runs of a source may be under way together."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import dagster as dg
import psycopg
import pytest

from etl_assets.graph.pools import set_limits
from etl_assets_tests.graph.stored import stored_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets_tests.graph.conftest import Bench


@pytest.fixture
def instance(dagster_home: str) -> Iterator[dg.DagsterInstance]:
    """An instance whose storage keeps limits."""
    with dg.DagsterInstance.local_temp(dagster_home) as local:
        yield local


def _limits(instance: dg.DagsterInstance) -> dict[str, int]:
    return {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}


def test_a_pool_has_the_declared_limit_and_follows_its_changes(bench: Bench) -> None:
    few, many = bench.declare(name="few"), bench.declare(name="many", runs_at_once=3)
    assert set_limits(bench.instance, [few, many]) == {"few": 1, "many": 3}
    assert _limits(bench.instance) == {"few": 1, "many": 3}
    assert set_limits(bench.instance, [few, many]) == {}
    assert set_limits(bench.instance, [bench.declare(name="many", runs_at_once=2)]) == {"many": 2}
    assert _limits(bench.instance) == {"few": 1, "many": 2}


def test_pools_of_no_source_stay_unchanged(bench: Bench) -> None:
    bench.instance.event_log_storage.set_concurrency_slots("other", 7)
    set_limits(bench.instance, [bench.declare()])
    assert _limits(bench.instance) == {"other": 7, "people": 1}


def test_a_pool_that_another_process_creates_at_the_same_time_gets_its_limit(
    bench: Bench, database_url: str, tmp_path: Path
) -> None:
    with stored_in(database_url, tmp_path) as instance, ThreadPoolExecutor(1) as pool:
        with psycopg.connect(database_url) as other:
            other.execute("INSERT INTO concurrency_limits (concurrency_key, \"limit\") VALUES ('people', 5)")
            changed = pool.submit(set_limits, instance, [bench.declare(runs_at_once=2)])
            until = time.monotonic() + 30
            while not bench.query("SELECT pid FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"):
                assert not changed.done()
                assert time.monotonic() < until
        assert changed.result() == {"people": 2}
        assert _limits(instance) == {"people": 2}


def test_a_storage_that_supports_no_limits_causes_no_error(bench: Bench) -> None:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        assert set_limits(ephemeral, [bench.declare()]) in ({}, {"people": 1})
