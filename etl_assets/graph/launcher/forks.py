"""What a process must be to fork, and what its forks do first. Linux only."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

_HARMLESS: Final = frozenset({"jemalloc_bg_thd", "polars-ooc-clea"})
"""Threads that libraries start when they are imported, and that a fork can do without."""
_PR_SET_PDEATHSIG: Final = 1


def foreign_threads() -> list[str]:
    """Return the names of the threads of this process that its forks would miss; a fork may wait for one for ever."""
    names = {_name(task) for task in Path("/proc/self/task").iterdir()}
    own = _name(Path("/proc/self"))  # the threads of OpenBLAS, which makes others in a fork, have it too
    others = names - {"", own, *_HARMLESS}
    if threading.active_count() > 1:
        others |= {thread.name for thread in threading.enumerate() if thread is not threading.main_thread()}
    return sorted(others)


def end_with(parent: int) -> None:
    """Let the system ask this process to end when its parent ends; end at once if the parent is gone already.

    Args:
        parent: Number of the process that forked this one.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def _name(task: Path) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
        return (task / "comm").read_text("utf-8").strip()
    return ""
