"""What starts a run of a source automatically: the clock, a change at the publisher, or upstream assets."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import timedelta

from etl_assets.errors import DeclarationError
from etl_assets.model.cron import problem_of
from etl_assets.model.declaration import Declaration
from etl_assets.model.zones import check_zone

_SHORTEST = timedelta(seconds=30)


class Trigger(Declaration):
    """A condition under which a source runs automatically."""

    @abstractmethod
    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the declaration is sound.

        Args:
            where: How the error names the owner, e.g. ``source 'flights'``.
        """


@dataclass(frozen=True)
class Cron(Trigger):
    """Run at fixed times.

    Attributes:
        expression: Five cron fields, e.g. ``30 4 2 * *``.
        zone: IANA zone of the times.
    """

    expression: str
    zone: str = "UTC"

    def check(self, where: str) -> None:
        """Raise unless the expression names moments that come, and the zone exists."""
        if (problem := problem_of(self.expression)) is not None:
            remedy = "Write minute, hour, day of the month, month and day of the week: '30 4 * * *'"
            raise DeclarationError(where, "trigger", f"{self.expression!r} {problem}", remedy)
        check_zone(self.zone, where, "trigger")


@dataclass(frozen=True)
class OnChange(Trigger):
    """Run when the publisher has new bytes: when ETag, modification time or size changes, or, without these, the hash.

    Attributes:
        every: Time between two polls; at least 30 seconds.
        attempts: Number of runs for one change while they fail, with growing pauses; then wait for the next change.
    """

    every: timedelta
    attempts: int = 5

    def check(self, where: str) -> None:
        """Raise unless the polls are far enough apart and there is at least one attempt."""
        if self.every < _SHORTEST:
            raise DeclarationError(
                where, "trigger", f"polls every {self.every}", "Write OnChange(every=timedelta(seconds=30)) or more"
            )
        if self.attempts < 1:
            raise DeclarationError(where, "trigger", f"tries {self.attempts} times", "Write attempts=1 or more")


@dataclass(frozen=True, init=False)
class After(Trigger):
    """Run when upstream assets were materialized and their blocking checks passed, partition by partition.

    Attributes:
        assets: Keys of the upstream assets, e.g. ``core/airlines``.
    """

    assets: tuple[str, ...]

    def __init__(self, *assets: str) -> None:
        object.__setattr__(self, "assets", assets)

    def check(self, where: str) -> None:
        """Raise unless at least one asset is named, each by its whole key."""
        if not self.assets or any(not all(asset.split("/")) for asset in self.assets):
            raise DeclarationError(where, "trigger", "names no asset", "Write After('core/airlines')")
