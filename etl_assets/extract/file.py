"""FileExtractor: files on disk, in an installed package, on the web, or on any file system of fsspec.

This module decides by the location; `local_files`, `remote_files` and `http` fetch. A `Format` reads what the files
contain.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from etl_assets.errors import DeclarationError, DeliveryMissingError
from etl_assets.extract.access.base import Access
from etl_assets.extract.access.http import Http
from etl_assets.extract.base import Extractor
from etl_assets.extract.local_files import fetch_local, list_local, move_local, poll_local
from etl_assets.extract.location import (
    check_location,
    check_move_to,
    check_placeholders,
    fill_in,
    is_glob,
    is_remote,
    is_web,
)
from etl_assets.extract.validators import distinguishing
from etl_assets.model.partitions import Files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from etl_assets.extract.access.base import FileSystemAccess
    from etl_assets.extract.base import Fetched
    from etl_assets.model.partitions import Partition, Partitioning


@dataclass(frozen=True)
class FileExtractor(Extractor):
    """Fetches one file for each partition.

    Attributes:
        location: One of: a local path or glob (``~`` is the home folder, a relative path begins in the working
            directory); a URL with a scheme that fsspec knows (``s3://``, ``sftp://``, ``memory://``) or ``http(s)://``;
            or ``package:NAME/path`` for a file of an installed Python package. It may contain ``{key}``, the
            partition's key, and ``{start:%Y-%m}`` or ``{end:%Y-%m}``, its window. A glob needs ``Files`` partitions;
            their keys are the paths below the glob's fixed part.
        access: How a URL is reached, with its login and limits: ``Http``, ``S3``, ``Sftp``, ``Ftp``, ``Gcs`` or
            ``Azure``.
        move_to: A folder of the same place. A file is moved into it once all its rows are committed, and replaces an
            earlier one of its name. It needs ``Files`` partitions.
        settle_seconds: A local file that changed more recently than this is checked twice, this far apart. It is
            refused if it changed meanwhile: it is still being written.
    """

    location: str
    access: Access | None = field(default=None, kw_only=True)
    move_to: str = field(default="", kw_only=True)

    def check(self, where: str) -> None:
        """Raise unless the location can be filled in, and its access is of its kind."""
        super().check(where)
        check_location(self.location, where)
        if self.access is not None:
            self.access.check(self.location, where)
        elif is_web(self.location):
            Http().check(self.location, where)
        check_move_to(self.move_to, self.location, where)

    def check_partitions(self, partitions: Partitioning | None, where: str) -> None:
        """Raise unless the placeholders have values, and a location for many files is a glob."""
        check_placeholders(self.location, partitions, where)
        if isinstance(partitions, Files) and not is_glob(self.location):
            raise DeclarationError(where, "location", "is no glob, so that it lists no files", "Write one: feeds/*.csv")
        if self.move_to and not isinstance(partitions, Files):
            problem = "is declared, and the partitions are no files"
            raise DeclarationError(where, "move_to", problem, "Declare partitions=Files(), or leave it out")

    def fetch(self, partition: Partition) -> AbstractContextManager[Fetched]:
        """Open the partition's file, where it was moved to if it was; see `Extractor.fetch`."""
        return self._fetch_from_both(partition)

    @contextmanager
    def _fetch_from_both(self, partition: Partition) -> Iterator[Fetched]:
        with ExitStack() as opened:
            try:
                fetched = opened.enter_context(self._fetch(partition))
            except DeliveryMissingError:
                if not self.move_to:
                    raise
                fetched = opened.enter_context(self._fetch(partition, self.move_to))
            yield fetched

    def _fetch(self, partition: Partition, folder: str = "") -> AbstractContextManager[Fetched]:
        location, key = self._place(partition)
        if is_web(location):
            from etl_assets.extract.http.files import fetch_by_http  # noqa: PLC0415 -- most sources need no network

            return fetch_by_http(location, self._http)
        if is_remote(location):
            from etl_assets.extract.remote_files import fetch_remote  # noqa: PLC0415 -- as above

            return fetch_remote(location, self._system, key, folder)
        return fetch_local(location, key, self.settle_seconds, folder)

    def poll(self, partition: Partition) -> Mapping[str, str] | None:
        """Return the validators of the partition's file; see `Extractor.poll`.

        Of a local file: size and modification time. Of any other: ETag, modification time, checksum and size, as far
        as they are known; None if only the size is known, since a new version may be as long as the old one.
        """
        location, key = self._place(partition)
        if is_web(location):
            from etl_assets.extract.http.files import poll_by_http  # noqa: PLC0415 -- as above

            return distinguishing(poll_by_http(location, self._http))
        if is_remote(location):
            from etl_assets.extract.remote_files import poll_remote  # noqa: PLC0415 -- as above

            return poll_remote(location, self._system, key)
        return poll_local(location, key)

    def list(self) -> Sequence[str]:
        """Return the paths, below the glob's fixed part, of the files that match it now."""
        if not is_glob(self.location):
            return ()
        if not is_remote(self.location):
            return list_local(self.location)
        from etl_assets.extract.remote_files import list_remote  # noqa: PLC0415 -- as above

        return list_remote(self.location, self._system)

    def after_load(self, partition: Partition, validators: Mapping[str, str]) -> bool:
        """Move the partition's file if that is declared and the file is still as it was; see `Extractor.after_load`."""
        if not self.move_to or not partition.key:
            return False
        try:
            if not is_remote(self.location):
                return move_local(self.location, partition.key, self.move_to, validators)
            from etl_assets.extract.remote_files import move_remote  # noqa: PLC0415 -- as above

            return move_remote(self.location, self._system, partition.key, self.move_to, validators)
        except DeliveryMissingError:
            return False  # it was moved before

    def _place(self, partition: Partition) -> tuple[str, str]:
        """Return the location of a partition, and the key of its file in a glob."""
        location = fill_in(self.location, partition)
        return location, partition.key if location == self.location and is_glob(location) else ""

    @property
    def _http(self) -> Http:
        return self.access if isinstance(self.access, Http) else Http()

    @property
    def _system(self) -> FileSystemAccess:
        if self.access is not None:
            return cast("FileSystemAccess", self.access)
        from etl_assets.extract.access.other import access_without_login  # noqa: PLC0415 -- as above

        return access_without_login(self.location)
