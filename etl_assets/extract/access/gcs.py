"""`Gcs`: how files in buckets of Google Cloud Storage are reached."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from etl_assets.errors import SettingsError
from etl_assets.extract.access.base import FileSystemAccess, check_alternatives, required
from etl_assets.model.secret import Secret


@dataclass(frozen=True)
class Gcs(FileSystemAccess):
    """How files on ``gs://bucket/…`` are reached. It needs the extra ``gcs``.

    Without arguments, the login is what the tools of Google would use.

    Attributes:
        service_account: The key of a service account: the text of its JSON file.
        project: The project that pays, if the bucket needs one.
        endpoint: The URL of another storage with this interface.
        anonymous: Whether to come without any login, as to a public bucket.
    """

    service_account: Secret | None = None
    project: str = field(default="", kw_only=True)
    endpoint: str = field(default="", kw_only=True)
    anonymous: bool = field(default=False, kw_only=True)

    schemes: ClassVar[tuple[str, ...]] = ("gs", "gcs")

    def __post_init__(self) -> None:
        given = self.service_account is not None
        check_alternatives("access Gcs", service_account=given, anonymous=self.anonymous)

    def connect(self, location: str) -> Any:  # noqa: ARG002 -- the bucket is a part of each path
        """See `FileSystemAccess.connect`."""
        gcsfs = required("gcsfs", "gcs")
        return gcsfs.GCSFileSystem(
            token="anon" if self.anonymous else self._token(),
            project=self.project or None,
            endpoint_url=self.endpoint or None,
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def _token(self) -> Any:
        if self.service_account is None:
            return None
        try:
            return json.loads(self.service_account.read())
        except ValueError:
            raise SettingsError(
                f"The secret {self.service_account.name} is not JSON. Nothing was fetched. Write the whole file of the "
                "service account's key to it."
            ) from None
