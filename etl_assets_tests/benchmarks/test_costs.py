"""The scenarios of what runs cost: they are found, and one of them from its command to its results."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks import costs
from benchmarks.cost import cost_grid
from benchmarks.cost_command import costs_markdown, scenarios
from benchmarks.costs import against_dlt, backlog
from benchmarks.lab import Lab
from benchmarks.server import Databases
from etl_assets_tests.documented import ROOT

FOLDER = Path(costs.__file__).parent


def test_every_module_is_a_scenario_and_can_be_run_alone() -> None:
    files = [path for path in FOLDER.glob("*.py") if not path.name.startswith("_")]
    titles = [scenario.title for scenario in scenarios()]
    assert len(set(titles)) == len(titles) == len(files)
    assert [path.name for path in files if "run(SCENARIO)" not in path.read_text("utf-8")] == []


def test_dlt_is_skipped_with_the_words_of_the_remedy_if_it_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(against_dlt, "find_spec", lambda _: None)
    said: list[str] = []
    lab = Lab(Databases("postgresql://nowhere"), tmp_path, said.append)
    assert list(against_dlt.SCENARIO.measure(lab, "quick")) == []
    assert said == ["  Skipped: dlt is not installed. Install the extra: pip install 'etl-assets[dlt]'."]


def test_the_results_say_what_was_not_measured() -> None:
    text = costs_markdown(
        (backlog.SCENARIO, against_dlt.SCENARIO), cost_grid([("Backlog", *[""] * 9)]), ["2 cores"], "full"
    )
    assert "Not measured here: Against dlt." in text
    assert "`python -m benchmarks.costs --full`" in text
    assert f"* Backlog: {backlog.SCENARIO.about}" in text
    assert "* 2 cores" in text


@pytest.mark.slow
def test_a_scenario_runs_its_sources_and_leaves_its_results_and_nothing_else() -> None:
    with tempfile.TemporaryDirectory(prefix="etl-assets-tests-") as folder:
        Path(folder).chmod(0o711)  # so that root's server, which runs under an account of its own, can enter it
        work, results = Path(folder, "work"), Path(folder, "RESULTS.md")
        results.write_text("# Benchmark results\n\nloads\n")
        command = [
            sys.executable,
            "-m",
            "benchmarks.costs.nothing_new",
            "--quick",
            f"--work={work}",
            f"--output={results}",
        ]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        text = results.read_text("utf-8")
        assert not (work / "costs").exists()
    assert text.startswith("# Benchmark results\n\nloads\n\n# What runs cost\n")
    [row] = [line for line in text.splitlines() if line.startswith("| Nothing new |")]
    seconds, client, server = (float(cell) for cell in row.split("|")[3:6])
    assert seconds > 0
    assert min(client, server) >= 0  # of so few records, a tick of the processor's clock or none
    assert "events" in row
    assert " 0 statements" not in row
