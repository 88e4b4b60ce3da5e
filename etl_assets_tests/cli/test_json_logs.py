"""What commands and Dagster's own print is JSON, line by line, with the run and without the contents of records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets_tests.cli.desk import prepare_january

if TYPE_CHECKING:
    from etl_assets_tests.cli.conftest import Prepared

pytestmark = pytest.mark.slow
_COMMAND = ("-c", "from etl_assets.cli import main; main()", "--verbose")
_MATERIALIZE = """
import dagster as dg
with dg.DagsterInstance.get() as instance:
    from etl_assets.definitions import defs
    job = defs.resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey([layer, "stations"]) for layer in ("landing", "core", "quarantine")]
    assert job.get_subset(asset_selection=set(keys)).execute_in_process(instance=instance).success
"""


def lines(*arguments: str, exit_code: int = 0) -> list[dict[str, Any]]:
    """Every line that a process of Python writes to standard error."""
    environ = {**os.environ, "ETL_ASSETS_LOG_FORMAT": "json"}
    done = subprocess.run([sys.executable, *arguments], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == exit_code, done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_every_line_of_a_run_is_json_and_says_which_run_it_is(prepared: Prepared) -> None:
    desk = prepared(prepare_january)
    found = lines(*_COMMAND, "run", "readings", "--partition", "2013-01-01", "--force")
    ((run_id,),) = desk.query("SELECT run_id FROM etl.run ORDER BY id DESC LIMIT 1")
    of_run = [line for line in found if line.get("run") == run_id]
    assert len(of_run) > 20
    assert {line["partition"] for line in of_run} == {"2013-01-01"}
    assert {line["source"] for line in of_run} == {"readings"}
    assert {"STEP_START", "STEP_SUCCESS", "ASSET_MATERIALIZATION"} <= {line.get("event") for line in of_run}
    text = json.dumps(found)
    assert not any(contents in text for contents in ("warm", "=Bo", "Ann"))


def test_a_run_that_fails_says_with_which_error(prepared: Prepared) -> None:
    desk = prepared(prepare_january)
    desk.publish("2013-01-02.csv", "other,names\nsecret,2\n")
    found = lines(*_COMMAND, "run", "readings", "--partition", "2013-01-02", "--json", exit_code=1)
    (failed,) = [line for line in found if line.get("event") == "STEP_FAILURE"]
    assert (failed["level"], failed["error"], failed["source"]) == ("ERROR", "ShapeError", "readings")
    assert failed["partition"] == "2013-01-02"
    ((error,),) = desk.query("SELECT error FROM etl.run WHERE partition = '2013-01-02'")
    assert failed["error_text"] == error
    assert "secret" not in json.dumps(found)


def test_a_run_that_no_command_started_prints_json(prepared: Prepared) -> None:
    desk = prepared(prepare_january)
    desk.publish("stations.csv", "code\nA\nB\nC\n")
    found = lines("-c", _MATERIALIZE)
    assert {line["source"] for line in found if line.get("event") == "STEP_START"} == {"stations"}
    assert desk.query("SELECT count(*) FROM core.stations") == [(3,)]


def test_an_error_of_a_command_is_a_line_too(prepared: Prepared) -> None:
    desk = prepared(prepare_january)
    desk.execute("UPDATE etl.schema_version SET version_num = '0001'")
    (found,) = lines(*_COMMAND, "alerts", "list", exit_code=3)
    assert (found["level"], found["error"]) == ("ERROR", "SettingsError")
    assert "etl-assets migrate" in found["error_text"]
