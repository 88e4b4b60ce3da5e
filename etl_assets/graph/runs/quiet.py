"""Keeps out of the logs what Dagster says wrongly about steps that are left out."""

from __future__ import annotations

import logging
from typing import Final

from etl_assets.source import CORE, LANDING

_LOGGER: Final = "dagster._core.execution.plan.active"
_BEGINNINGS: Final = tuple(f"Blocking asset check '{layer}/" for layer in (LANDING, CORE))


def leave_out_skipped_gates() -> None:
    """Leave out that a step goes on without the checks before it.

    Dagster says so of the checks of every step that yields nothing, though the next step is skipped too, because the
    asset before it was not materialized.
    """
    logger = logging.getLogger(_LOGGER)
    if not any(isinstance(known, _SkippedGates) for known in logger.filters):
        logger.addFilter(_SkippedGates())


class _SkippedGates(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is about something else."""
        return not record.getMessage().startswith(_BEGINNINGS)
