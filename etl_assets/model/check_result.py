"""The result of a check: shown in Dagster, entered in ``etl.check_result``, and perhaps a reason for an alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from etl_assets.model.text import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.level_change import Levels

_MOST_CHARACTERS: Final = 200
Fact: TypeAlias = Mapping[str, str | int | bool]
"""One row of the table of values that a check compared; all rows of a result have the same keys."""


@dataclass(frozen=True)
class CheckResult:
    """The result of a check. It contains no record contents except the keys of a few rows.

    Attributes:
        name: Name of the check.
        passed: Whether the check passed.
        blocking: Whether the run must fail if the check did not pass.
        description: The result as a text.
        failed_records: Number of records, rows or columns that failed; of several rules, that of the worst.
        records: Number of records or rows checked; 0 if they were not counted.
        by_consent: Whether ``max_rejected`` consents to reject the failed records; a failure is then no alert.
        places: Locations of the first failed records.
        facts: The values that were compared.
        observed: The number, or the type, that was found; None if there is none, or if it would show a cell.
        keys: Keys of some failed rows: value by key column.
        requires: What the rule requires, as a sentence without its period; empty for a result that is not of a rule.
        rules: The results of the rules that the check has; none for a check of one thing.
        levels: The changes of level that each delivery shows, in the order of the deliveries; of the monitors alone.
    """

    name: str
    passed: bool
    blocking: bool = False
    description: str = ""
    failed_records: int = 0
    records: int = 0
    by_consent: bool = False
    places: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    observed: float | str | None = None
    keys: tuple[Mapping[str, Any], ...] = ()
    requires: str = ""
    rules: tuple[CheckResult, ...] = ()
    levels: tuple[Levels, ...] = ()

    @classmethod
    def of_rule(
        cls,
        name: str,
        requires: str,
        broken: int,
        records: int,
        *,
        by_consent: bool = False,
        places: Sequence[str] = (),
    ) -> Self:
        """Return the result of a rule of records; what it requires is cut if it is long, such as a list of values.

        Args:
            name: Name of the rule.
            requires: What it requires, as a sentence without its period.
            broken: Number of records that break it.
            records: Number of records.
            by_consent: Whether ``max_rejected`` consents to them.
            places: Locations of the first of them.
        """
        requires = cut(requires, _MOST_CHARACTERS)
        return cls(
            name,
            passed=not broken,
            description=f"{broken:,} of {records:,} records break it: {requires}." if broken else "",
            failed_records=broken,
            records=records,
            by_consent=by_consent,
            places=tuple(places),
            requires=requires,
        )

    @classmethod
    def of_rules(cls, name: str, rules: Sequence[Self]) -> Self:
        """Return the result of a check that has several rules: the rule that most records break comes first.

        Args:
            name: Name of the check.
            rules: The results of its rules, at least one; all of the same records.
        """
        ordered = tuple(sorted(rules, key=lambda rule: -rule.failed_records))
        worst, *others = ordered
        numbers = [f"{rule.name}: {rule.failed_records:,}" for rule in others if not rule.passed]
        first = f"{worst.failed_records:,} of {worst.records:,} records break {worst.name}"
        return cls(
            name,
            passed=worst.passed,
            description="" if worst.passed else f"{'; '.join([first, *numbers])}.",
            failed_records=worst.failed_records,
            records=worst.records,
            rules=ordered,
        )

    @property
    def entries(self) -> tuple[CheckResult, ...]:
        """The results that are entered in the history, and alerted, by themselves: those of the rules, or this one."""
        return self.rules or (self,)
