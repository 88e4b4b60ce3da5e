"""A rule as it is listed: what checks, documentation and the quarantine show of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RuleInfo:
    """What people are shown of a rule that a record can break.

    Attributes:
        name: Its name: ``column__kind`` or ``record__kind``, or a name of its own.
        words: What it asks, as a sentence without its period: ``amount is at least 0``.
        columns: The columns of the schema that it is about; none for a rule about the record as a whole.
        by_consent: Whether ``max_rejected`` consents to records that break it, so that people are not alerted as long
            as no more are rejected.
    """

    name: str
    words: str
    columns: tuple[str, ...] = ()
    by_consent: bool = True
