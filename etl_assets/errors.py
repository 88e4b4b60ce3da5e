"""Every error of the package, grouped by what the caller should do about it.

Every text says what happened, what was not written, and what to do. No text holds record contents or secrets: these
errors end in logs, run history and the Dagster UI.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def raised_at(error: Exception, file: str) -> str:
    """Where in a file an error came from, as ``name.py:12``: the deepest line of that file, or of any other."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if frame.filename == file), frames[-1])
    return f"{Path(place.filename).name}:{place.lineno}"


class EtlAssetsError(Exception):
    """Base of every error this package raises on purpose."""


class DeclarationError(EtlAssetsError):
    """A declaration is wrong: correct the source's file. Names the source, the field and the remedy."""

    def __init__(self, where: str, field: str, problem: str, remedy: str) -> None:
        """Compose the text.

        Args:
            where: What is declared, e.g. ``source 'flights'`` or ``column 'dest' of source 'flights'``.
            field: The argument that is wrong, e.g. ``pattern``.
            problem: What is wrong with it, as a clause.
            remedy: What to write instead, as a sentence without the final period.
        """
        super().__init__(f"{where}: {field} {problem}. {remedy}.")
        self.where = where
        self.field = field


class SettingsError(EtlAssetsError):
    """The environment or the machine is not as it must be: correct a setting, then start again."""


class DeliveryError(EtlAssetsError):
    """What the publisher brought cannot be taken as a delivery: nothing was written; look at the feed."""


class DeliveryMissingError(DeliveryError):
    """There is nothing at the declared location."""


class DeliveryIncompleteError(DeliveryError):
    """The bytes are cut short, or are still being written."""


class DeliveryUnreachableError(DeliveryError):
    """The publisher does not answer, or cannot now: another try may mend it."""


class ShapeError(DeliveryError):
    """A required column is missing from the delivery: nothing was written; change the declaration or the feed."""


class TooManyRejectedError(EtlAssetsError):
    """More records broke rules than ``max_rejected`` consents to: the run stopped before more were diverted.

    Attributes:
        rejected: How many were rejected until the run stopped, those of the refused batch included.
        rules: How many records of the refused batch broke each rule.
    """

    def __init__(self, text: str, *, rejected: int = 0, rules: Mapping[str, int] | None = None) -> None:
        """Take the text, and the numbers in it for programs."""
        super().__init__(text)
        self.rejected = rejected
        self.rules = dict(rules or {})


class TransformError(EtlAssetsError):
    """A transformer returned what cannot be judged: the batch was not written; correct the source's own Python."""


class RuleError(EtlAssetsError):
    """A rule of a source's own failed, or gave no Boolean: the batch was not written; correct the rule."""


class LoadError(EtlAssetsError):
    """The database did not take a batch; the batch was rolled back whole."""


class TransientLoadError(LoadError):
    """The database may take the batch on another try: connection lost, deadlock, restart."""


class EnvironmentFaultError(LoadError):
    """Disk full, out of memory, no permission: nobody's data is at fault; correct the database, run again."""


class IncompatibleTableError(LoadError):
    """The table in the database cannot hold what the schema declares, and no additive change mends it."""


class BusyError(EtlAssetsError):
    """Another run holds the lock of this source and partition: wait for it."""


class FencedError(EtlAssetsError):
    """A newer run has taken over this source and partition; this one wrote nothing more and must end."""


class QuarantineError(EtlAssetsError):
    """A quarantined record cannot be shown, corrected or replayed as asked."""


class AlertError(EtlAssetsError):
    """An alert cannot be acknowledged, or a channel not be tried, as asked."""


class DriftError(EtlAssetsError):
    """A drift event cannot be shown, accepted or ignored as asked."""
