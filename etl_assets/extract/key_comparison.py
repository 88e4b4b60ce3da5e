"""`KeyComparison`: how often the keys of a source are compared with those of its table."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration


@dataclass(frozen=True)
class KeyComparison(Declaration):
    """Finds rows whose key the source no longer has, by listing all keys of the source now and then.

    Attributes:
        every: How much time passes from the beginning of a comparison to the next: ``timedelta(days=1)``. The first run
            after that makes it.
        max_absent: The share of the rows, 0.0 to 1.0, that may be newly absent in one comparison. If there are more,
            the listing may be incomplete, and none of them is entered.
    """

    every: timedelta
    max_absent: float = field(default=0.1, kw_only=True)

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the time is positive, and the share is one."""
        if self.every <= timedelta(0):
            raise DeclarationError(where, "every", f"is {self.every}", "Write the time between two: timedelta(days=1)")
        if not 0.0 <= self.max_absent <= 1.0:
            raise DeclarationError(where, "max_absent", f"{self.max_absent} is not a share", "Write 0.0 to 1.0")
