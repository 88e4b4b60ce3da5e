"""Commands in a folder that has no warehouse: they say where they looked, and create none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from etl_assets.cli import WRONG_SETTINGS, main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in an environment without settings."""
    for name in ("HOME", "DATABASE_URL", "DAGSTER_URL", "SOURCES", "PROJECT"):
        monkeypatch.delenv(f"ETL_ASSETS_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["sql", "SELECT 1"],
        ["db", "url"],
        ["quarantine", "list"],
        ["drift", "list"],
        ["alerts", "list"],
        ["metrics"],
        ["run", "airlines"],
    ],
    ids=" ".join,
)
def test_a_command_starts_none(folder: Path, words: list[str]) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == WRONG_SETTINGS, result.output
    assert "There is no warehouse here. Nothing was started and nothing was created." in result.stderr
    assert f"none in {folder} or above it" in result.stderr
    assert f"Data of an embedded server in {folder}/.etl_assets: none." in result.stderr
    assert list(folder.iterdir()) == []


def test_in_a_project_the_message_names_its_file_and_its_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pyproject.toml").write_text('[tool.etl_assets]\nhome = "local"\n')
    (folder / "deep").mkdir()
    monkeypatch.chdir(folder / "deep")
    result = CliRunner().invoke(main, ["status"])
    assert f"found {folder}/pyproject.toml" in result.stderr
    assert f"Data of an embedded server in {folder}/local: none." in result.stderr
    assert "etl-assets migrate" in result.stderr
    assert not (folder / "local").exists()
