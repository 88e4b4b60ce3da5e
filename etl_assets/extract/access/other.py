"""The access to locations that declare none: that of their scheme, or else fsspec's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import fsspec

from etl_assets.extract.access.base import FileSystemAccess
from etl_assets.extract.access.ftp import Ftp
from etl_assets.extract.access.gcs import Gcs
from etl_assets.extract.access.s3 import S3
from etl_assets.extract.access.sftp import Sftp


@dataclass(frozen=True)
class Other(FileSystemAccess):
    """How files of any other file system are reached that fsspec knows."""

    schemes: ClassVar[tuple[str, ...]] = ()

    def connect(self, location: str) -> Any:
        """See `FileSystemAccess.connect`."""
        return fsspec.core.url_to_fs(location, skip_instance_cache=True)[0]

    def path(self, system: Any, location: str) -> str:  # noqa: ARG002 -- of several file systems in one location
        """Return the path in the outermost of the file systems that a location names."""
        return str(fsspec.core.url_to_fs(location, skip_instance_cache=True)[1])


def access_without_login(location: str) -> FileSystemAccess:
    """Return how a location is reached for which nothing is declared."""
    scheme = location.partition("://")[0]
    for class_ in (S3, Sftp, Gcs):
        if scheme in class_.schemes:
            return class_()
    return Ftp(tls=False) if scheme in Ftp.schemes else Other()
