"""The rules by which people are told: which there are, how bad, who hears of it.

Values only; when a rule applies is ``alerts``'s business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "error", "critical"]


@dataclass(frozen=True, kw_only=True)
class AlertRule:
    """What every rule has.

    Attributes:
        severity: How bad it is.
        to: Names of the channels that hear of it.
    """

    severity: Severity = "error"
    to: tuple[str, ...] = ("default",)

    def check(self, where: str) -> None:
        """Raise unless the declaration is sound."""


DEFAULT_ALERTS: tuple[AlertRule, ...] = ()
"""The rules of a source that declares none of its own."""
