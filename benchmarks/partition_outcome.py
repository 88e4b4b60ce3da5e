"""What partitions cost, as tables: time and memory of more days against fewer, and of several processes against one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.outcome import MEMORY_RATIO_LIMIT, Grid, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.partitions import Loads

TIME_RATIO_LIMIT: Final = 1.25
"""Of the time of a record with the most days, to that with the fewest."""
_LIMITS_FROM: Final = 100
"""Days from which on limits are shown."""


def order_grid(loads: Sequence[Loads]) -> Grid:
    """Time and memory of loads in any order, by the number of days."""
    heads = (
        "loads",
        "keys",
        "days",
        "records",
        "s",
        "µs a record",
        "to fewest",
        "limit",
        "",
        "peak MB",
        "to fewest",
        "limit",
        "",
    )
    rows = []
    for one in loads:
        fewest = next(other for other in loads if (other.title, other.keys) == (one.title, one.keys))
        limited = one.days >= _LIMITS_FROM
        slower, larger = one.microseconds / fewest.microseconds, one.peak_bytes / fewest.peak_bytes
        rows.append(
            (
                one.title,
                one.keys,
                f"{one.days}",
                f"{one.read:,}",
                f"{one.seconds:.2f}",
                f"{one.microseconds:.1f}",
                f"{slower:.2f}",
                *verdict(slower, TIME_RATIO_LIMIT if limited else None),
                f"{one.peak_bytes / 1e6:.0f}",
                f"{larger:.2f}",
                *verdict(larger, MEMORY_RATIO_LIMIT if limited else None),
            )
        )
    return Grid("Daily partitions in any order, and reloaded", heads, tuple(rows))


def parallel_grid(loads: Sequence[Loads]) -> Grid:
    """Time of several processes against one."""
    heads = ("keys", "records", "processes", "s", "to one process")
    rows = []
    for one in loads:
        alone = next(other for other in loads if other.keys == one.keys and other.processes == 1)
        ratio = f"{one.seconds / alone.seconds:.2f}"
        rows.append((one.keys, f"{one.read:,}", f"{one.processes}", f"{one.seconds:.2f}", ratio))
    return Grid("Several partitions loaded at once", heads, tuple(rows))
