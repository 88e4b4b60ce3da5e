"""`S3`: how files in buckets of S3, and of storages with the same interface, are reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from etl_assets.extract.access.base import FileSystemAccess, check_alternatives, check_together, required
from etl_assets.model.secret import Secret


@dataclass(frozen=True)
class S3(FileSystemAccess):
    """How files on ``s3://bucket/…`` are reached. It needs the extra ``s3``.

    Without arguments, the login is what the tools of AWS would use: variables ``AWS_…``, a profile, a role.

    Attributes:
        key: The id of an access key.
        secret: Its secret.
        token: The token of a temporary login.
        region: The region of the bucket, such as ``eu-central-1``.
        endpoint: The URL of a storage other than AWS.
        anonymous: Whether to come without any login, as to a public bucket.
    """

    key: Secret | None = None
    secret: Secret | None = None
    token: Secret | None = field(default=None, kw_only=True)
    region: str = field(default="", kw_only=True)
    endpoint: str = field(default="", kw_only=True)
    anonymous: bool = field(default=False, kw_only=True)

    schemes: ClassVar[tuple[str, ...]] = ("s3", "s3a")
    lists_validators: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_together("access S3", key=self.key is not None, secret=self.secret is not None)
        check_alternatives("access S3", key=self.key is not None, anonymous=self.anonymous)

    def connect(self, location: str) -> Any:  # noqa: ARG002 -- the bucket is a part of each path
        """See `FileSystemAccess.connect`."""
        s3fs = required("s3fs", "s3")
        client = {"region_name": self.region} if self.region else {}
        return s3fs.S3FileSystem(
            key=self.key and self.key.read(),
            secret=self.secret and self.secret.read(),
            token=self.token and self.token.read(),
            endpoint_url=self.endpoint or None,
            anon=self.anonymous,
            client_kwargs=client,
            config_kwargs={
                "read_timeout": self.timeout,
                "connect_timeout": min(10.0, self.timeout),
                "retries": {"max_attempts": 1},  # s3fs tries again too, and so do runs
            },
            use_listings_cache=False,
            skip_instance_cache=True,
        )
