"""The description of a rule that checks, documentation and the quarantine show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from etl_assets.model.checks import RECORD, values_check

UNTERMINATED: Final = "record__unterminated"
"""The rule that the last record of a file is followed by a line end."""
KEY_UNIQUE: Final = "key__unique"
"""The rule that no two records of a delivery have one key and different contents."""
OnBreach = Literal["reject", "report", "refuse"]
"""What happens to records that break a rule: they are rejected, or only reported, or their delivery is refused."""


@dataclass(frozen=True)
class RuleInfo:
    """The description of a rule that a record can break.

    Attributes:
        name: Name of the rule: ``column__kind``, ``record__kind``, or a name chosen by its author.
        words: What the rule requires, as a sentence without its period: ``amount is at least 0``.
        columns: The columns of the schema that it is about; none for a rule about the record as a whole.
        by_consent: Whether ``max_rejected`` consents to records that break it. If so, there is no alert as long as no
            more records are rejected.
    """

    name: str
    words: str
    columns: tuple[str, ...] = ()
    by_consent: bool = True

    @property
    def check(self) -> str:
        """The name of the asset check that has the rule: that of its column, of records, or one of its own."""
        if len(self.columns) == 1 and self.name.startswith(f"{self.columns[0]}__"):
            return values_check(self.columns[0])
        return RECORD if self.name == KEY_UNIQUE or self.name.startswith(f"{RECORD}__") else self.name
