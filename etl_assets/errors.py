"""Every error of the package, grouped by what the caller should do about it.

Every text says what happened, what was not written, and what to do. No text contains record contents or secrets:
these errors appear in logs, in the run history and in the Dagster UI.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


def raised_at(error: Exception, file: str) -> str:
    """Return where an error was raised, as ``name.py:12``: the deepest line in that file, else the deepest of all."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if frame.filename == file), frames[-1])
    return f"{Path(place.filename).name}:{place.lineno}"


class EtlAssetsError(Exception):
    """Base class of every error that this package raises on purpose."""


class DeclarationError(EtlAssetsError):
    """A declaration is wrong: correct the file of the source. The text names the source, the field and the remedy."""

    def __init__(self, where: str, field: str, problem: str, remedy: str) -> None:
        """Compose the text.

        Args:
            where: The declared thing, e.g. ``source 'flights'`` or ``column 'dest' of source 'flights'``.
            field: The argument that is wrong, e.g. ``pattern``.
            problem: What is wrong with it, as a clause.
            remedy: What to write instead, as a sentence without the final period.
        """
        super().__init__(f"{where}: {field} {problem}. {remedy}.")
        self.where = where
        self.field = field


class BrokenFileError(DeclarationError):
    """A file of sources does not load: correct the file. All other files are loaded."""

    def __init__(self, path: str, problem: str) -> None:
        """Compose the text.

        Args:
            path: Path of the file.
            problem: Where the error was raised and what it says, as a sentence.
        """
        EtlAssetsError.__init__(
            self, f"File {path} does not load. {problem} Nothing of it can run; correct the file, then load it again."
        )
        self.where = f"file {path}"
        self.field = ""


class SettingsError(EtlAssetsError):
    """A setting or the machine is not usable: correct a setting, then start again."""


class DeliveryError(EtlAssetsError):
    """The publisher's bytes are not a valid delivery: nothing was written; check the feed."""


class DeliveryMissingError(DeliveryError):
    """There is nothing at the declared location."""


class DeliveryIncompleteError(DeliveryError):
    """The bytes are truncated, or the publisher is still writing them."""


class DeliveryDamagedError(DeliveryError):
    """The landing store's bytes differ from those that were fetched: fetch them again or restore them."""


class DeliveryUnreachableError(DeliveryError):
    """The publisher does not answer, or cannot deliver now: a retry may succeed."""


class ShapeError(DeliveryError):
    """A required column, or every one, is missing from the delivery: nothing was written; change schema or feed."""


class TooManyRejectedError(EtlAssetsError):
    """More records broke rules than ``max_rejected`` allows: the run stopped before it rejected more.

    Attributes:
        rejected: How many records were rejected until the run stopped, including those of the refused batch.
        rules: How many records of the refused batch broke each rule.
    """

    def __init__(self, text: str, *, rejected: int = 0, rules: Mapping[str, int] | None = None) -> None:
        """Take the text, and the numbers in it as attributes for programs."""
        super().__init__(text)
        self.rejected = rejected
        self.rules = dict(rules or {})


class TooManyDeletedError(EtlAssetsError):
    """A delivery would delete more rows than its write mode consents to: none was deleted until a person consents."""


REFUSALS: Final = (ShapeError.__name__, TooManyRejectedError.__name__, TooManyDeletedError.__name__)
"""The classes of the errors by which a delivery is refused."""


class TransformError(EtlAssetsError):
    """A transformer returned something that is no valid batch: the batch was not written; correct the transformer."""


class RuleError(EtlAssetsError):
    """A custom rule of a source raised, or returned no Boolean: the batch was not written; correct the rule."""


class FormatError(EtlAssetsError):
    """The code of a source's own format failed: the batch was not written; correct the format."""


class MalformedRecordError(EtlAssetsError):
    """A line cannot be parsed as a record. The ``parse`` of a `LineFormat` raises it; the record is quarantined.

    Attributes:
        rule: The rule that the record breaks; one of the ``rules`` of the format.
    """

    def __init__(self, rule: str) -> None:
        """Take the rule, e.g. ``record__pattern``."""
        super().__init__(f"A record breaks the rule {rule}. It is not written. Correct it in the quarantine.")
        self.rule = rule


class LoadError(EtlAssetsError):
    """The database did not accept a batch; the whole batch was rolled back."""


class TransientLoadError(LoadError):
    """The database may accept the batch on a retry: the connection was lost, a deadlock, a restart."""


class EnvironmentFaultError(LoadError):
    """Disk full, no memory, no permission, a server that stays away: the data are not the cause; correct it first."""


class IncompatibleTableError(LoadError):
    """The table in the database cannot store what the schema declares, and no additive change can fix it."""


class NotSwappedError(EtlAssetsError):
    """A new table was not put in place: its delivery is read again, row by row; the loader does so by itself."""


class RebuildError(EtlAssetsError):
    """A table that was built again cannot be compared or put in place; the text says what to change first."""


class BusyError(EtlAssetsError):
    """Another run holds the lock of this source and partition: wait for it."""


class FencedError(EtlAssetsError):
    """A newer run has taken over this source and partition: this run wrote nothing more and must end."""


class QuarantineError(EtlAssetsError):
    """A quarantined record cannot be shown, corrected or replayed as requested."""


class RedactionError(EtlAssetsError):
    """Records cannot be redacted as requested; the text says what was changed, and what to do."""


class AlertError(EtlAssetsError):
    """An alert cannot be acknowledged, or a channel cannot be tested, as requested."""


class DriftError(EtlAssetsError):
    """A drift event cannot be shown, accepted or ignored as requested."""


class ExplainError(EtlAssetsError):
    """A row or a delivery cannot be explained as requested."""


class ContractError(EtlAssetsError):
    """A data contract cannot be read: it is no contract, or nothing of it can be declared."""
