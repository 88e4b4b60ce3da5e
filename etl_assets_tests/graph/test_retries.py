"""Which failures are tried again, when, and which never are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest
import yaml

from etl_assets import FileExtractor
from etl_assets.errors import BusyError, DeliveryUnreachableError, LoadError, TransientLoadError
from etl_assets.extract.formats.csv import Csv
from etl_assets.graph.runs import retries
from etl_assets.graph.runs.retries import TRANSIENT_FETCH, retried, retrying

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from etl_assets import Fetched, Partition
    from etl_assets_tests.graph.conftest import Bench

_INSTANCE = Path(__file__).parents[2] / "dagster.yaml"


def _wait(tries: int) -> float:
    with pytest.raises(dg.RetryRequested) as asked, retrying(tries):
        raise BusyError("busy")
    assert asked.value.seconds_to_wait is not None
    return asked.value.seconds_to_wait


@pytest.mark.parametrize(("tries", "longest"), [(0, 4), (1, 8), (2, 16), (3, 32), (4, 64), (9, 120), (400, 120)])
def test_each_wait_is_twice_as_long_as_the_one_before_up_to_a_limit_and_differs_by_chance(
    tries: int, longest: float
) -> None:
    waits = {_wait(tries) for _ in range(50)}
    assert len(waits) > 1
    assert all(longest / 2 <= wait <= longest for wait in waits)


@pytest.mark.parametrize("error", [LoadError("refused"), ValueError("a mistake"), DeliveryUnreachableError("gone")])
def test_what_another_try_at_a_load_does_not_mend_goes_on_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, retrying(0):
        raise error
    assert raised.value is error


def test_after_the_last_try_nothing_is_tried_again() -> None:
    assert retried(retries.RETRIES) == ()
    assert issubclass(TransientLoadError, retried(retries.RETRIES - 1))
    assert issubclass(DeliveryUnreachableError, retried(0, TRANSIENT_FETCH))


class Unsteady(FileExtractor):
    """A publisher who does not answer the first two times."""

    def fetch(self, partition: Partition) -> AbstractContextManager[Fetched]:
        count = Path(self.location).with_suffix(".count")
        asked = int(count.read_text()) if count.exists() else 0
        count.write_text(str(asked + 1))
        if asked < 2:
            raise DeliveryUnreachableError("There is no answer. Nothing was written. Try again later.")
        return super().fetch(partition)


def test_a_publisher_who_does_not_answer_is_asked_again_in_the_same_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)
    path = bench.folder / "people.csv"
    source = bench.people("1,Ada,36", extractor=Unsteady(location=str(path), format=Csv(), settle_seconds=0))
    result = bench.run(source)
    assert result.success
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == 2
    assert bench.query("SELECT id FROM core.people") == [(1,)]
    assert bench.query("SELECT status FROM etl.run") == [("succeeded",)]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """One that starts runs again as the instance file says."""
    told = yaml.safe_load(_INSTANCE.read_text())
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides={"run_retries": told["run_retries"]}) as local:
        yield local


def test_a_run_whose_records_were_refused_is_not_started_again(bench: Bench) -> None:
    result = bench.run(bench.people("1,Ada,999"))
    assert not result.success
    run = bench.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["dagster/will_retry"] == "false"


def test_a_run_whose_process_died_is_started_again(bench: Bench) -> None:
    from etl_assets.graph.build import definitions

    job = definitions({"people": bench.declare()}).resolve_job_def("people")
    run = bench.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    bench.instance.report_run_failed(run, "The process died.")
    died = bench.instance.get_run_by_id(run.run_id)
    assert died is not None
    assert died.tags["dagster/will_retry"] == "true"
