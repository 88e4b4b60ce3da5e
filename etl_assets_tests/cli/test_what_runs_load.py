"""A fork loads the files that its run needs, and no others; its events are those of a run that loads everything."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from etl_assets.graph.keys import PRUNE, asset_keys
from etl_assets_tests.cli.desk import prepare_published
from etl_assets_tests.cli.launches import launching
from etl_assets_tests.cli.written_by_hand import CHECK, MART
from etl_assets_tests.declared_files import source_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk
    from etl_assets_tests.cli.launches import Launches

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks runs"), pytest.mark.slow]
_OF_EVERY_RUN = ("dagster/code_version", "dagster/input_data_version/core/stations")
_MARK = """
import os, pathlib
with pathlib.Path({log!r}).open("a") as log:
    log.write(f"{{os.getpid()}} {{__name__.rpartition('.')[2]}}\\n")
"""
_ENDS_THE_PROCESS = """
import os
if os.getpid() != {pid}:
    os._exit(3)
"""
_OWN = {"stations", "readings", "parcels", "copies", "by_day", "several"}


class Marked:
    """A desk whose files note which processes load them."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._log = desk.folder / "log"
        declared = desk.folder / "declared"
        after = 'trigger=__import__("etl_assets").After("core/stations"),'
        (declared / "copies.py").write_text(source_text("copies", str(desk.folder / "feeds" / "copies.csv"), after))
        (declared / "by_day.py").write_text(MART.format(name="by_day"))
        (declared / "several.py").write_text(MART.format(name="by_month"))
        for path in declared.glob("*.py"):
            path.write_text(_MARK.format(log=str(self._log)) + path.read_text())
        desk.publish("copies.csv", "id\n1\n")

    def loaded_by(self, process: int) -> set[str]:
        lines = [line.split() for line in self._log.read_text().splitlines()]
        return {name for pid, name in lines if int(pid) == process}


@pytest.fixture
def desk(prepared: Prepared) -> Desk:
    return prepared(prepare_published)


@pytest.fixture
def marked(desk: Desk) -> Marked:
    return Marked(desk)


@pytest.fixture
def launches(desk: Desk) -> Iterator[Launches]:  # noqa: ARG001 -- the folder is there before the parent
    with launching() as launches:
        yield launches


def _events(launches: Launches, run: dg.DagsterRun) -> list[Any]:
    """Return what Dagster stores of a run, without what differs between any two runs: ids, times, and what was read."""
    found: list[Any] = []
    for log in launches.instance.all_logs(run.run_id):
        event = log.get_dagster_event() if log.is_dagster_event else None
        if event is None or event.event_type == dg.DagsterEventType.ENGINE_EVENT:
            continue
        details: Any = None
        if event.is_step_materialization:
            made = event.step_materialization_data.materialization
            tags = {tag: value if tag in _OF_EVERY_RUN else None for tag, value in (made.tags or {}).items()}
            details = (made.partition, tags, sorted(made.metadata))
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            details = (check.asset_check_key, check.passed, check.blocking, check.severity, check.description)
        found.append((event.event_type_value, event.step_key, event.asset_key, details))
    return found


def test_a_fork_loads_the_files_that_its_run_needs(launches: Launches, marked: Marked) -> None:
    for keys, partition, needed in (
        (asset_keys("stations"), None, {"stations"}),
        (asset_keys("readings"), "2013-01-01", {"readings", "stations"}),
        (asset_keys("copies"), None, {"copies", "stations"}),
        ([dg.AssetKey(["marts", "by_day"])], None, {"by_day", "readings", "stations"}),
        ([dg.AssetKey(["marts", "by_month"])], None, _OWN),
    ):
        run = launches.launch(*keys, partition=partition)
        launches.ends_as(run, dg.DagsterRunStatus.SUCCESS)
        assert marked.loaded_by(launches.process(run).pid) == needed


def test_a_fork_of_another_job_loads_everything(launches: Launches, marked: Marked) -> None:
    run = launches.launch(job=PRUNE)
    launches.ends_as(run, dg.DagsterRunStatus.SUCCESS)
    assert marked.loaded_by(launches.process(run).pid) == _OWN


def test_a_file_that_ends_its_process_stops_no_run_that_does_not_need_it(launches: Launches, desk: Desk) -> None:
    (desk.folder / "declared" / "deadly.py").write_text(_ENDS_THE_PROCESS.format(pid=os.getpid()))
    launches.ends_as(launches.launch(*asset_keys("stations")), dg.DagsterRunStatus.SUCCESS)


def test_a_fork_evaluates_a_check_that_is_in_another_file(launches: Launches, desk: Desk) -> None:
    (desk.folder / "declared" / "checks.py").write_text(CHECK)
    run = launches.launch(*asset_keys("stations"))
    launches.ends_as(run, dg.DagsterRunStatus.SUCCESS)
    assert "There are two." in str(_events(launches, run))


def test_a_fork_has_the_events_of_a_process_that_loads_everything(launches: Launches, marked: Marked) -> None:
    launches.ends_as(launches.launch(*asset_keys("stations")), dg.DagsterRunStatus.SUCCESS)
    again = {"landing__readings": {"config": {"fetch": True}}, "core__readings": {"config": {"force": True}}}
    given: dict[str, Any] = {"partition": "2013-01-01", "run_config": {"ops": again}}
    launches.ends_as(launches.launch(*asset_keys("readings"), **given), dg.DagsterRunStatus.SUCCESS)
    fork = launches.launch(*asset_keys("readings"), **given)
    launches.ends_as(fork, dg.DagsterRunStatus.SUCCESS)
    assert marked.loaded_by(launches.process(fork).pid) == {"readings", "stations"}
    loads_everything = launches.create(*asset_keys("readings"), **given)
    launches.execute(loads_everything)
    launches.ends_as(loads_everything, dg.DagsterRunStatus.SUCCESS)
    assert _events(launches, fork) == _events(launches, loads_everything)
