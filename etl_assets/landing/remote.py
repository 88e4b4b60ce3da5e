"""Files of a landing store that is not on this machine: read by ranges, with errors of this package."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from etl_assets.errors import EnvironmentFaultError, EtlAssetsError

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NOT_WRITABLE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT, errno.EEXIST})


class RemoteFile:
    """A file of a remote store. Each read is one request for its range.

    Args:
        file: Of fsspec, without a cache.
        where: The store, for errors.
    """

    def __init__(self, file: Any, where: str) -> None:
        self._file = file
        self._where = where

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position and return it."""
        return int(self._file.seek(offset, whence))

    def read(self, size: int = -1, /) -> bytes:
        """Return that many bytes; fewer only at the end.

        Raises:
            EnvironmentFaultError: If the store does not return them.
        """
        with remote_errors(self._where, "read"):
            data: bytes = self._file.read(size)
            return data

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer and return the number of bytes; fewer only at the end. It fails as `read` does."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextmanager
def remote_errors(where: str, verb: str) -> Iterator[None]:
    """Replace an error of a remote store by one of this package.

    What is missing, and errors that say that there is no space or no right, are raised as they are.

    Args:
        where: The store, without secrets.
        verb: What cannot be done with it: ``read`` or ``written``.
    """
    try:
        yield
    except EtlAssetsError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_SPACE | NOT_WRITABLE:
            raise
        if isinstance(error, FileNotFoundError) and verb == "read":
            raise
        raise EnvironmentFaultError(
            f"The landing store {where} cannot be {verb} ({type(error).__name__}). Nothing more was written. Check its "
            "address (ETL_ASSETS_LANDING_URL), its login and the network, then run it again."
        ) from None
