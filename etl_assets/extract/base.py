"""The Extractor and Format stages: where bytes come from, and what records they hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span
    from etl_assets.model.partitions import Partition
    from etl_assets.model.rule import RuleInfo

Naming = Literal["declared", "header", "union"]
BATCH_BYTES = 12 * 1024 * 1024


@dataclass(frozen=True)
class Fetched:
    """Bytes on their way into the landing store.

    Attributes:
        stream: The bytes, read once from start to end.
        name: The file's name at the publisher; its ending tells how it is packed.
        origin: Where it came from, without secrets, for people.
        validators: What the publisher said of the bytes (ETag, size, modification time).
    """

    stream: BinaryIO
    name: str
    origin: str
    validators: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Format(ABC):
    """Says what records the bytes of one file hold. A subclass is a frozen dataclass; its fields are its settings."""

    @property
    @abstractmethod
    def naming(self) -> Naming:
        """How the published names come about.

        ``declared``: in the format itself. ``header``: each file says them once; the members of an archive say the
        same. ``union``: each record brings its own, and those of a delivery are all that any of its records has.
        """

    @property
    @abstractmethod
    def rules(self) -> tuple[RuleInfo, ...]:
        """What its records can break before anything is known of a schema; named ``record__…``."""

    @property
    def name(self) -> str:
        """What it is called where people look."""
        return type(self).__name__.lower()

    @property
    def decimal(self) -> str:
        """The character before the fraction of a number."""
        return "."

    @abstractmethod
    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a file into batches, all of them or those of an index.

        A batch is parsed only when its ``frame`` or ``malformed`` is asked for, which may be while the file is still
        being read. Going through all batches for their spans and names alone is as cheap as the naming allows.

        Args:
            stream: The unpacked file; perhaps not seekable.
            member: Its name in the archive, for locations.
            after: The last batch of the member before, which the numbers of batches and records continue.
            index: Of the same file, with the spans of the batches wanted and the names that they are to have.

        Yields:
            The batches, in order. A file with names and no record yields one batch of no records; a file that is
            empty raises `DeliveryError`.
        """

    @abstractmethod
    def reread(self, names: Sequence[str], records: Mapping[int, bytes]) -> RawBatch:
        """Parse single records again, as the quarantine kept them.

        Args:
            names: The published column names of their delivery.
            records: Record number to the bytes that `RawBatch.raw` gave.

        Returns:
            A batch of these records under their numbers; it does not know their places.
        """


@dataclass(frozen=True)
class Extractor(ABC):
    """Brings the bytes of one partition, and knows their format.

    A subclass is a frozen dataclass; its fields are its settings.

    Attributes:
        format: What records the bytes hold.
        member: Glob for the archive members that are records, in the archive's order; those that do not match are
            left alone. Means nothing for a file that is no archive.
        settle_seconds: What was changed more recently than that may still be being written.
    """

    format: Format
    member: str = field(default="*", kw_only=True)
    settle_seconds: float = field(default=2.0, kw_only=True)

    @abstractmethod
    def fetch(self, partition: Partition) -> AbstractContextManager[Fetched]:
        """Open what the publisher has for a partition.

        Args:
            partition: The partition wanted.

        Returns:
            A context that gives the bytes and closes what it opened.

        Raises:
            DeliveryMissingError: If there is nothing.
            DeliveryIncompleteError: If the bytes are still being written or are cut short.
        """

    def poll(self, partition: Partition) -> Mapping[str, str] | None:  # noqa: ARG002 -- most publishers tell nothing
        """What tells one state of what the publisher has for a partition from another, without fetching it.

        Where `fetch` gives validators, these are the same, under the same names.

        Args:
            partition: The partition wanted.

        Returns:
            Validators, e.g. ``etag``, ``modified``, ``size``, ``checksum``; None where nothing tells.

        Raises:
            DeliveryMissingError: If there is nothing.
            DeliveryError: If it cannot be found out now.
        """
        return None

    def list(self) -> Sequence[str]:
        """Names of the files there are to fetch, for a source with a partition for each file, in no order."""
        return ()

    def check(self, where: str) -> None:  # noqa: B027 -- most have nothing to check
        """Raise a `DeclarationError` unless the declaration is sound; reads nothing."""
