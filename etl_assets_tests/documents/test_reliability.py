"""The results in the document on reliability, which a run of the trials writes, have no violation."""

from __future__ import annotations

import re

from etl_assets_tests.chaos.history import FAULTS
from etl_assets_tests.chaos.report import DOCUMENT

RESULTS = DOCUMENT.read_text("utf-8").split("## Results", 1)[1]


def rows() -> dict[str, list[str]]:
    """Return the cells of each row of the tables, by its first cell."""
    lines = re.findall(r"^\| (.+) \|$", RESULTS, re.MULTILINE)
    return {name: cells for name, *cells in (line.split(" | ") for line in lines)}


def test_no_fault_in_the_results_has_led_to_a_violation() -> None:
    assert {kind: rows()[kind][-1] for kind in (*FAULTS, "all") if kind in rows() and rows()[kind][-1] != "0"} == {}


def test_every_variant_in_the_results_was_caught() -> None:
    assert "not caught" not in RESULTS
