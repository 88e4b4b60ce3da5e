"""The result of a check: shown in Dagster, stored in ``etl.check_result``, and perhaps a reason for an alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

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
        failed_records: Number of records, rows or columns that failed.
        records: Number of records or rows checked; 0 if they were not counted.
        by_consent: Whether ``max_rejected`` consents to reject the failed records; a failure is then no alert.
        places: Locations of the first failed records.
        facts: The values that were compared.
        observed: The number, or the type, that was found; None if there is none, or if it would show a cell.
        keys: Keys of some failed rows: value by key column.
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
