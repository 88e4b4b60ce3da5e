"""LandingStore: frozen bytes, identified by their SHA-256, in a folder or in any storage that fsspec reaches.

This module writes bytes once, reads them back, and stores the manifest beside them. `land` reads their contents.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from etl_assets.errors import DeliveryError, DeliveryMissingError, EnvironmentFaultError
from etl_assets.extract.location import without_secrets
from etl_assets.landing.copying import Copying
from etl_assets.model.delivery import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from etl_assets.extract.base import Fetched

_CHUNK: Final = 1024 * 1024
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_WRITABLE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT, errno.EEXIST})


class LandingStore:
    """Keeps fetched bytes for ever and unchanged.

    The bytes of a delivery are stored at ``ab/abcdef….bytes`` and its manifest at ``ab/abcdef….json``, where
    ``abcdef…`` is the SHA-256. Two fetches of the same bytes share one file.
    """

    def __init__(self, url: str) -> None:
        """Set the place of the store; nothing is written yet.

        Args:
            url: A folder, or a URL that fsspec knows.
        """
        self.url = url
        self._system, root = fsspec.core.url_to_fs(url)
        self._root = root.rstrip("/")
        self._local = isinstance(self._system, LocalFileSystem)

    def freeze(self, fetched: Fetched, inspect: Callable[[Copying], None] | None = None) -> tuple[str, int]:
        """Store the bytes of a fetch.

        A file gets its final name only when it is complete.

        Args:
            fetched: Is read from start to end.
            inspect: Reads the bytes, as far as it wants, while they are being stored.

        Returns:
            SHA-256 (hex) and number of bytes.

        Raises:
            DeliveryError: If there are no bytes, or they cannot be fetched completely.
            EnvironmentFaultError: If the store has no space left, or cannot be written. Nothing of them is kept.
        """
        with self._writing("The bytes of the delivery were"):
            return self._freeze(fetched, inspect)

    def _freeze(self, fetched: Fetched, inspect: Callable[[Copying], None] | None) -> tuple[str, int]:
        folder = self._root if self._local else None
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".landing-", dir=folder)
        try:
            with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 -- a descriptor
                with Copying(fetched.stream, cast("BinaryIO", file)) as copying:
                    if inspect is not None:
                        inspect(copying)
                digest, size = copying.sha256, copying.size
                if self._local:
                    os.fsync(file.fileno())
            if size == 0:
                raise DeliveryError(
                    f"{fetched.origin} is empty. Nothing was written. Check the feed: no bytes are no delivery."
                )
            self._move_into_store(temporary, digest, size)
        finally:
            Path(temporary).unlink(missing_ok=True)
        return digest, size

    def open(self, sha256: str) -> BinaryIO:
        """Open frozen bytes, seekable.

        Raises:
            DeliveryMissingError: If the store does not have them.
        """
        path = self._path(sha256, "bytes")
        try:
            if self._local:
                return cast("BinaryIO", open(path, "rb", buffering=0))  # noqa: PTH123 -- handed to the caller
            with self._system.open(path, "rb") as remote:
                spool = tempfile.TemporaryFile()  # noqa: SIM115 -- handed to the caller
                shutil.copyfileobj(remote, spool, _CHUNK)
        except FileNotFoundError:
            raise DeliveryMissingError(
                f"The landing store {without_secrets(self.url)} has no bytes {sha256}. Nothing was written. "
                "Fetch the delivery again, or configure the store that has it (ETL_ASSETS_LANDING_URL)."
            ) from None
        spool.seek(0)
        return cast("BinaryIO", spool)

    def put_manifest(self, manifest: Manifest) -> None:
        """Write a manifest beside its bytes; replace an earlier one.

        Raises:
            EnvironmentFaultError: If the store has no space left, or cannot be written.
        """
        with self._writing("The manifest of a delivery was"):
            self._put_manifest(manifest)

    def _put_manifest(self, manifest: Manifest) -> None:
        path = self._path(manifest.sha256, "json")
        text = json.dumps(manifest.to_json(), ensure_ascii=False, indent=1).encode()
        if not self._local:
            self._system.pipe_file(path, text)
            return
        descriptor, temporary = tempfile.mkstemp(prefix=".manifest-", dir=self._root)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 -- a descriptor
                file.write(text)
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)

    def manifest(self, sha256: str) -> Manifest | None:
        """Return the manifest of some bytes; None if there is none."""
        path = self._path(sha256, "json")
        if not self._system.exists(path):
            return None
        values: dict[str, Any] = json.loads(self._system.cat_file(path))
        return Manifest.from_json(values)

    def size(self, sha256: str) -> int | None:
        """Return the number of bytes stored under a SHA-256; None if there are none."""
        try:
            return int(self._system.size(self._path(sha256, "bytes")))
        except FileNotFoundError:
            return None

    def _path(self, digest: str, ending: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest}.{ending}"

    def _move_into_store(self, temporary: str, digest: str, size: int) -> None:
        path = self._path(digest, "bytes")
        if self._system.exists(path) and self._system.size(path) == size:
            return
        if self._local:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(temporary).replace(path)
        else:
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            try:
                self._system.put_file(temporary, path)
            except OSError:
                with suppress(OSError):  # there may be no part of it
                    self._system.rm_file(path)
                raise

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Raise the error of this package if the store refuses what a block writes; other errors are not its own.

        Args:
            what: What is not written then, as a clause.
        """
        try:
            yield
        except OSError as error:
            if error.errno in _NO_SPACE:
                problem, remedy = "has no space left", "Free space in it or enlarge it"
            elif error.errno in _NOT_WRITABLE:
                problem, remedy = (
                    "cannot be written",
                    "Let this user write it, or name another in ETL_ASSETS_LANDING_URL",
                )
            else:
                raise
            place = "" if self._local else f", or the folder {tempfile.gettempdir()} for temporary files,"
            raise EnvironmentFaultError(
                f"The landing store {without_secrets(self.url)}{place} {problem} ({errno.errorcode[error.errno]}). "
                f"{what} not written, and no row was. {remedy}, then run it again."
            ) from None
