"""The help of the command line, and the list of its commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from etl_assets import cli
from etl_assets.cli import main

_ROOT = Path(__file__).parents[2]


def test_help_imports_no_slow_module() -> None:
    code = (
        "import sys\nfrom etl_assets.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "print(*sorted({'dagster', 'polars', 'pandas', 'psycopg', 'sqlalchemy', 'rich'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == ""


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
