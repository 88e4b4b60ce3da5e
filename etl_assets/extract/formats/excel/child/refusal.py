"""The error for a workbook that cannot be read, and the texts that several readers use."""

from __future__ import annotations

from typing import Literal

Reason = Literal["broken", "incomplete", "library"]


class RefusalError(Exception):
    """The workbook is refused; the parent process raises the error of the package that fits the reason.

    Attributes:
        text: What happened, what was not written, and what to do; without contents of the workbook.
        reason: ``broken`` for bytes that cannot be read as declared; ``incomplete`` for bytes that were cut short;
            ``library`` if a library is missing.
    """

    def __init__(self, problem: str, remedy: str, reason: Reason = "broken") -> None:
        """Compose the text.

        Args:
            problem: What is wrong, as a clause whose subject is the workbook.
            remedy: What to do, as a sentence without the final period.
            reason: See the attribute.
        """
        self.text = f"{problem}. Nothing was written. {remedy}."
        self.reason = reason
        super().__init__(self.text)


def damaged(problem: str) -> RefusalError:
    """Return the error for a workbook whose document breaks the rules of its type."""
    return RefusalError(problem, "Open the workbook, save it again, and ask the publisher if that does not help")
