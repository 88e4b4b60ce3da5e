"""`Inbox`: files that publishers send, which `etl-assets receive` keeps in a folder until they are loaded.

This module declares what is received and fetches from the folder; package `receive` writes into it.
"""

from __future__ import annotations

import io
import math
import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, Self, cast

from etl_assets.errors import DeclarationError, DeliveryError, DeliveryMissingError
from etl_assets.extract.base import Extractor
from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.extract.inbox_folder import InboxFolder
from etl_assets.extract.local_files import fetch_path, poll_path
from etl_assets.extract.validators import same_state
from etl_assets.model.declaration import Declaration
from etl_assets.model.partitions import Files
from etl_assets.model.secret import Secret
from etl_assets.settings import inbox_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from etl_assets.extract.base import Fetched
    from etl_assets.model.partitions import Partition, Partitioning

_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_MIB: Final = 1024 * 1024


@dataclass(frozen=True)
class Signature(Declaration):
    """How a publisher signs what it sends: by HMAC with SHA-256, as most webhooks do.

    Attributes:
        secret: The secret that the publisher signs with.
        header: The header with the signature: in hex, also after ``sha256=``, or in base64.
        timestamped: Whether the header is ``t=…,v1=…`` and the time is signed with the body, as by Stripe. A time that
            is more than five minutes off is refused.
    """

    secret: Secret
    header: str = "X-Hub-Signature-256"
    timestamped: bool = False

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the header can be one."""
        _check_header(self.header, where, "signature")


@dataclass(frozen=True)
class Events(Declaration):
    """Small JSON objects, one in each request, that are collected: many of them become one file of NDJSON.

    Attributes:
        close_bytes: The size at which a file is closed, and waits to be loaded.
        close_seconds: The age at which a file is closed.
        max_bytes: The largest number of bytes of an event.
        repeats: What happens to an event without an id that has the bytes of an earlier one in the same file: it is
            dropped, because it was sent twice, or kept.
    """

    close_bytes: int = 8 * _MIB
    close_seconds: float = 60.0
    max_bytes: int = _MIB
    repeats: Literal["drop", "keep"] = "drop"

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless files are closed at some time."""
        for name in ("close_bytes", "max_bytes"):
            if getattr(self, name) < 1:
                raise DeclarationError(where, f"events {name}", f"is {getattr(self, name)}", "Write 1 or more")
        if not 0 < self.close_seconds < math.inf:
            problem = f"is {self.close_seconds}"
            raise DeclarationError(where, "events close_seconds", problem, "Write seconds, more than 0")


@dataclass(frozen=True)
class Inbox(Extractor):
    """Fetches files that were sent to ``/receive/NAME`` of `etl-assets receive`, each a partition.

    Attributes:
        token: The secret that a publisher sends as ``Authorization: Bearer …``.
        signature: How a publisher signs the body; in place of the token, or besides it.
        events: Collects small events into files; None if each request is a file.
        id_header: The header with the publisher's id of a request, which is the same when the request is repeated.
        max_bytes: The largest number of bytes of a file.
        deadline: Seconds within which a body must arrive.
        timeout: Seconds without a byte after which a request fails.
        max_waiting: How many files may wait to be loaded; further ones are refused for now.
        keep: How long a loaded file stays in the inbox. The landing store has its bytes for ever.
        remember: How long ids of requests are remembered.
        settle_seconds: Files appear whole, so that nothing waits for them.
        source: The name of the source; the declaration of the source enters it.
    """

    token: Secret | None = field(default=None, kw_only=True)
    signature: Signature | None = field(default=None, kw_only=True)
    events: Events | None = field(default=None, kw_only=True)
    id_header: str = field(default="Idempotency-Key", kw_only=True)
    max_bytes: int = field(default=1024 * _MIB, kw_only=True)
    deadline: float = field(default=600.0, kw_only=True)
    timeout: float = field(default=15.0, kw_only=True)
    max_waiting: int = field(default=10_000, kw_only=True)
    keep: timedelta = field(default=timedelta(days=1), kw_only=True)
    remember: timedelta = field(default=timedelta(days=30), kw_only=True)
    settle_seconds: float = field(default=0.0, kw_only=True)
    source: str = field(default="", kw_only=True)

    @property
    def most_bytes(self) -> int:
        """The largest number of bytes of a body: a file, or an event."""
        return self.max_bytes if self.events is None else self.events.max_bytes

    @property
    def delivers_changes(self) -> bool:
        """Whether a file has the events of some time, and not all records of a publisher."""
        return self.events is not None

    def check(self, where: str) -> None:
        """Raise unless publishers must prove who they are, and everything has a limit."""
        super().check(where)
        if self.token is None and self.signature is None:
            remedy = "Write token=Secret('NAME'), or signature=Signature(Secret('NAME'))"
            raise DeclarationError(where, "token", "is missing, so that anybody could send files", remedy)
        if self.signature is not None:
            self.signature.check(where)
        _check_header(self.id_header, where, "id_header")
        self._check_limits(where)
        if self.events is not None:
            self.events.check(where)
            if not isinstance(self.format, Ndjson):
                problem = f"is {self.format.name}, and events are collected"
                raise DeclarationError(where, "format", problem, "Write format=Ndjson(), or leave out events")

    def _check_limits(self, where: str) -> None:
        for name in ("max_bytes", "max_waiting"):
            if getattr(self, name) < 1:
                raise DeclarationError(where, name, f"is {getattr(self, name)}", "Write 1 or more")
        for name in ("deadline", "timeout"):
            if not 0 < getattr(self, name) < math.inf:
                raise DeclarationError(where, name, f"is {getattr(self, name)}", "Write seconds, more than 0")
        for name in ("keep", "remember"):
            if getattr(self, name) < timedelta(0):
                raise DeclarationError(where, name, "is negative", "Write timedelta(days=1), or timedelta(0)")

    def check_partitions(self, partitions: Partitioning | None, where: str) -> None:
        """Raise unless each file is a partition."""
        if not isinstance(partitions, Files):
            raise DeclarationError(where, "partitions", "are no files, and an inbox has files", "Declare Files()")

    def of_source(self, name: str) -> Self:
        """Return the inbox of a source."""
        return replace(self, source=name)

    @property
    def folder(self) -> InboxFolder:
        """Where the files are: in the folder of inboxes that the settings name, under the name of the source."""
        return InboxFolder(inbox_folder() / (self.source or "unnamed"))

    def list(self) -> Sequence[str]:
        """Return the keys of the files that wait to be loaded."""
        return self.folder.waiting()

    def poll(self, partition: Partition) -> Mapping[str, str]:
        """Return size and time of a file; see `Extractor.poll`."""
        return poll_path(str(self._path(partition)))

    def fetch(self, partition: Partition) -> AbstractContextManager[Fetched]:
        """Open a received file, also after it was loaded, while it is kept; see `Extractor.fetch`."""
        return self._fetch(partition)

    @contextmanager
    def _fetch(self, partition: Partition) -> Iterator[Fetched]:
        with fetch_path(str(self._path(partition)), self.settle_seconds) as fetched:
            try:
                note = self.folder.note(partition.key)
            except FileNotFoundError:  # it was loaded before
                yield fetched
                return
            checked = cast("BinaryIO", _Checked(fetched.stream, note.sha256, partition.key))
            yield replace(fetched, stream=checked, name=note.name or fetched.name)

    def after_load(self, partition: Partition, validators: Mapping[str, str]) -> bool:
        """Take the file out of those that wait; see `Extractor.after_load`."""
        if not self.folder.is_waiting(partition.key) or not same_state(self.poll(partition), validators):
            return False
        try:
            self.folder.loaded(partition.key, self.keep)
        except FileNotFoundError:  # another run was faster
            return True
        except OSError as error:
            raise DeliveryError(
                f"{partition} cannot be taken out of the inbox ({error.strerror}). Its rows are written, and the file "
                "is where it was. Give this user the right to write the folder of the inbox; then run it again."
            ) from error
        return True

    def _path(self, partition: Partition) -> Path:
        """Return where a file is: among those that wait, or those that were loaded.

        Raises:
            DeliveryMissingError: If there is no such file.
        """
        for room in ("files", "loaded"):
            path = self.folder.room(room) / partition.key
            if partition.key not in {"", ".", ".."} and "/" not in partition.key and path.is_file():
                return path
        raise DeliveryMissingError(
            f"The inbox has no file {partition}. Nothing was written. If it was loaded before, it is no longer kept, "
            "and its bytes are in the landing store; otherwise have the publisher send it."
        )


class _Checked(io.RawIOBase):
    """The stream of a received file, which raises at its end if the bytes are not those that were acknowledged."""

    def __init__(self, stream: BinaryIO, digest: str, key: str) -> None:
        super().__init__()
        self._stream = stream
        self._expected = digest
        self._key = key
        self._digest = sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._digest.update(chunk)
        if not chunk and len(buffer) and self._digest.hexdigest() != self._expected:
            raise DeliveryError(
                f"{self._key} differs from what was received: its SHA-256 is another. Nothing was written. Have the "
                "publisher send it again, and remove this one from the inbox."
            )
        return len(chunk)


def _check_header(name: str, where: str, argument: str) -> None:
    if not _HEADER.fullmatch(name):
        raise DeclarationError(where, argument, f"names a header {name!r}", "Write letters, digits and '-'")
