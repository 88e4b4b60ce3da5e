"""Finds the server of a home if it runs, and never starts it."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from etl_assets.local.roles import WAREHOUSE, loader_url

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.settings import Settings


def running_url(settings: Settings) -> str | None:
    """Return the URL of the warehouse: that of the settings, or of the embedded server; None if that does not run.

    The caller does not hold the server, which may end at any moment.
    """
    if settings.database_url is not None:
        return settings.database_url
    folder = settings.home.absolute() / "postgres"
    try:
        if not _is_held(folder / "supervisor.lock") or not (folder / "ready").exists():
            return None
        return loader_url(int((folder / "port").read_text()), (folder / "password").read_text(), WAREHOUSE)
    except (OSError, ValueError):
        return None


def _is_held(path: Path) -> bool:
    """Return whether a process has a lock of a file, which is not created."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
