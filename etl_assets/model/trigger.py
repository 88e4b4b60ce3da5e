"""What makes a source run by itself."""

from __future__ import annotations

from dataclasses import dataclass

from etl_assets.errors import DeclarationError

_CRON_FIELDS = 5


@dataclass(frozen=True)
class Cron:
    """Run at fixed times.

    Attributes:
        expression: Five cron fields, e.g. ``30 4 2 * *``.
        zone: IANA zone the times are in.
    """

    expression: str
    zone: str = "UTC"

    def check(self, where: str) -> None:
        """Raise unless the expression has five fields (Dagster reads it in full when it builds the schedule)."""
        if len(self.expression.split()) != _CRON_FIELDS:
            raise DeclarationError(
                where, "trigger", f"{self.expression!r} is not a cron expression", "Write five fields: '30 4 * * *'"
            )
