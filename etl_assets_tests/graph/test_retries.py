"""Which failures are retried and when, and which are never retried."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest
import yaml

from etl_assets import FileExtractor
from etl_assets.errors import BusyError, DeliveryUnreachableError, LoadError, TransientLoadError
from etl_assets.extract.formats.csv import Csv
from etl_assets.graph.jobs import source_job
from etl_assets.graph.runs import retries
from etl_assets.graph.runs.retries import TRANSIENT_FETCH, retried_errors, retrying

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from etl_assets import Fetched, Partition
    from etl_assets_tests.graph.conftest import Bench

_INSTANCE = Path(__file__).parents[2] / "dagster.yaml"


def _wait(tries: int) -> float:
    with pytest.raises(dg.RetryRequested) as retry, retrying(tries):
        raise BusyError("busy")
    assert retry.value.seconds_to_wait is not None
    return retry.value.seconds_to_wait


@pytest.mark.parametrize(("tries", "longest"), [(0, 4), (1, 8), (2, 16), (3, 32), (4, 64), (9, 120), (400, 120)])
def test_waits_double_up_to_a_limit_and_are_random(tries: int, longest: float) -> None:
    waits = {_wait(tries) for _ in range(50)}
    assert len(waits) > 1
    assert all(longest / 2 <= wait <= longest for wait in waits)


@pytest.mark.parametrize("error", [LoadError("refused"), ValueError("a mistake"), DeliveryUnreachableError("gone")])
def test_an_error_that_a_retry_cannot_resolve_is_raised_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, retrying(0):
        raise error
    assert raised.value is error


def test_after_the_last_try_no_error_is_retried() -> None:
    assert retried_errors(retries.RETRIES) == ()
    assert issubclass(TransientLoadError, retried_errors(retries.RETRIES - 1))
    assert issubclass(DeliveryUnreachableError, retried_errors(0, TRANSIENT_FETCH))


class Unsteady(FileExtractor):
    """A publisher that does not answer the first two fetches."""

    def fetch(self, partition: Partition) -> AbstractContextManager[Fetched]:
        count = Path(self.location).with_suffix(".count")
        fetches = int(count.read_text()) if count.exists() else 0
        count.write_text(str(fetches + 1))
        if fetches < 2:
            raise DeliveryUnreachableError("There is no answer. Nothing was written. Try again later.")
        return super().fetch(partition)


def test_a_fetch_without_an_answer_is_retried_in_the_same_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)
    path = bench.folder / "people.csv"
    source = bench.people("1,Ada,36", extractor=Unsteady(location=str(path), format=Csv(), settle_seconds=0))
    result = bench.run(source)
    assert result.success
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == 2
    said = [record.getMessage() for record in caplog.records if record.name == retries.__name__]
    assert said == ["Trying again in 0 seconds. There is no answer. Nothing was written. Try again later."] * 2
    assert bench.query("SELECT id FROM core.people") == [(1,)]
    assert bench.query("SELECT status FROM etl.run") == [("succeeded",)]


@pytest.fixture
def instance(dagster_home: str) -> Iterator[dg.DagsterInstance]:
    """An instance that retries runs as ``dagster.yaml`` says."""
    settings = yaml.safe_load(_INSTANCE.read_text())
    with dg.DagsterInstance.local_temp(dagster_home, overrides={"run_retries": settings["run_retries"]}) as local:
        yield local


def test_dagster_does_not_retry_a_run_whose_delivery_was_refused(bench: Bench) -> None:
    result = bench.run(bench.people("1,Ada,999"))
    assert not result.success
    run = bench.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["dagster/will_retry"] == "false"


def test_dagster_retries_a_run_whose_process_died(bench: Bench) -> None:
    from etl_assets.graph.build import definitions

    job = source_job(definitions({"people": bench.declare()}), "people")
    run = bench.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    bench.instance.report_run_failed(run, "The process died.")
    died = bench.instance.get_run_by_id(run.run_id)
    assert died is not None
    assert died.tags["dagster/will_retry"] == "true"
