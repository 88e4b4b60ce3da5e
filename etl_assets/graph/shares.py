"""Whether the process of a run can let others load shares of a delivery: a worker can, a process alone cannot."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from etl_assets.load.shares import HandOut

HAND_OUT: Final[ContextVar[HandOut | None]] = ContextVar("HAND_OUT", default=None)
"""Sends a share to another process; None if there is no other."""
