"""`Azure`: how files in containers of Azure Blob Storage are reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from etl_assets.extract.access.base import FileSystemAccess, check_alternatives, required
from etl_assets.model.secret import Secret


@dataclass(frozen=True)
class Azure(FileSystemAccess):
    """How files on ``abfs://container/…`` are reached. It needs the extra ``azure``.

    Without a secret, the login is what the tools of Azure would use.

    Attributes:
        account: The name of the storage account.
        key: A key of the account.
        sas: A token of a shared access signature.
        anonymous: Whether to come without any login, as to a public container.
    """

    account: str
    key: Secret | None = None
    sas: Secret | None = field(default=None, kw_only=True)
    anonymous: bool = field(default=False, kw_only=True)

    schemes: ClassVar[tuple[str, ...]] = ("abfs", "abfss", "az")

    def __post_init__(self) -> None:
        given = {"key": self.key is not None, "sas": self.sas is not None, "anonymous": self.anonymous}
        check_alternatives("access Azure", **given)

    def connect(self, location: str) -> Any:  # noqa: ARG002 -- the container is a part of each path
        """See `FileSystemAccess.connect`."""
        adlfs = required("adlfs", "azure")
        return adlfs.AzureBlobFileSystem(
            account_name=self.account,
            account_key=self.key and self.key.read(),
            sas_token=self.sas and self.sas.read(),
            anon=self.anonymous,
            timeout=int(self.timeout),
            use_listings_cache=False,
            skip_instance_cache=True,
        )
