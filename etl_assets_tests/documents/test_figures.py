"""The figures in the README are those of the last benchmark."""

from __future__ import annotations

import re

from etl_assets_tests.documented import ROOT

README = (ROOT / "README.md").read_text("utf-8")
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")


def _rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    table = re.findall(r"(?:^\|.*\n)+", text.split(heading, 1)[1], re.MULTILINE)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_times_are_those_of_the_results() -> None:
    measured = [row[:5] for row in _rows(RESULTS, "## Time inside the ingest against psql")]
    assert _rows(README, "## How fast") == measured


def test_the_times_of_copying_are_those_of_the_results() -> None:
    copying = (ROOT / "benchmarks" / "COPYING.md").read_text("utf-8")
    ours, dlt, psql = (row[1] for row in _rows(copying, "## Whole processes"))
    assert f"copies a million rows of twelve columns in {ours} s, dlt's `sql_database` in {dlt} s" in README
    assert f"`psql` without any of it in {psql} s" in README


def test_the_peak_of_memory_is_that_of_the_results() -> None:
    rows = _rows(RESULTS, "## Peak memory of the ingest process")
    peak = max(int(cell) for row in rows for cell in row[1:3] if cell)
    assert f"Peak memory is {peak} MB at most" in README
