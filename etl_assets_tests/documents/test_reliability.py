"""The document on reliability has the results of a long run: every fault, every variant, and no violation."""

from __future__ import annotations

import re

from etl_assets_tests.chaos.history import FAULTS
from etl_assets_tests.chaos.report import DOCUMENT
from etl_assets_tests.chaos.variants import VARIANTS

FAULTED_RUNS = 2_000
RESULTS = DOCUMENT.read_text("utf-8").split("## Results", 1)[1]


def rows() -> dict[str, list[str]]:
    """Return the cells of each row of the tables, by its first cell."""
    lines = re.findall(r"^\| (.+) \|$", RESULTS, re.MULTILINE)
    return {name: cells for name, *cells in (line.split(" | ") for line in lines)}


def test_every_fault_has_met_runs_without_a_violation() -> None:
    for kind in (*FAULTS, "all"):
        _, faulted, violations = rows()[kind]
        assert int(faulted.replace(",", "")) > 0, kind
        assert violations == "0", kind


def test_the_results_are_of_a_long_run() -> None:
    assert int(rows()["all"][1].replace(",", "")) >= FAULTED_RUNS


def test_every_variant_was_caught() -> None:
    assert [variant.name for variant in VARIANTS if not rows()[variant.name][0].isdigit()] == []
