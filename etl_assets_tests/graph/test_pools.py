"""Pools limit how many runs of a source may be under way together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from etl_assets.graph.pools import set_limits

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def test_a_storage_that_supports_no_limits_causes_no_error(bench: Bench) -> None:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        assert set_limits(ephemeral, [bench.declare()]) in ({}, {"people": 1})
