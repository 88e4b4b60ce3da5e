"""Histories and reports are made from nothing but their seeds and results."""

from __future__ import annotations

from etl_assets_tests.chaos.execution import Outcome
from etl_assets_tests.chaos.history import FAULTS, PARTITIONS
from etl_assets_tests.chaos.random_histories import random_history
from etl_assets_tests.chaos.report import DOCUMENT, Caught, Report, shown, with_results

SEEDS = range(150)


def test_a_seed_always_gives_the_same_history() -> None:
    assert [random_history(seed) for seed in SEEDS] == [random_history(seed) for seed in SEEDS]


def test_histories_have_every_cut_and_every_fault() -> None:
    histories = [random_history(seed) for seed in SEEDS]
    assert {history.cut for history in histories} == set(PARTITIONS)
    steps = [step for history in histories for step in history.steps]
    faults = {step.fault.kind for step in steps if step.fault} | {"runs at once" for step in steps if step.beside}
    assert faults == set(FAULTS)


def test_a_focus_leaves_no_other_fault() -> None:
    steps = [step for seed in SEEDS for step in random_history(seed, (FAULTS[0],)).steps]
    assert {step.fault.kind for step in steps if step.fault} == {FAULTS[0]}


def test_a_trial_with_a_violation_is_shown_with_its_seed_its_steps_and_the_violation() -> None:
    history = random_history(7)
    text = shown(Outcome(history, ["a row is missing"]))
    assert text.startswith("Seed 7: ")
    assert text.count("\n  ") == len(history.steps) + 1
    assert "a row is missing" in text


def test_a_report_is_good_only_without_violations_and_with_every_variant_caught() -> None:
    caught, not_caught = Caught("wrong", 3, "a row is missing", 1.0), Caught("wrong too", 25, "", 1.0)
    assert Report(0, caught=[caught]).is_good
    assert not Report(0, caught=[caught, not_caught]).is_good
    violated = Report(0)
    violated.add(Outcome(random_history(0), ["a row is missing"]))
    assert not violated.is_good


def test_results_replace_those_of_the_document_and_nothing_else() -> None:
    document = DOCUMENT.read_text("utf-8")
    changed = with_results(document, Report(123_456))
    assert "Seeds from 123456; 0 runs in 0 s." in changed
    before, after = document.split("<!-- ")[0], document.rpartition(" -->\n")[2]
    assert changed.startswith(before)
    assert changed.endswith(after)
