"""How a command runs a partition."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunOptions:
    """How a partition of a source is run; an asset that was written by hand has no options.

    Attributes:
        force: Whether to reload a complete delivery.
        file: Path of a file to load instead of the publisher's.
        full: Whether to fetch everything, also of a source whose fetches begin where the one before ended, and to
            compare keys even if it is not due.
        accept_deletes: Whether a snapshot may delete any number of rows.
        fetch: Whether to fetch even if a poll finds nothing new.
    """

    force: bool = False
    file: str | None = None
    full: bool = False
    accept_deletes: bool = False
    fetch: bool = False

    @property
    def may_be_unchanged(self) -> bool:
        """Whether a poll may decide that there is nothing to do."""
        return self == RunOptions()
