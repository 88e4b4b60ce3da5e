"""A kind of rule is added as CONTRIBUTING describes: by one file and its test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parents[2]
KIND = "etl_assets/schema/rules/starts_with.py"
KINDS = "etl_assets_tests/schema/test_kinds.py"
TEST = "etl_assets_tests/schema/test_starts_with.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project with the kind and its test added as documented."""
    for folder in ("etl_assets", "etl_assets_tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs").mkdir()
    for file in ("docs/declaring-a-source.md", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path / file)
    section = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("### A rule\n")[2]
    kind, test = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[:2]
    (tmp_path / KIND).write_text(kind, encoding="utf-8")
    (tmp_path / TEST).write_text(test, encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(checkout: Path, postgres_url: str) -> Run:
    """Runs a module in the copy."""
    variables = {**os.environ, "PYTHONPATH": str(checkout), "ETL_ASSETS_TEST_DATABASE_URL": postgres_url}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, cwd=checkout, env=variables, capture_output=True, text=True, check=False)

    return run


def test_a_documented_kind_is_checked_quarantined_audited_and_documented(checkout: Path, run: Run) -> None:
    assert run("etl_assets_tests.generated").returncode == 0
    assert "    starts_with: str | None\n" in (checkout / "etl_assets/schema/rules/keywords.py").read_text("utf-8")
    document = (checkout / "docs/declaring-a-source.md").read_text("utf-8")
    assert "| `starts_with` | what a text must begin with |" in document
    tests = run("pytest", "-q", "-p", "no:cacheprovider", TEST, KINDS, "-k", "Starts or every")
    assert tests.returncode == 0, tests.stdout
    assert " passed" in tests.stdout


def test_a_kind_without_its_test_is_found(checkout: Path, run: Run) -> None:
    (checkout / TEST).unlink()
    tests = run("pytest", "-q", "-p", "no:cacheprovider", KINDS, "-k", "every_kind")
    assert tests.returncode == 1, tests.stdout
    assert "test_every_kind_of_rule_has_a_suite" in tests.stdout
