"""Commands work although a file of sources does not load; only those that need its source fail, with its error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from etl_assets.cli import main
from etl_assets_tests.cli.desk import prepare_published

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

_PROBLEM = "Line 1: ModuleNotFoundError: No module named 'nonesuch'."


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    desk = prepared(prepare_published)
    (desk.folder / "declared" / "broken.py").write_text("import nonesuch\n")
    return desk


def test_other_sources_run_and_the_doctor_lists_the_file(ready: Desk) -> None:
    (line,) = ready.lines("run", "stations", "--json")
    assert line["status"] == "loaded"
    (output,) = ready.lines("doctor", "--json", exit_code=4)
    (violation,) = output["violations"]
    assert violation["invariant"] == "files_load"
    assert violation["subject"] == str(ready.folder / "declared" / "broken.py")
    assert _PROBLEM.removesuffix(".") in violation["problem"]
    audited = ready.type("audit")
    assert audited.exit_code == 0
    assert _PROBLEM in audited.stderr


@pytest.mark.parametrize("command", [("run", "broken"), ("audit", "broken"), ("preview", "broken")])
def test_a_command_that_needs_the_source_exits_with_3_and_the_error(ready: Desk, command: tuple[str, str]) -> None:
    result = ready.type(*command)
    assert result.exit_code == 3
    assert _PROBLEM in result.stderr
    assert "Traceback" not in result.output


def test_a_source_whose_trigger_is_wrong_does_not_run(ready: Desk) -> None:
    text = (ready.folder / "declared" / "stations.py").read_text()
    text = text.replace('name="stations"', 'name="sites", trigger=After("core/nonesuch")').replace(
        "Schema,", "Schema, After,"
    )
    (ready.folder / "declared" / "sites.py").write_text(text)
    result = ready.type("run", "sites")
    assert result.exit_code == 3
    assert "trigger names core/nonesuch, which does not exist" in result.stderr


def test_the_whole_error_of_a_file_is_printed_on_request(tmp_path: Path) -> None:
    file = tmp_path / "awry.py"
    file.write_text("raise ValueError('of the file')\n")
    runner = CliRunner()
    assert "of the file" not in runner.invoke(main, ["preview", str(file)]).stderr
    shown = runner.invoke(main, ["--verbose", "preview", str(file)])
    assert shown.exit_code == 3
    assert "ValueError: of the file" in shown.stderr
