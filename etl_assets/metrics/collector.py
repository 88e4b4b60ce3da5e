"""Collects the metrics of both databases. A database that is away has none, and the rest is exported."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from etl_assets.errors import EtlAssetsError
from etl_assets.metrics.orchestration import orchestration_metrics
from etl_assets.metrics.warehouse import warehouse_metrics
from etl_assets.postgres.metrics.session import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

KEPT_SECONDS: Final = 5.0
"""How long an answer is given again, so that many scrapers cost the databases what one does."""
_PARTS: Final = {"warehouse": warehouse_metrics, "dagster": orchestration_metrics}
_LOG: Final = logging.getLogger(__name__)


class DatabaseCollector:
    """A collector of prometheus_client that reads both databases each time.

    Attributes:
        urls: The URLs of the databases ``warehouse`` and ``dagster``.
        failures: How many times each could not be read.
    """

    def __init__(self, urls: Mapping[str, str]) -> None:
        self.urls = urls
        self.failures = dict.fromkeys(urls, 0)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of each database that can be read, and whether and how fast it was."""
        up = GaugeMetricFamily("etl_assets_up", "Whether a database could be read.", labels=["database"])
        took = GaugeMetricFamily("etl_assets_scrape_duration_seconds", "How long that took.", labels=["database"])
        failed = CounterMetricFamily(
            "etl_assets_scrape_failures", "How many times it could not be read.", labels=["database"]
        )
        for name, url in self.urls.items():
            began = time.perf_counter()
            metrics = self._read(name, url)
            took.add_metric([name], time.perf_counter() - began)
            up.add_metric([name], metrics is not None)
            failed.add_metric([name], self.failures[name])
            yield from metrics or ()
        yield from (up, took, failed)

    def _read(self, name: str, url: str) -> list[Metric] | None:
        """Return the metrics of a database; None if it cannot be read, which is logged."""
        try:
            with reading(url) as connection:
                return _PARTS[name](connection)
        except EtlAssetsError as error:
            self.failures[name] += 1
            _LOG.warning("No metrics of the database '%s' are exported. %s", name, error)
            return None


class Exposition:
    """The metrics as a text, which is kept for a few seconds. Not for several threads at once."""

    def __init__(self, urls: Mapping[str, str], kept_seconds: float = KEPT_SECONDS) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(DatabaseCollector(urls))
        self._kept_seconds = kept_seconds
        self._text = b""
        self._read_at = -kept_seconds

    def text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        if time.monotonic() - self._read_at >= self._kept_seconds or not self._text:
            self._text = generate_latest(self._registry)
            self._read_at = time.monotonic()
        return self._text
