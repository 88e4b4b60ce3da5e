"""The results of many trials as tables, and the document that contains them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from etl_assets_tests.chaos.history import FAULTS, PAD
from etl_assets_tests.documented import ROOT

if TYPE_CHECKING:
    from etl_assets_tests.chaos.execution import Outcome
    from etl_assets_tests.chaos.history import Step

DOCUMENT: Final = ROOT / "docs" / "reliability.md"
_BEGIN: Final = "<!-- The results of the trials: `make chaos OPTIONS=--write` writes them. -->\n"
_MANY: Final = 8
_END: Final = "<!-- End of the results. -->\n"


@dataclass
class Caught:
    """The result of the trials of a variant.

    Attributes:
        name: Of the variant.
        seeds: How many seeds were tried until one caught it.
        violation: The violation that caught it; empty if none did.
        seconds: Duration of its trials.
    """

    name: str
    seeds: int
    violation: str
    seconds: float


@dataclass
class Report:
    """What all trials found.

    Attributes:
        seed: The seed of the first trial.
        trials: Number of trials.
        runs: Number of runs, those that no fault met included.
        trials_of: Number of trials in which each kind of fault met a run.
        faulted: Number of runs that each kind of fault has met.
        violations_of: Number of violations in those trials.
        violated: The trials with violations.
        seconds: Duration of the trials, without those of the variants.
        caught: The results of the variants.
    """

    seed: int
    trials: int = 0
    runs: int = 0
    trials_of: Counter[str] = field(default_factory=Counter)
    faulted: Counter[str] = field(default_factory=Counter)
    violations_of: Counter[str] = field(default_factory=Counter)
    violated: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    caught: list[Caught] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Add a trial."""
        self.trials += 1
        self.runs += outcome.runs
        self.seconds += outcome.seconds
        self.faulted += outcome.faulted
        kinds = [kind for kind, number in outcome.faulted.items() if number]
        self.trials_of.update(kinds)
        self.violations_of.update(dict.fromkeys(kinds, len(outcome.violations)))
        if outcome.violations:
            self.violated.append(outcome)

    @property
    def is_good(self) -> bool:
        """Whether no trial found a violation and every variant was caught."""
        return not self.violated and all(each.violation for each in self.caught)

    def tables(self) -> str:
        """Return the results as two tables of Markdown."""
        lines = ["| fault | trials | faulted runs | violations |", "| :-- | --: | --: | --: |"]
        lines += [
            f"| {kind} | {self.trials_of[kind]} | {self.faulted[kind]:,} | {self.violations_of[kind]} |"
            for kind in FAULTS
        ]
        total = sum(len(outcome.violations) for outcome in self.violated)
        lines.append(f"| all | {self.trials} | {self.faulted.total():,} | {total} |")
        lines += ["", f"Seeds from {self.seed}; {self.runs:,} runs in {self.seconds:.0f} s."]
        if self.caught:
            lines += ["", "| variant | seeds until it was caught | seconds |", "| :-- | --: | --: |"]
            lines += [
                f"| {c.name} | {c.seeds if c.violation else 'not caught'} | {c.seconds:.0f} |" for c in self.caught
            ]
        return "\n".join(lines) + "\n"


def with_results(document: str, report: Report) -> str:
    """Return the document with other results between its markers."""
    between = f"{_BEGIN}\n{report.tables()}\n{_END}"
    return re.sub(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", lambda _: between, document, flags=re.DOTALL)


def _line(step: Step) -> str:
    """Return a step in one line, without what is empty and without the padding of records."""
    records = f"{len(step.records)} records" if len(step.records) > _MANY else " ".join(step.records).replace(PAD, "")
    runs = (f"at once with ({_line(beside)})" for beside in step.beside)
    met = str(step.fault) if step.fault else ""
    declared = str(step.declared) if step.declared else ""
    return " ".join(filter(None, (step.action, step.partition, str(step.which), records, declared, met, *runs)))


def shown(outcome: Outcome) -> str:
    """Return a trial with violations, so that it can be repeated and understood."""
    history = outcome.history
    steps = "\n".join(f"  {_line(step)}" for step in history.steps)
    violations = "\n".join(f"  {violation}" for violation in outcome.violations)
    return (
        f"Seed {history.seed}: {history.cut}, {history.mode}, batches of {history.batch_bytes} bytes, "
        f"replaces={history.replaces}, {history.declared}\n{steps}\nViolations:\n{violations}\n"
    )
