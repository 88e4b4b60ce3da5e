"""The Extractor and Format stages: fetch bytes, and cut them into records."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, Self

from etl_assets.errors import DeclarationError
from etl_assets.model.declaration import Declaration
from etl_assets.model.partitions import Files
from etl_assets.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from etl_assets.extract.key_comparison import KeyComparison
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span
    from etl_assets.model.partitions import Partition, Partitioning
    from etl_assets.model.rule import OnBreach, RuleInfo

Naming = Literal["declared", "header", "union"]
BATCH_BYTES = 12 * 1024 * 1024
HEAD = 64 * 1024
"""Number of bytes at the start of a file by which `Format.mismatch` recognises it."""
LARGEST_BATCH = 1024**3
"""The largest size of a batch that a format accepts; several batches are in memory at a time."""


@dataclass(frozen=True)
class Fetched:
    """Fetched bytes that are not in the landing store yet.

    What an extractor knows only at the end of the stream, it adds until then: the attributes are read after that.

    Attributes:
        stream: The bytes, read once from start to end.
        name: The file's name at the publisher.
        origin: The location that it was fetched from, without secrets, as shown to people.
        validators: The publisher's validators of the bytes (ETag, size, modification time).
        state: Where the next fetch of the partition begins, and what it compares with, as JSON values; see
            `Extractor.fetch_since`. People do not see what is under a name that begins with ``_``.
        notes: What people should know of the fetch, each as a sentence without contents of records.
        statistics: Numbers of the fetch, such as ``requests``, ``pages`` and ``seconds``.
    """

    stream: BinaryIO
    name: str
    origin: str
    validators: dict[str, str] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    statistics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Format(Declaration):
    """Cuts the bytes of one file into records. A subclass is a frozen dataclass; its fields are its settings."""

    @property
    @abstractmethod
    def naming(self) -> Naming:
        """Where the published names come from.

        ``declared``: from the format itself. ``header``: from the header of each file; all members of an archive have
        the same. ``union``: from each record; the names of a delivery are all names that any of its records has.
        """

    @property
    @abstractmethod
    def rules(self) -> tuple[RuleInfo, ...]:
        """The rules that its records can break whatever the schema is; named ``record__…``."""

    @property
    def name(self) -> str:
        """The name of the format, as shown to people."""
        return type(self).__name__.lower()

    @property
    def decimal(self) -> str:
        """The character before the fraction of a number."""
        return "."

    @property
    def seeks(self) -> bool:
        """Whether `read` needs a stream that can seek; one that cannot is copied to a temporary file before."""
        return False

    @property
    def on_unterminated(self) -> OnBreach:
        """What usually happens to the last record of a file that does not end with a line end; see `RawBatch`."""
        return "reject"

    def of_partition(self, key: str) -> Format:  # noqa: ARG002 -- most feeds are written the same in each
        """Return the format of the files of a partition."""
        return self

    def mismatch(self, head: bytes) -> str | None:  # noqa: ARG002 -- some formats cannot be recognised
        """Return why a file is not of this format, as a clause; None if it may be of it.

        Args:
            head: The first bytes of the file, at most ``HEAD`` of them, fewer only if the file has no more.
        """
        return None

    @abstractmethod
    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a file into batches: all of them, or those of an index.

        A batch is parsed only when its ``frame`` or ``malformed`` is first read. Meanwhile another thread reads the
        next batch, so a batch and its reader must not share anything that one of them changes. To iterate over all
        batches for their spans and names alone is as cheap as the naming allows.

        Args:
            stream: The unpacked file, at its start; it need not be seekable, except as `seeks` says.
            member: Its name in the archive, for locations.
            after: The last batch of the previous member; the numbers of batches and records continue from there.
            index: An index of the same file, with the spans of the batches to read and the names of their columns.

        Yields:
            The batches, in order. A file with names but without a record yields one batch without records.

        Raises:
            DeliveryError: If the file is empty, or is not of this format.
        """

    @abstractmethod
    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:
        """Parse single records of the quarantine again.

        Args:
            names: The published column names of their delivery.
            records: Record number to the bytes that `RawBatch.raw` returned.
            context: Of the spans that they are from, which is the same for all of them.

        Returns:
            A batch of these records under their numbers; it does not know their member and line.
        """


_OF_FILES: Final = frozenset({"member", "password", "settle_seconds"})


def check_no_file(extractor: Extractor, where: str) -> None:
    """Raise a `DeclarationError` if an extractor that fetches no files declares what only files have."""
    for field_ in fields(extractor):
        if field_.name in _OF_FILES and getattr(extractor, field_.name) != field_.default:
            name = field_.name
            raise DeclarationError(where, name, "is declared, and only files have it", "Leave it out")


@dataclass(frozen=True)
class Extractor(Declaration):
    """Fetches the bytes of one partition.

    A subclass is a frozen dataclass; its fields are its settings.

    Attributes:
        format: The format of the bytes.
        member: Glob for the archive members that contain records, read in the archive's order; other members are
            ignored. It has no effect on a file that is not an archive.
        password: Of the encrypted members of a zip archive.
        settle_seconds: A file that changed more recently than this may still be being written.
    """

    format: Format
    member: str = field(default="*", kw_only=True)
    password: Secret | None = field(default=None, kw_only=True)
    settle_seconds: float = field(default=2.0, kw_only=True)

    @abstractmethod
    def fetch(self, partition: Partition) -> AbstractContextManager[Fetched]:
        """Open the publisher's file for a partition.

        Args:
            partition: The partition to fetch.

        Returns:
            A context manager that returns the bytes, and closes what it opened.

        Raises:
            DeliveryMissingError: If the publisher has nothing for the partition.
            DeliveryIncompleteError: If the bytes are still being written or are cut short.
        """

    @property
    def is_incremental(self) -> bool:
        """Whether a fetch begins where the one before ended, so that each run has something to fetch."""
        return False

    @property
    def delivers_changes(self) -> bool:
        """Whether a delivery may lack records that the publisher still has, so that nothing follows from it."""
        return self.is_incremental

    @property
    def frozen_format(self) -> Format:
        """The format of the bytes that `fetch` returns: ``format``, unless they contain more than what it reads."""
        return self.format

    def fetch_since(self, partition: Partition, state: Mapping[str, Any]) -> AbstractContextManager[Fetched]:  # noqa: ARG002 -- most fetch everything
        """Open what the publisher has changed for a partition since an earlier fetch.

        Args:
            partition: The partition to fetch.
            state: The `Fetched.state` of the newest delivery of the partition that was not refused.

        Returns:
            As `fetch`. If the state is of another declaration, everything is fetched.

        Raises:
            DeliveryError: As `fetch`.
        """
        return self.fetch(partition)

    @property
    def compares_keys(self) -> KeyComparison | None:
        """When the keys of the publisher are compared with those of the table; None for never."""
        return None

    def of_keys(self, names: Sequence[str]) -> Extractor | None:  # noqa: ARG002 -- most cannot list keys alone
        """Return the extractor of some columns of everything that the publisher has now; None if there is none.

        Args:
            names: The published names of the columns.
        """
        return None

    def of_preview(self) -> Extractor:
        """Return the extractor of the first records, for a preview; the same if all of them cost little."""
        return self

    def is_cut(self, statistics: Mapping[str, float]) -> bool:  # noqa: ARG002 -- most previews are of everything
        """Return whether a fetch of `of_preview` may have left records out, by its `Fetched.statistics`."""
        return False

    def of_file(self, path: str) -> Extractor:
        """Return the extractor of a file that a person brings, and that has what the publisher would send."""
        from etl_assets.extract.file import FileExtractor  # noqa: PLC0415 -- it derives from this class

        return FileExtractor(location=path, format=self.format, member=self.member, password=self.password)

    def of_source(self, name: str) -> Self:  # noqa: ARG002 -- most have a location of their own
        """Return the extractor of the source of that name, which the declaration of the source calls."""
        return self

    def of_partition(self, key: str) -> Self:
        """Return the extractor with the format of the files of a partition."""
        format_ = self.format.of_partition(key)
        return self if format_ is self.format else replace(self, format=format_)

    def poll(self, partition: Partition) -> Mapping[str, str] | None:  # noqa: ARG002 -- most publishers have none
        """Return the validators of the publisher's current bytes for a partition, without fetching the bytes.

        If `fetch` returns validators, these are the same, under the same names.

        Args:
            partition: The partition to poll.

        Returns:
            Validators, e.g. ``etag``, ``modified``, ``size``, ``checksum``; None if none distinguishes the states.

        Raises:
            DeliveryMissingError: If the publisher has nothing for the partition.
            DeliveryError: If the publisher cannot be polled now.
        """
        return None

    def poll_since(self, partition: Partition, state: Mapping[str, Any]) -> Mapping[str, str] | None:  # noqa: ARG002 -- as `fetch_since`
        """Return the validators of what the publisher has changed since an earlier fetch; see `poll`.

        If nothing has changed since, they are the validators that the fetch returned.

        Args:
            partition: The partition to poll.
            state: As for `fetch_since`.
        """
        return self.poll(partition)

    def list(self) -> Sequence[str]:
        """Return the names of the files to fetch, in any order, for a source with a partition for each file."""
        return ()

    def keys(self, partitions: Partitioning, now: datetime) -> Sequence[str]:
        """Return the keys of the partitions that there are now, oldest first."""
        return partitions.keys_of(self.list()).keys if isinstance(partitions, Files) else partitions.keys(now)

    def after_load(self, partition: Partition, validators: Mapping[str, str]) -> bool:  # noqa: ARG002 -- most do nothing
        """Do what is to be done with the publisher's bytes once all rows of a delivery are committed.

        It may be called again for the same delivery, after a run that died.

        Args:
            partition: The partition of the delivery.
            validators: Of the bytes of the delivery. The publisher may have others by now.

        Returns:
            Whether the publisher no longer has anything for the partition.

        Raises:
            DeliveryError: If it cannot be done. The rows stay.
        """
        return False

    def check(self, where: str) -> None:
        """Raise a `DeclarationError` unless the declaration is sound; this reads no file."""
        if not 0 <= self.settle_seconds < math.inf:
            raise DeclarationError(where, "settle_seconds", f"is {self.settle_seconds}", "Write seconds, or 0 for none")
        if not self.member:
            raise DeclarationError(where, "member", "matches nothing", "Write a glob for the members: '*.csv'")

    def check_partitions(self, partitions: Partitioning | None, where: str) -> None:
        """Raise a `DeclarationError` unless the extractor can fetch the partitions of a source.

        Args:
            partitions: How the source is cut; None if it is not.
            where: How the error names the source.
        """
