"""Metrics of Dagster: the queue of runs, ticks of schedules and sensors, heartbeats of daemons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from etl_assets.postgres.metrics import orchestration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric

    from etl_assets.postgres.connection import Connection


def orchestration_metrics(connection: Connection) -> list[Metric]:
    """Return the metrics of Dagster's storage.

    Args:
        connection: See `reading`.

    Raises:
        psycopg.Error: If the database refuses a statement.
    """
    return [
        *_of_queue(orchestration.queue(connection)),
        *_of_triggers(orchestration.triggers(connection)),
        _of_daemons(orchestration.heartbeats(connection)),
    ]


def _of_queue(found: Iterable[orchestration.Queue]) -> list[Metric]:
    runs = GaugeMetricFamily("etl_assets_dagster_runs", "Dagster's runs that did not end.", labels=["status"])
    oldest = GaugeMetricFamily(
        "etl_assets_dagster_oldest_run_timestamp_seconds",
        "When the oldest run of a status was created.",
        labels=["status"],
    )
    for queue in found:
        status = queue.status.lower()
        runs.add_metric([status], queue.runs)
        if queue.oldest_at is not None:
            oldest.add_metric([status], queue.oldest_at)
    return [runs, oldest]


def _of_triggers(found: Iterable[orchestration.Trigger]) -> list[Metric]:
    labels = ["trigger", "type", "location"]
    ticked = GaugeMetricFamily(
        "etl_assets_trigger_last_tick_timestamp_seconds",
        "When the newest tick of a schedule or sensor began.",
        labels=labels,
    )
    failed = GaugeMetricFamily("etl_assets_trigger_last_tick_failed", "Whether the newest tick failed.", labels=labels)
    failures = GaugeMetricFamily(
        "etl_assets_trigger_failed_ticks",
        f"How many of the newest {orchestration.NEWEST_TICKS} ticks failed.",
        labels=labels,
    )
    lag = GaugeMetricFamily(
        "etl_assets_trigger_lag_seconds",
        "How late the next tick of a sensor is, or the newest one of a schedule was.",
        labels=labels,
    )
    for trigger in found:
        values = [trigger.name, trigger.type, trigger.location]
        if trigger.ticked_at is not None:
            ticked.add_metric(values, trigger.ticked_at)
        failed.add_metric(values, trigger.failed)
        failures.add_metric(values, trigger.failures)
        lag.add_metric(values, trigger.lag)
    return [ticked, failed, failures, lag]


def _of_daemons(found: dict[str, float]) -> Metric:
    alive = GaugeMetricFamily(
        "etl_assets_daemon_heartbeat_timestamp_seconds", "When a daemon of Dagster was alive last.", labels=["daemon"]
    )
    for daemon, at in found.items():
        alive.add_metric([daemon], at)
    return alive
