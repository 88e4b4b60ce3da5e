"""LandingStore: frozen bytes, identified by their SHA-256, in a folder or in any storage that fsspec reaches.

This module writes bytes once, reads them back verified, and stores the manifest beside them. `land` reads their
contents.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from etl_assets.errors import DeliveryError, DeliveryMissingError, EnvironmentFaultError, SettingsError
from etl_assets.extract.location import without_secrets
from etl_assets.landing.copying import Copying
from etl_assets.landing.digests import VerifiedStream, damaged, digests_of
from etl_assets.landing.remote import NO_SPACE, NOT_WRITABLE, RemoteFile, remote_errors
from etl_assets.model.delivery import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from etl_assets.extract.base import Fetched
    from etl_assets.landing.digests import Digests


class LandingStore:
    """Keeps fetched bytes for ever and unchanged. Bytes that were changed are never returned.

    The bytes of a delivery are stored at ``ab/abcdef….bytes`` and its manifest at ``ab/abcdef….json``, where
    ``abcdef…`` is the SHA-256. Two fetches of the same bytes share one file. In a folder, only this account can read
    them.
    """

    def __init__(self, url: str) -> None:
        """Set the place of the store; nothing is written yet.

        Args:
            url: A folder, or a URL that fsspec knows. The login to a remote store is that of its own tools, such as
                the variables ``AWS_…`` for ``s3://``.

        Raises:
            SettingsError: If the package for the URL is not installed, or the URL is none that fsspec knows.
        """
        self.url = url
        try:
            self._system, root = fsspec.core.url_to_fs(url)
        except ImportError:
            raise SettingsError(
                f"The package for the landing store {without_secrets(url)} is not installed. Nothing was started. "
                "Install the extra for it: pip install 'etl-assets[s3]', or [gcs] or [azure]."
            ) from None
        except ValueError:
            raise SettingsError(
                f"The landing store {without_secrets(url)} is not a URL that fsspec knows. Nothing was started. Write "
                "a folder, or a URL such as s3://bucket/folder."
            ) from None
        self._root = root.rstrip("/")
        self._local = isinstance(self._system, LocalFileSystem)

    def freeze(self, fetched: Fetched, inspect: Callable[[Copying], None] | None = None) -> Digests:
        """Store the bytes of a fetch.

        A file gets its final name only when it is complete. It replaces a file of that name with other contents.

        Args:
            fetched: Is read from start to end.
            inspect: Reads the bytes, as far as it wants, while they are being stored.

        Returns:
            The digests of the bytes.

        Raises:
            DeliveryError: If there are no bytes, or they cannot be fetched completely.
            EnvironmentFaultError: If the store has no space left, or cannot be written. Nothing of them is kept.
        """
        with self._writing("The bytes of the delivery were"):
            return self._freeze(fetched, inspect)

    def _freeze(self, fetched: Fetched, inspect: Callable[[Copying], None] | None) -> Digests:
        folder = self._root if self._local else None
        if folder:
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".landing-", dir=folder)
        try:
            with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 -- a descriptor
                with Copying(fetched.stream, cast("BinaryIO", file)) as copying:
                    if inspect is not None:
                        inspect(copying)
                digests = copying.digests()
                if self._local:
                    os.fsync(file.fileno())
            if digests.size == 0:
                raise DeliveryError(
                    f"{fetched.origin} is empty. Nothing was written. Check the feed: no bytes are no delivery."
                )
            self._move_into_store(temporary, digests)
        finally:
            Path(temporary).unlink(missing_ok=True)
        return digests

    def open(self, manifest: Manifest) -> BinaryIO:
        """Open the frozen bytes of a manifest, seekable. Reading verifies them, block by block.

        Of a remote store, only the blocks that are read are fetched.

        The bytes of a manifest without digests of blocks, as earlier versions wrote them, are verified here as a whole.

        Raises:
            DeliveryMissingError: If the store does not have them.
            DeliveryDamagedError: If they are not those that were fetched; from here, or from reading.
        """
        where = f"The file {manifest.sha256} of {manifest.name} in the landing store {self._shown_url}"
        file = self._open_file(manifest.sha256)
        try:
            blocks = _verified_blocks(file, manifest, where)
        except BaseException:
            file.close()
            raise
        return cast("BinaryIO", VerifiedStream(file, manifest.size, blocks, where))

    def verify(self, manifest: Manifest) -> None:
        """Read all frozen bytes of a manifest and compare them with it.

        Raises:
            DeliveryMissingError: If the store does not have them.
            DeliveryDamagedError: If they are not those that were fetched.
        """
        with self.open(manifest) as stream:
            digests = digests_of(stream)
        if digests.sha256 != manifest.sha256:
            where = f"The file {manifest.sha256} of {manifest.name} in the landing store {self._shown_url}"
            raise damaged(where, "its SHA-256 is another")

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
            with remote_errors(self._shown_url, "written"):
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
        """Return the manifest of some bytes; None if there is none.

        Raises:
            DeliveryDamagedError: If the file is no manifest of these bytes.
        """
        path = self._path(sha256, "json")
        if not self._system.exists(path):
            return None
        try:
            values: dict[str, Any] = json.loads(self._system.cat_file(path))
            manifest = Manifest.from_json(values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise damaged(f"The manifest of {sha256} in {self._shown_url}", type(error).__name__) from None
        if manifest.sha256 != sha256:
            raise damaged(f"The manifest of {sha256} in {self._shown_url}", "it is of other bytes")
        return manifest

    def size(self, sha256: str) -> int | None:
        """Return the number of bytes stored under a SHA-256; None if there are none."""
        try:
            return int(self._system.size(self._path(sha256, "bytes")))
        except FileNotFoundError:
            return None

    def remove(self, sha256: str) -> bool:
        """Remove the bytes under a SHA-256, and their manifest; only a redaction does.

        Returns:
            Whether there was anything.

        Raises:
            EnvironmentFaultError: If the store does not let them go.
        """
        paths = [path for ending in ("bytes", "json") if self._system.exists(path := self._path(sha256, ending))]
        with self._writing("Bytes were not removed, and nothing else was"):
            for path in paths:
                with remote_errors(self._shown_url, "written") if not self._local else nullcontext():
                    self._system.rm_file(path)
        return bool(paths)

    @property
    def _shown_url(self) -> str:
        return without_secrets(self.url)

    def _path(self, digest: str, ending: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest}.{ending}"

    def _open_file(self, sha256: str) -> BinaryIO:
        """Open a file, not verified."""
        path = self._path(sha256, "bytes")
        try:
            if self._local:
                return cast("BinaryIO", open(path, "rb", buffering=0))  # noqa: PTH123 -- handed to the caller
            with remote_errors(self._shown_url, "read"):
                return cast("BinaryIO", RemoteFile(self._system.open(path, "rb", cache_type="none"), self._shown_url))
        except FileNotFoundError:
            raise DeliveryMissingError(
                f"The landing store {self._shown_url} has no bytes {sha256}. Nothing was written. "
                "Fetch the delivery again, or configure the store that has it (ETL_ASSETS_LANDING_URL)."
            ) from None

    def _move_into_store(self, temporary: str, digests: Digests) -> None:
        path = self._path(digests.sha256, "bytes")
        if self._has(path, digests):
            return
        if self._local:
            Path(path).parent.mkdir(mode=0o700, exist_ok=True)
            Path(temporary).replace(path)
            return
        try:
            self._put(temporary, path, digests)
        except (OSError, EnvironmentFaultError):
            with suppress(Exception):  # there may be no part of it, or no connection
                self._system.rm_file(path)
            raise

    def _put(self, temporary: str, path: str, digests: Digests) -> None:
        """Copy a file to a remote store, and read it again."""
        with remote_errors(self._shown_url, "written"):
            self._system.put_file(temporary, path)
        if not self._has(path, digests):
            raise EnvironmentFaultError(
                f"The landing store {self._shown_url} returns other bytes than were written. The bytes of the delivery "
                "were not kept, and no row was written. Check the store, then run it again."
            )

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """Raise the error of this package if the store refuses what a block writes; other errors are not its own.

        Args:
            what: What is not written then, as a clause.
        """
        try:
            yield
        except OSError as error:
            if error.errno in NO_SPACE:
                problem, remedy = "has no space left", "Free space in it or enlarge it"
            elif error.errno in NOT_WRITABLE:
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

    def _has(self, path: str, digests: Digests) -> bool:
        """Return whether a file has the bytes of these digests; reads all of it if its size is right."""
        with remote_errors(self._shown_url, "read") if not self._local else nullcontext():
            if not self._system.exists(path) or self._system.size(path) != digests.size:
                return False
            with self._system.open(path, "rb") as file:
                return digests_of(file).sha256 == digests.sha256


def _verified_blocks(file: BinaryIO, manifest: Manifest, where: str) -> Sequence[str]:
    """Return the digests of the blocks of a manifest's bytes; if it has none, compute them, and verify the whole."""
    size = file.seek(0, os.SEEK_END)
    if size != manifest.size:
        raise damaged(where, f"it has {size} bytes instead of {manifest.size}")
    if manifest.blocks:
        return manifest.blocks
    file.seek(0)
    digests = digests_of(file)
    if digests.sha256 != manifest.sha256:
        raise damaged(where, "its SHA-256 is another")
    return digests.blocks
