"""Drives a sensor as Dagster's daemon does: keeps its cursor, adds partitions, starts one run for each run key."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from etl_assets.graph.build import definitions
from etl_assets.graph.jobs import source_job

if TYPE_CHECKING:
    from pathlib import Path

    from dagster._core.execution.execute_in_process_result import ExecuteInProcessResult

    from etl_assets import Source
    from etl_assets_tests.graph.conftest import Bench


EVERY = timedelta(minutes=1)


def publish(path: Path, *lines: str, age: float = 60.0) -> None:
    """Write a file and set its modification time to `age` seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["id,name,age", *lines, ""]))
    at = time.time() - age
    os.utime(path, (at, at))


@dataclass
class Watcher:
    """The sensor of a source, tick by tick."""

    bench: Bench
    source: Source
    cursor: str | None = None
    keys: set[str] = field(default_factory=set)
    data: dg.SensorExecutionData | None = None

    def tick(self) -> list[dg.RunRequest]:
        """Evaluate one tick; return the run requests that the daemon would start, without starting them."""
        built = definitions({self.source.name: self.source})
        sensor = built.resolve_sensor_def(f"{self.source.name}_sensor")
        context = dg.build_sensor_context(
            instance=self.bench.instance,
            instance_ref=self.bench.instance.get_ref() if self.bench.instance.is_persistent else None,
            cursor=self.cursor,
            repository_def=built.get_repository_def(),
        )
        self.data = sensor.evaluate_tick(context)
        self.cursor = self.data.cursor
        for request in self.data.dynamic_partitions_requests or []:
            self.bench.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        requests = [r for r in self.data.run_requests or [] if r.run_key not in self.keys]
        self.keys |= {request.run_key for request in requests if request.run_key is not None}
        return requests

    def requested_keys(self) -> list[str | None]:
        """Evaluate one tick; return the requested partitions."""
        return [request.partition_key for request in self.tick()]

    def start(self, request: dg.RunRequest) -> ExecuteInProcessResult:
        """Execute a requested run in this process."""
        job = source_job(definitions({self.source.name: self.source}), self.source.name)
        return job.execute_in_process(
            instance=self.bench.instance, partition_key=request.partition_key, tags=request.tags, raise_on_error=False
        )

    def poll(self) -> list[bool]:
        """Evaluate one tick and execute the requested runs; return whether each run succeeded."""
        return [self.start(request).success for request in self.tick()]

    def queue(self, request: dg.RunRequest) -> dg.DagsterRun:
        """Create a started run that does not end."""
        job = source_job(definitions({self.source.name: self.source}), self.source.name)
        return self.bench.instance.create_run_for_job(job, tags=dict(request.tags), status=dg.DagsterRunStatus.STARTED)

    @property
    def message(self) -> str:
        """The reason why the last tick requested nothing."""
        return (self.data.skip_message if self.data else None) or ""
