"""What the modules of formats share: they write many records, and read a file through a format."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from etl_assets.extract.prefetch import Prefetch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from etl_assets import Format
    from etl_assets.model.batch import RawBatch

_MB: Final = 1_000_000
_AT_ONCE: Final = 10_000


def lines(path: Path, megabytes: int, head: bytes, record: Callable[[int], bytes]) -> None:
    """Write a file of a head and records.

    Args:
        path: Of the file.
        megabytes: Its size, in millions of bytes, at least.
        head: What comes before the records.
        record: Returns the record of a number.
    """
    with path.open("wb") as file:
        size, number = file.write(head), 0
        while size < megabytes * _MB:
            size += file.write(b"".join(map(record, range(number, number + _AT_ONCE))))
            number += _AT_ONCE


def read(format_: Format, path: Path, values: Callable[[RawBatch], pl.DataFrame] = attrgetter("frame")) -> int:
    """Read a file as a run does, one batch ahead in a thread.

    Args:
        format_: How the file is written.
        path: Of the file.
        values: Returns the frame of a batch.

    Returns:
        The number of records.
    """
    records = 0
    with path.open("rb") as file, Prefetch(iter(format_.read(file, path.name))) as batches:
        for batch in batches:
            records += values(batch).height
            batch.forget()
    return records
