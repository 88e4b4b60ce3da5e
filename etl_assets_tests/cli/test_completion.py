"""What the shell completes, and that neither a server is started nor much is imported for it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.cli.desk import prepare_january

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

_MAIN = "from etl_assets.cli import main; main(prog_name='etl-assets')"


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    """Record 1 is open, record 2 is parked; partition 2013-01-01 is loaded."""
    return prepared(prepare_january)


def _variables(words: str) -> dict[str, str]:
    """Return what bash puts into the environment to have the last word of a line completed."""
    return {
        **os.environ,
        "_ETL_ASSETS_COMPLETE": "bash_complete",
        "COMP_WORDS": f"etl-assets {words}",
        "COMP_CWORD": str(len(words.split(" "))),
    }


def _imported(words: str) -> set[str]:
    """Return the names of the packages that a completion imports."""
    code = f"import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n{_MAIN}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_variables(words)
    )
    assert done.stdout
    return set(done.stderr.split())


def _completed(words: str, **environment: str) -> list[str]:
    """Return what bash is offered for a line; the last word is the one that is completed."""
    variables = {**_variables(words), **environment}
    done = subprocess.run([sys.executable, "-c", _MAIN], capture_output=True, text=True, check=True, env=variables)
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_commands_and_names_of_sources_are_completed(ready: Desk) -> None:
    assert _completed("quar") == ["quarantine"]
    assert _completed("quarantine re") == ["reopen", "replay"]
    assert _completed("run read") == ["readings"]
    assert _completed("quarantine list --source st") == ["stations"]
    assert ready.folder.is_dir()


def test_ids_partitions_rules_and_deliveries_are_completed_from_the_warehouse(ready: Desk) -> None:
    assert _completed("quarantine show ") == ["1", "2"]
    assert _completed("run readings --partition 20") == ["2013-01-01"]
    assert _completed("quarantine dismiss --source readings --rule c") == ["celsius__type"]
    assert _completed("preview readings --delivery ") == ["2"]
    ready.execute(
        "INSERT INTO etl.alert (source, rule, severity, summary) VALUES ('readings', 'volume', 'warning', '')"
    )
    assert _completed("alerts ack ") == ["1"]


def test_a_warehouse_that_does_not_run_is_not_started_and_nothing_is_printed(tmp_path: Path) -> None:
    environment = {"ETL_ASSETS_DATABASE_URL": "", "ETL_ASSETS_HOME": str(tmp_path / "home")}
    assert _completed("quarantine show ", **environment) == []
    assert not (tmp_path / "home").exists()
    assert _completed("quarantine show ", ETL_ASSETS_DATABASE_URL="postgresql://x@127.0.0.1:1/x") == []
    assert _completed("quarantine show ", ETL_ASSETS_DATABASE_URL="nonsense") == []


def test_a_completion_imports_neither_dagster_nor_what_reads_feeds(ready: Desk) -> None:
    for words in ("quar", "run read", "quarantine show "):
        assert not _imported(words) & {"dagster", "great_expectations", "pandas", "polars", "pyarrow", "sqlalchemy"}
    assert ready.folder.is_dir()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    variables = {**os.environ, "_ETL_ASSETS_COMPLETE": f"{shell}_source"}
    done = subprocess.run([sys.executable, "-c", _MAIN], capture_output=True, text=True, check=True, env=variables)
    assert "_ETL_ASSETS_COMPLETE" in done.stdout


def test_the_nearest_name_is_suggested(ready: Desk) -> None:
    assert "Did you mean 'quarantine'?" in ready.type("quarantin").stderr
    assert "Did you mean 'readings'?" in ready.type("run", "reading").stderr
    assert "Did you mean '2013-01-02'?" in ready.type("run", "readings", "--partition", "2013-1-02").stderr
    assert "Did you mean 'celsius__type'?" in ready.type("quarantine", "list", "--rule", "celsius_type").stderr


def test_names_are_listed_if_none_is_near(ready: Desk) -> None:
    refusal = " ".join(ready.type("quarantine", "list", "--rule", "zzzz").stderr.replace("│", " ").split())
    assert "There is no rule 'zzzz'. Known are " in refusal
    assert "celsius__type" in refusal
