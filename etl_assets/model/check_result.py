"""What a check found: shown in Dagster, kept in ``etl.check_result``, and perhaps a reason for an alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Fact: TypeAlias = Mapping[str, str | int | bool]
"""One row of what a check compared; all rows of a result have the same keys."""


@dataclass(frozen=True)
class CheckResult:
    """What a check found. It holds no record contents but the keys of a few rows.

    Attributes:
        name: Of the check.
        passed: Whether all is well.
        blocking: Whether the run must fail if it is not.
        description: In words.
        failed_records: How many records, rows or columns are concerned.
        records: How many records or rows there are; 0 where that was not asked.
        by_consent: Whether it speaks of records that ``max_rejected`` consents to reject: then a failure is no alert.
        places: Where the first of the records stand.
        facts: What was compared.
        observed: The number, or the type, that was found; None where there is none, or where it would show a cell.
        keys: Of some of the rows: key columns by name.
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
