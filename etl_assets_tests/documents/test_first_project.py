"""Every command of docs/first-project.md does its work, typed in an empty folder in the order of the document."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from etl_assets_tests.documented import ROOT

TEXT = (ROOT / "docs/first-project.md").read_text("utf-8")
FENCED = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
BLOCKS = [block for language, block in FENCED if language == "sh"]
_SHOWN = {
    "etl-assets run stations": " loaded ",
    "etl-assets sources": "core.rates",
    "etl-assets check": "2 files checked, 0 errors.",
    "python -m pytest -q": "4 passed",
    "echo 'SELECT 1' | etl-assets sql -": "?column?",
    "etl-assets db url": "postgresql://etl_assets_loader@127.0.0.1:",
    "dg check defs": "All definitions loaded successfully.",
}
"""What some commands must show."""


def lines(block: str) -> list[str]:
    """The commands of a block; one with a text after ``<<'END'`` is one command."""
    return [found[0].rstrip("\n") for found in re.finditer(r"^.*<<'END'\n(?:.*\n)*?END\n|^.+\n", block, re.MULTILINE)]


@pytest.mark.slow
def test_the_commands_work_in_their_order(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ETL_ASSETS_", "DAGSTER_"))
    }
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "VIRTUAL_ENV": str(Path(sys.executable).parents[1]),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    typed = [line for block in BLOCKS for line in lines(block)]
    installing, working = typed[:3], typed[3:]
    assert [line.split()[0] for line in installing] == ["python", ".", "pip"]
    for line in working:
        done = subprocess.run(
            ["sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        assert _SHOWN.get(line, "") in done.stdout + done.stderr, line
    assert set(_SHOWN) <= set(working)
    assert (folder / "rates_now.csv").read_text().startswith("code,rate,")
