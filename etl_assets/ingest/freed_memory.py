"""Keeps the memory that a batch frees for the next batch.

The C library gives large blocks back to the system as soon as they are freed, and gets them again, page by page, for
the next batch. That took about a tenth of the processor time of a load.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_LARGEST_BLOCK: Final = 32 * 1024 * 1024
"""Larger blocks are given back at once, as before; no version of the C library allows more."""
_MOST_KEPT: Final = 32 * 1024 * 1024


@cache
def keep_freed_memory() -> None:
    """Let this process keep up to 32 MiB of freed memory, from now on; on other systems than glibc, do nothing."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)
        mallopt(_TRIM_THRESHOLD, _MOST_KEPT)
