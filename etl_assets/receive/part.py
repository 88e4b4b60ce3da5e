"""`Part`: a body while it arrives, in a hidden file that is hashed as it is written."""

from __future__ import annotations

import fcntl
import os
import threading
from hashlib import sha256
from typing import TYPE_CHECKING, Self
from uuid import uuid4

if TYPE_CHECKING:
    import hmac
    from pathlib import Path

    from etl_assets.extract.inbox_folder import InboxFolder


class Part:
    """A file that is kept or discarded. It is locked as long as its process lives, so that others leave it alone.

    Attributes:
        path: Of the file.
        size: Number of bytes so far.
    """

    def __init__(self, descriptor: int, path: Path, mac: hmac.HMAC | None = None) -> None:
        self.path = path
        self.size = 0
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._digest = sha256()
        self._mac = mac
        self._turn = threading.Lock()  # a request that is given up discards its part while a thread may write

    @classmethod
    def create(cls, folder: InboxFolder, mac: hmac.HMAC | None = None) -> Self:
        """Create an empty part.

        Args:
            folder: The inbox that it is for, which is made if there is none yet.
            mac: Is updated with the bytes.
        """
        while True:
            path = folder.room("parts") / f"{uuid4().hex}.part"
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                folder.make()
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:  # nobody took it for an orphan before it was locked
                return cls(descriptor, path, mac)
            os.close(descriptor)

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the bytes so far."""
        return self._digest.hexdigest()

    def write(self, chunk: bytes | bytearray) -> None:
        """Append bytes."""
        with self._turn:
            view = memoryview(chunk)
            while view:
                view = view[self._file.write(view) :]
            self._digest.update(chunk)
            if self._mac is not None:
                self._mac.update(chunk)
            self.size += len(chunk)

    def flush(self) -> None:
        """Make the bytes durable."""
        with self._turn:
            os.fsync(self._file.fileno())

    def discard(self) -> None:
        """Remove the part; what was kept of it has another name by now."""
        with self._turn:
            self.path.unlink(missing_ok=True)
            self._file.close()
