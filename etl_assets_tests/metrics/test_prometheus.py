"""A real Prometheus scrapes the command: alerts fire, and every panel of the dashboard shows something."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from etl_assets_tests.cli.conftest import _enter
from etl_assets_tests.cli.desk import Desk, prepare_january
from etl_assets_tests.databases import create_database, drop_database
from etl_assets_tests.metrics.prometheus import scraping
from etl_assets_tests.metrics.serving import serving
from etl_assets_tests.metrics.test_rules import DASHBOARD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets_tests.metrics.prometheus import Prometheus
    from etl_assets_tests.metrics.serving import Serving

pytestmark = pytest.mark.slow
_NAME = "monitored"


@pytest.fixture(scope="module")
def desk(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A warehouse with runs that succeeded, and three that failed one after the other."""
    desk = Desk(create_database(postgres_url, _NAME), tmp_path_factory.mktemp("desk"))
    with pytest.MonkeyPatch.context() as patch:
        _enter(desk, patch)
        prepare_january(desk)
        desk.publish("2013-01-02.csv", "other,names\n1,2\n")
        for _ in range(3):
            assert desk.type("run", "readings", "--partition", "2013-01-02").exit_code == 1
        enter_daemon(datetime.now(UTC).timestamp())
        yield desk
    for name in (_NAME, f"{_NAME}_dagster"):
        drop_database(postgres_url, name)


@pytest.fixture(scope="module")
def served(desk: Desk) -> Iterator[Serving]:
    with serving(desk.environment) as served:
        yield served


@pytest.fixture(scope="module")
def prometheus(served: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped twice."""
    with scraping(served.port, tmp_path_factory.mktemp("prometheus")) as server:
        server.until(lambda: server.query('count_over_time(etl_assets_up{database="dagster"}[1m]) > 2'))
        yield server


def enter_daemon(at: float) -> None:
    """Enter, by Dagster, that the daemon of sensors is alive and that the sensor `watch_runs` ticked."""
    location = GrpcServerCodeLocationOrigin(host="localhost", port=4000, location_name="feeds")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), "watch_runs")
    state = InstigatorState(
        origin,
        InstigatorType.SENSOR,
        InstigatorStatus.DECLARED_IN_CODE,
        SensorInstigatorData(min_interval=15, last_tick_start_timestamp=at),
    )
    with dg.DagsterInstance.get() as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(at, "SENSOR", "one", []))
        instance.add_instigator_state(state)
        instance.create_tick(
            TickData(
                *(origin.get_id(), "watch_runs", InstigatorType.SENSOR, TickStatus.FAILURE, at),
                error=SerializableErrorInfo("It does not answer.", [], None),
                selector_id=state.selector_id,
            )
        )


def test_an_alert_fires_for_the_source_whose_runs_fail_and_for_no_other(prometheus: Prometheus) -> None:
    prometheus.until(lambda: ("EtlAssetsRunsFailing", "readings") in prometheus.firing())
    firing = prometheus.firing()
    assert ("EtlAssetsAlertOpen", "readings") in firing
    assert not {alert for alert in firing if alert[1] == "stations"}
    assert "EtlAssetsMetricsDown" not in {name for name, _ in firing}


def test_every_panel_of_the_dashboard_shows_something(prometheus: Prometheus) -> None:
    empty = []
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$source", ".*").replace("$__rate_interval", "1m")
            assert "$" not in expression
            if not prometheus.query(expression):
                empty.append((panel["title"], expression))
    assert empty == []


def test_the_variable_of_the_dashboard_has_every_source(prometheus: Prometheus) -> None:
    (variable,) = json.loads(DASHBOARD.read_text("utf-8"))["templating"]["list"]
    assert variable["query"]["query"] == "label_values(etl_assets_runs_total, source)"
    values = prometheus.get("label/source/values", **{"match[]": "etl_assets_runs_total"})
    assert values == ["readings", "stations"]


def test_the_daemon_and_its_sensors_are_those_of_dagster(served: Serving) -> None:
    sensor = {"trigger": "watch_runs", "type": "sensor", "location": "feeds"}
    assert served.value("etl_assets_trigger_last_tick_failed", **sensor) == 1
    assert served.value("etl_assets_trigger_failed_ticks", **sensor) == 1
    ticked = served.value("etl_assets_trigger_last_tick_timestamp_seconds", **sensor)
    assert ticked == pytest.approx(datetime.now(UTC).timestamp(), abs=300)
    assert served.value("etl_assets_daemon_heartbeat_timestamp_seconds", daemon="sensor") == pytest.approx(ticked)


def test_a_sensor_lags_when_its_next_tick_is_late(served: Serving, desk: Desk) -> None:
    assert desk.url
    before = served.value("etl_assets_trigger_lag_seconds", trigger="watch_runs")
    assert before is not None
    assert before < 300
    with dg.DagsterInstance.get() as instance:
        (state,) = instance.all_instigator_state()
        data = state.instigator_data
        assert isinstance(data, SensorInstigatorData)
        earlier = data._replace(last_tick_start_timestamp=datetime.now(UTC).timestamp() - 400)
        instance.update_instigator_state(state.with_data(earlier))
    served.until(lambda: (served.value("etl_assets_trigger_lag_seconds", trigger="watch_runs") or 0) > 380)


def test_an_alert_fires_when_the_metrics_are_gone(desk: Desk, tmp_path: Path) -> None:
    with serving(desk.environment) as served, scraping(served.port, tmp_path) as server:
        server.until(lambda: server.query("up == 1"))
        served.end()
        server.until(lambda: ("EtlAssetsMetricsDown", "") in server.firing())
