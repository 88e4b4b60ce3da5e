"""Metrics of the warehouse: sources, what waits, alerts and their channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily

from etl_assets.model.alert import SEVERITIES
from etl_assets.postgres.metrics import alerting, sources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric

    from etl_assets.postgres.connection import Connection

_ENDS: Final = ("succeeded", "unchanged", "failed", "cancelled", "crashed")
_CHANGES: Final = ("inserted", "updated", "deleted")


def warehouse_metrics(connection: Connection) -> list[Metric]:
    """Return the metrics of the warehouse.

    Args:
        connection: See `reading`.

    Raises:
        psycopg.Error: If the database refuses a statement.
    """
    totals = sources.totals(connection)
    return [
        *_of_totals(totals),
        *_of_newest_runs(sources.newest_runs(connection)),
        *_of_quarantine(sources.waiting(connection)),
        _of_drift(sources.open_drift(connection), (total.source for total in totals)),
        *_of_alerts(alerting.open_alerts(connection)),
        *_of_channels(alerting.channels(connection)),
    ]


def _of_totals(totals: Iterable[sources.Totals]) -> list[Metric]:
    read = CounterMetricFamily(
        "etl_assets_records_read", "Records of deliveries that were read, each time.", labels=["source"]
    )
    rejected = CounterMetricFamily(
        "etl_assets_records_rejected", "Records that broke a rule when they were read.", labels=["source"]
    )
    written = CounterMetricFamily(
        "etl_assets_rows_written", "Rows that the ledger has as written.", labels=["source", "change"]
    )
    runs = CounterMetricFamily("etl_assets_runs", "Runs that ended.", labels=["source", "status"])
    durations = SummaryMetricFamily(
        "etl_assets_run_duration_seconds", "How long runs took that had something to do.", labels=["source"]
    )
    success = GaugeMetricFamily(
        "etl_assets_last_success_timestamp_seconds", "When a run succeeded last.", labels=["source"]
    )
    for total in totals:
        read.add_metric([total.source], total.read)
        rejected.add_metric([total.source], total.rejected)
        for change in _CHANGES:
            written.add_metric([total.source, change], getattr(total, change))
        for status in _ENDS:
            runs.add_metric([total.source, status], getattr(total, status))
        with_something = total.succeeded + total.failed + total.cancelled + total.crashed
        durations.add_metric([total.source], with_something, total.seconds)
        if total.succeeded_at is not None:
            success.add_metric([total.source], total.succeeded_at)
    return [read, rejected, written, runs, durations, success]


def _of_newest_runs(found: Iterable[sources.NewestRuns]) -> list[Metric]:
    under_way = GaugeMetricFamily("etl_assets_runs_under_way", "Runs in progress.", labels=["source"])
    seconds = GaugeMetricFamily(
        "etl_assets_last_run_duration_seconds",
        "How long the newest run took that ended and had something to do.",
        labels=["source"],
    )
    failures = GaugeMetricFamily(
        "etl_assets_consecutive_failures",
        f"Runs that failed or crashed since the last success, among the newest {sources.NEWEST_RUNS}.",
        labels=["source"],
    )
    pause = GaugeMetricFamily(
        "etl_assets_longest_pause_seconds",
        f"The longest time between two successes among the newest {sources.NEWEST_RUNS} runs.",
        labels=["source"],
    )
    for runs in found:
        under_way.add_metric([runs.source], runs.under_way)
        failures.add_metric([runs.source], runs.failures)
        if runs.seconds is not None:
            seconds.add_metric([runs.source], runs.seconds)
        if runs.longest_pause is not None:
            pause.add_metric([runs.source], runs.longest_pause)
    return [under_way, seconds, failures, pause]


def _of_quarantine(found: Iterable[sources.Waiting]) -> list[Metric]:
    records = GaugeMetricFamily(
        "etl_assets_records_waiting",
        f"Records that wait in the quarantine, counted up to {sources.MOST_COUNTED}.",
        labels=["source", "status"],
    )
    oldest = GaugeMetricFamily(
        "etl_assets_oldest_waiting_timestamp_seconds",
        "When the oldest record was rejected that waits in the quarantine.",
        labels=["source"],
    )
    for waiting in found:
        records.add_metric([waiting.source, "open"], waiting.open)
        records.add_metric([waiting.source, "parked"], waiting.parked)
        if waiting.oldest_at is not None:
            oldest.add_metric([waiting.source], waiting.oldest_at)
    return [records, oldest]


def _of_drift(found: dict[str, int], names: Iterable[str]) -> Metric:
    drift = GaugeMetricFamily("etl_assets_drift_open", "Open changes of what is published.", labels=["source"])
    for source in sorted({*names, *found}):
        drift.add_metric([source], found.get(source, 0))
    return drift


def _of_alerts(found: Iterable[alerting.OpenAlerts]) -> list[Metric]:
    by_severity: dict[str, int] = dict.fromkeys(SEVERITIES, 0)
    alerts = GaugeMetricFamily("etl_assets_source_alerts_open", "Open alerts.", labels=["source", "rule", "severity"])
    for alert in found:
        alerts.add_metric([alert.source, alert.rule, alert.severity], alert.alerts)
        by_severity[alert.severity] += alert.alerts
    every = GaugeMetricFamily("etl_assets_alerts_open", "Open alerts of all sources.", labels=["severity"])
    for severity, number in by_severity.items():
        every.add_metric([severity], number)
    return [every, alerts]


def _of_channels(found: Iterable[alerting.Channel]) -> list[Metric]:
    waiting = GaugeMetricFamily(
        "etl_assets_notifications_waiting", "Notifications that wait in the outbox.", labels=["channel"]
    )
    refused = GaugeMetricFamily(
        "etl_assets_notification_refusals",
        "How many times the channel refused the waiting notification that it refused most often.",
        labels=["channel"],
    )
    lost = GaugeMetricFamily("etl_assets_channel_lost", "Whether a channel takes no notifications.", labels=["channel"])
    due = GaugeMetricFamily(
        "etl_assets_next_notification_timestamp_seconds",
        "When the next notification that waits is due, or was.",
        labels=["channel"],
    )
    sent = GaugeMetricFamily(
        "etl_assets_last_notification_timestamp_seconds", "When a channel took a notification last.", labels=["channel"]
    )
    for channel in found:
        waiting.add_metric([channel.name], channel.waiting)
        refused.add_metric([channel.name], channel.refused)
        lost.add_metric([channel.name], channel.lost)
        if channel.due_at is not None:
            due.add_metric([channel.name], channel.due_at)
        if channel.sent_at is not None:
            sent.add_metric([channel.name], channel.sent_at)
    return [waiting, refused, lost, due, sent]
