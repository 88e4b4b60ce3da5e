"""A run whose warehouse goes away continues when it is back, and is found if it never comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from etl_assets import PostgresLoader
from etl_assets.graph.runs.one_by_one import Failures
from etl_assets.graph.runs.reaper import reap
from etl_assets_tests.proxy import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.entries import Entry
    from etl_assets_tests.graph.conftest import Bench
    from etl_assets_tests.proxy import Proxy


@dataclass(frozen=True)
class _GoingAway(PostgresLoader):
    """A loader whose database goes away once, before the first commit."""

    proxy: Proxy = field(kw_only=True)
    returns_after: int | None = field(kw_only=True)
    away: list[Delivery] = field(default_factory=list, kw_only=True)

    def before_commit(self, connection: Connection, delivery: Delivery, entry: Entry) -> None:  # noqa: ARG002
        if not self.away:
            self.away.append(delivery)
            self.proxy.go_away(self.returns_after)


@pytest.fixture
def proxy(url: str, monkeypatch: pytest.MonkeyPatch, quick_waits: None) -> Iterator[Proxy]:  # noqa: ARG001
    """A proxy before the warehouse, which the environment names."""
    with proxied(url) as proxy:
        monkeypatch.setenv("ETL_ASSETS_DATABASE_URL", proxy.url)
        yield proxy


def test_a_run_whose_warehouse_comes_back_succeeds_at_its_first_attempt(bench: Bench, proxy: Proxy) -> None:
    loader = _GoingAway(proxy=proxy, returns_after=5)
    result = bench.run(bench.people("1,Ada,36", loader=loader))
    assert result.success
    assert loader.away
    assert [event for event in result.all_events if event.is_step_up_for_retry] == []
    assert bench.query("SELECT status, attempt, inserted FROM etl.run") == [("succeeded", 1, 1)]
    assert bench.query("SELECT count(*) FROM core.people") == [(1,)]
    assert bench.query("SELECT name FROM etl.check_result GROUP BY name HAVING count(*) > 1") == []


def test_a_run_whose_warehouse_stays_away_is_entered_as_failed_when_it_is_back(
    bench: Bench, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_ASSETS_DATABASE_WAIT", "0")
    source = bench.people("1,Ada,36", loader=_GoingAway(proxy=proxy, returns_after=None))
    assert not bench.run(source).success
    assert bench.query("SELECT status FROM etl.run") == [("started",)]
    reap(bench.instance, bench.url, {"people": source}, Failures())
    ((status, name, error),) = bench.query("SELECT status, error_class, error FROM etl.run")
    assert (status, name) == ("failed", "EnvironmentFaultError")
    assert "no longer answers" in error
    assert "Batches that this run committed, and that stay: 0 of 1." in error
    assert "Ada" not in error
