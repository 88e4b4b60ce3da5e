"""The results in the document on reliability, which a run of the trials writes, have no violation."""

from __future__ import annotations

import re

from etl_assets_tests.chaos.history import FAULTS
from etl_assets_tests.chaos.report import DOCUMENT
from etl_assets_tests.chaos.variants import SEEDS_OF_A_VARIANT, VARIANTS

RESULTS = DOCUMENT.read_text("utf-8").split("## Results", 1)[1]


def rows() -> dict[str, list[str]]:
    """Return the cells of each row of the tables, by its first cell."""
    lines = re.findall(r"^\| (.+) \|$", RESULTS, re.MULTILINE)
    return {name: cells for name, *cells in (line.split(" | ") for line in lines)}


def test_no_fault_in_the_results_has_led_to_a_violation() -> None:
    assert {kind: rows()[kind][-1] for kind in (*FAULTS, "all")} == dict.fromkeys((*FAULTS, "all"), "0")


def test_runs_have_met_every_kind_of_fault_in_the_results() -> None:
    assert [kind for kind in FAULTS if rows()[kind][1] == "0"] == []


def test_the_results_are_of_at_least_two_thousand_faulted_runs() -> None:
    assert int(rows()["all"][1].replace(",", "")) >= 2_000


def test_every_variant_was_caught_within_the_seeds_that_the_document_names() -> None:
    assert {variant.name for variant in VARIANTS} <= rows().keys()
    assert "not caught" not in RESULTS
    assert f"each must be caught within {SEEDS_OF_A_VARIANT} seeds" in DOCUMENT.read_text("utf-8")
