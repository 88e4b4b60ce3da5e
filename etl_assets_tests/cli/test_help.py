"""The help of the command line, and the list of its commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from etl_assets import cli
from etl_assets.cli import main
from etl_assets_tests.declared_files import source_text, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ROOT = Path(__file__).parents[2]


_SLOW = ("dagster", "great_expectations", "pandas", "polars", "psycopg", "pyarrow", "rich", "sqlalchemy", "stamina")
_MOST_MODULES = 200
"""Python itself has 33, and click about 60; see the benchmark of starting for what they take."""


def _slow_modules_after(*commands: Sequence[str], environment: Mapping[str, str] | None = None) -> set[str]:
    """Return which slow modules a process has imported after some commands."""
    code = (
        "import sys\nfrom etl_assets.cli import main\n"
        f"for words in {commands}: main(words, standalone_mode=False)\nprint(*({set(_SLOW)} & sys.modules.keys()))"
    )
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables)
    return set(done.stdout.splitlines()[-1].split())


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    yield path
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name)


def test_no_help_imports_a_slow_module() -> None:
    commands = [(*words, "--help") for words in _commands(main)]
    assert _slow_modules_after(*commands) == set()


def test_no_help_text_shows_the_escape_that_keeps_its_lines() -> None:
    for words in _commands(main):
        assert "\\b" not in CliRunner().invoke(main, [*words, "--help"]).output, words


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["init", "--help"]])
def test_a_help_text_imports_few_modules(words: list[str]) -> None:
    code = f"import sys\nfrom etl_assets.cli import main\nmain({words}, standalone_mode=False)\nprint(len(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) < _MOST_MODULES


def test_a_preview_imports_neither_dagster_nor_the_other_sources(tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("id\n1\n")
    measured = source_text("measured", str(feed))
    folder = write_files(tmp_path / "feeds", other="import great_expectations", measured=measured)
    environment = {"ETL_ASSETS_SOURCES": str(folder), "ETL_ASSETS_HOME": str(tmp_path / "home")}
    imported = _slow_modules_after(("preview", "measured"), environment=environment)
    assert not imported & {"dagster", "great_expectations"}


def test_help_lists_every_command_and_every_exit_code() -> None:
    text = CliRunner().invoke(main, ["--help"]).stdout
    modules = {"demo", "dev", "run", "preview", "quarantine", "doctor", "migrate"}
    assert all(f"  {name} " in text for name in modules)
    assert all(f"  {code}  " in text for code in (0, cli.FAILED, 2, cli.WRONG_SETTINGS, cli.UNSOUND))


@pytest.mark.parametrize("name", ["demo", "dev", "run", "preview", "quarantine", "doctor", "migrate"])
def test_every_command_has_a_help_text(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert "Options:" in result.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["dmeo"]).exit_code == 2


def test_the_instance_file_of_the_command_line_is_the_one_at_the_root() -> None:
    assert (Path(cli.__file__).parent / "dagster.yaml").read_text() == (_ROOT / "dagster.yaml").read_text()


def test_the_demo_installs_no_tools_of_developers() -> None:
    commands = subprocess.run(
        ["make", "-n", "-W", "uv.lock", "demo"], cwd=_ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "--no-default-groups" in commands
    assert "--all-extras" not in commands


def test_the_demo_is_installed_with_the_certificates_of_the_system() -> None:
    commands = subprocess.run(
        ["make", "-n", "-W", "uv.lock", "demo"], cwd=_ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert 'UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}" ' in commands
    assert commands.index("PIP_CERT=") < commands.index("pip install") < commands.index("uv sync")
    assert "for certs in ${SSL_CERT_FILE:-} /etc/ssl/" in commands


def test_a_command_that_runs_sources_does_not_import_great_expectations() -> None:
    code = (
        "import sys\nfrom etl_assets.cli import run, orchestration\nfrom etl_assets import definitions\n"
        "definitions.defs.get_repository_def().get_all_jobs()\nprint('great_expectations' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
