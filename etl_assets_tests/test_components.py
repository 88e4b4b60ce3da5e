"""The component for Dagster's dg: what it scaffolds, and which definitions it returns."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from etl_assets.cli import main
from etl_assets_tests.documented import ROOT

_TYPE = "etl_assets.components.SourceComponent"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the source stations."""
    for name in ("HOME", "DATABASE_URL", "SOURCES", "PROJECT"):
        monkeypatch.delenv(f"ETL_ASSETS_{name}", raising=False)
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "stations.csv").write_text("id,name\n1,A\n2,B\n")
    assert CliRunner().invoke(main, ["init", "stations.csv"]).exit_code == 0
    return folder


def dg(folder: Path, *arguments: str, exit_code: int = 0) -> str:
    """What a command of dg prints, standard output before standard error."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DAGSTER_HOME": "",
        "VIRTUAL_ENV": str(Path(sys.executable).parents[1]),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [str(Path(sys.executable).with_name("dg")), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done.stdout + done.stderr


def assets(folder: Path) -> set[str]:
    """The keys of the assets that dg lists."""
    printed = dg(folder, "list", "defs", "--json")
    found, _ = json.JSONDecoder().raw_decode(printed, printed.index("{"))
    return {asset["asset_key"] for asset in found["assets"]}


@pytest.mark.slow
def test_a_new_project_passes_the_checks_of_dg_and_lists_its_assets(project: Path) -> None:
    assert "All definitions loaded successfully." in dg(project, "check", "defs")
    assert "All TOML configuration files are valid." in dg(project, "check", "toml")
    assert {"landing/stations", "core/stations", "quarantine/stations"} <= assets(project)


@pytest.mark.slow
def test_dg_writes_a_declaration_that_both_load(project: Path) -> None:
    (project / "rates.csv").write_text("code,rate\nA,1.5\nB,2.5\n")
    dg(project, "scaffold", "defs", _TYPE, "rates", "--location", "rates.csv")
    assert 'location="rates.csv"' in (project / "shop/defs/rates/rates.py").read_text()
    settings = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["etl_assets"]
    assert settings == {"sources": ["shop/defs/sources", "shop/defs/rates"], "bundled": False}
    assert {"core/stations", "core/rates"} <= assets(project)
    listed = CliRunner().invoke(main, ["sources", "--json"]).stdout.splitlines()
    assert [json.loads(line)["name"] for line in listed] == ["stations", "rates"]


@pytest.mark.slow
def test_what_cannot_be_inferred_leaves_nothing_behind(project: Path) -> None:
    before = (project / "pyproject.toml").read_text()
    printed = dg(project, "scaffold", "defs", _TYPE, "rates", "--location", "missing.csv", exit_code=1)
    assert "There is no file" in printed
    assert not (project / "shop/defs/rates").exists()
    assert (project / "pyproject.toml").read_text() == before


@pytest.mark.slow
def test_a_folder_that_the_project_file_does_not_name_is_refused(project: Path) -> None:
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace('sources = ["shop/defs/sources"]', "sources = []"))
    assert "does not name it" in " ".join(dg(project, "check", "defs", exit_code=1).split())


@pytest.mark.slow
def test_a_project_of_dg_alone_gets_its_settings(project: Path) -> None:
    file = project / "pyproject.toml"
    text = file.read_text()
    start, end = text.index("[tool.etl_assets]"), text.index("[tool.dg]")
    file.write_text(text[:start] + text[end:])
    # With the byte code that the process before may have written.
    shutil.rmtree(project / "shop/defs/sources")
    (project / "tests/test_stations.py").unlink()
    dg(project, "scaffold", "defs", _TYPE, "stations", "--location", "stations.csv")
    settings = tomllib.loads(file.read_text())["tool"]["etl_assets"]
    assert settings == {"sources": ["shop/defs/stations"], "bundled": False}
    assert "core/stations" in assets(project)
