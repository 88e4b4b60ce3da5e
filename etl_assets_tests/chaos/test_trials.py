"""Random histories under faults end as the oracle computes, and it catches a package that is wrong."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from etl_assets_tests.documented import ROOT

FAULTED_RUNS = 200


def command(*options: str) -> subprocess.CompletedProcess[str]:
    """Run trials in a process of their own: they fork, which a process that has used Polars cannot do."""
    return subprocess.run(
        [sys.executable, "-m", "etl_assets_tests.chaos", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.database
@pytest.mark.slow
def test_histories_under_faults_end_as_the_oracle_computes() -> None:
    done = command("--seed", "0", "--at-least", str(FAULTED_RUNS))
    assert done.returncode == 0, done.stdout + done.stderr
    faulted = re.search(r"^\| all \| \d+ \| (\d+) \| 0 \|$", done.stdout, re.MULTILINE)
    assert faulted is not None, done.stdout
    assert int(faulted[1]) >= FAULTED_RUNS


def test_the_oracle_imports_nothing_of_the_package() -> None:
    code = (
        "import sys, etl_assets_tests.chaos.oracle; "
        "sys.exit(any(name.split('.')[0] == 'etl_assets' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
