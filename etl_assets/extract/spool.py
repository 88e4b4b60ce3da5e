"""Temporary copies of streams, for formats that seek in a file and for libraries that open a file by its path."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from etl_assets.extract.base import Format

_CHUNK: Final = 1024 * 1024


@contextmanager
def readable_by(format_: Format, stream: BinaryIO) -> Iterator[BinaryIO]:
    """Return a stream that a format can read: the stream itself, or a seekable copy if the format needs one."""
    if not format_.seeks or stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile(prefix="etl-assets-") as copy:
        shutil.copyfileobj(stream, copy, _CHUNK)
        copy.seek(0)
        yield cast("BinaryIO", copy)


@contextmanager
def file_of(stream: BinaryIO) -> Iterator[Path]:
    """Copy a stream to a temporary file that this account alone can read, and return its path for a block."""
    with tempfile.NamedTemporaryFile(prefix="etl-assets-") as copy:
        shutil.copyfileobj(stream, copy, _CHUNK)
        copy.flush()
        yield Path(copy.name)
