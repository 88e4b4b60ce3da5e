"""`Limits`: the most memory and processor time that a run of a source may use, where its launcher sets limits."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration

_MEMORY: Final = re.compile(r"([1-9][0-9]{0,8})(Mi|Gi)")
_MEBIBYTES: Final = {"Mi": 1, "Gi": 1024}
_LEAST_PROCESSORS: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class Limits(Declaration):
    """What a run of a source may use. None leaves the limit that the launcher is configured with.

    Attributes:
        memory: The most memory, as ``512Mi`` or ``2Gi``. A run that needs more is killed.
        processors: The most processor seconds in a second, at least 0.01. A run that needs more is slowed down.
    """

    memory: str | None = None
    processors: float | None = None

    def check(self, where: str) -> None:
        """Raise unless there is a limit, and each can be set."""
        if self.memory is None and self.processors is None:
            raise DeclarationError(where, "limits", "are empty", "Write Limits(memory='1Gi'), or leave them out")
        if self.memory is not None and not _MEMORY.fullmatch(self.memory):
            problem = f"have {self.memory!r} as the memory"
            raise DeclarationError(where, "limits", problem, "Write mebibytes or gibibytes: '512Mi' or '2Gi'")
        if self.processors is not None and not _LEAST_PROCESSORS <= self.processors < math.inf:
            problem = f"have {self.processors} processors"
            raise DeclarationError(where, "limits", problem, f"Write a number from {_LEAST_PROCESSORS}, such as 0.5")

    @property
    def mebibytes(self) -> int:
        """The memory in mebibytes; 0 if none is declared."""
        match = _MEMORY.fullmatch(self.memory or "")
        return int(match[1]) * _MEBIBYTES[match[2]] if match else 0
