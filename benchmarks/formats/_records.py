"""What the modules of formats share: they write many records, and read a file through a format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from etl_assets import Format

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


def read(format_: Format, path: Path) -> int:
    """Read a file into a frame for each batch, as a run does; return the number of records."""
    records = 0
    with path.open("rb") as file:
        for batch in format_.read(file, ""):
            records += batch.frame.height
            batch.forget()
    return records
