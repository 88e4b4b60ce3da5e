"""What commands show on a terminal only: colours, and how many records of a large delivery are loaded."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.cli.desk import prepare_published

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets_tests.cli.conftest import Prepared
    from etl_assets_tests.cli.desk import Desk

_MAIN = "import sys; from etl_assets.cli import main; main(sys.argv[1:])"
_RED = "\x1b[31m"


@pytest.fixture
def ready(prepared: Prepared) -> Desk:
    return prepared(prepare_published)


def _on_a_terminal(arguments: Sequence[str], **environment: str) -> str:
    """Return what a command writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", _MAIN, *arguments]
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "150", **environment}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the process has ended
            pass
    os.close(ours)
    assert process.returncode is not None
    return shown.decode()


def test_an_error_is_red_on_a_terminal_and_nowhere_else(ready: Desk) -> None:
    arguments = ("quarantine", "show", "99")
    assert f"{_RED}\x1b[1mQuarantineError" in _on_a_terminal(arguments)
    assert "\x1b" not in _on_a_terminal(arguments, NO_COLOR="1")
    assert "\x1b" not in ready.type(*arguments).stderr


def test_the_records_of_a_large_delivery_are_counted_while_they_are_loaded(ready: Desk) -> None:
    rows = "".join(f"A,{day},1.5,{'x' * 400}\n" for day in range(60_000))
    ready.publish("2013-01-01.csv", f"station,day,temp,keeper\n{rows}")
    ready.succeed("run", "stations")
    for jobs in ("1", "2"):
        shown = _on_a_terminal(("run", "readings", "--partition", "2013-01-01", "--force", "--jobs", jobs))
        assert "readings 2013-01-01, records" in shown
        assert "/60000" in shown
