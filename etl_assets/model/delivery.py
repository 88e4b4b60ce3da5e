"""A delivery: what one fetch of one source partition brought, frozen in the landing store."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

CATALOGUE: Final = "_catalogue"
"""Where `Manifest.state` has what the publisher's catalogue says of each column: name, type, may be null or not."""
DeliveryStatus = Literal["landed", "loading", "complete", "refused"]


@dataclass(frozen=True)
class Span:
    """Where one batch is in a delivery.

    Attributes:
        batch: Number of the batch in the delivery, from 1.
        member: Name of the archive member; the empty text for a file that is not an archive.
        offset: First byte of the batch in the unpacked member. A format without byte positions counts in a unit of its
            own, such as rows.
        length: Number of bytes, or of that unit.
        first_record: Number of its first record in the delivery, from 1.
        records: Number of records.
        first_line: Line number of its first record in the member, from 1; or the number of another unit of the format.
        skipped: Number of lines before, among or after its records that are no records: comments, lines before the
            header, repeated headers, and lines of the footer. Blank lines do not count.
        context: What its format must know of the bytes before the batch to read the batch, or a record of it, alone.
    """

    batch: int
    member: str
    offset: int
    length: int
    first_record: int
    records: int
    first_line: int
    skipped: int = 0
    context: str = ""

    @property
    def last_record(self) -> int:
        """Number of the last record; ``first_record - 1`` when there is none."""
        return self.first_record + self.records - 1

    @property
    def numbers(self) -> range:
        """The numbers of its records."""
        return range(self.first_record, self.first_record + self.records)


@dataclass(frozen=True)
class MemberIndex:
    """One file of a delivery: its published names and its batches.

    Attributes:
        member: Name in the archive; the empty text for a file that is not an archive.
        size: Number of unpacked bytes.
        names: The published column names, in order.
        spans: The batches, in order; none for a member without records.
        unterminated: Whether its last record is not followed by a line end, so that it may have been cut.
    """

    member: str
    size: int
    names: tuple[str, ...]
    spans: tuple[Span, ...]
    unterminated: bool = False


@dataclass(frozen=True)
class FoundIndex(MemberIndex):
    """The index of a file that this process has landed, with what was found out about its batches then.

    Attributes:
        found: By number of the batch; see `RawBatch.found`.
    """

    found: Mapping[int, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """The description of frozen bytes, which are those that were fetched unless records of them were redacted.

    Attributes:
        sha256: SHA-256 (hex) of the frozen bytes; the landing store keeps them under this name.
        size: Number of the frozen bytes.
        name: The file's name at the publisher.
        origin: The location that the file was fetched from, without secrets.
        validators: The publisher's validators of the bytes (ETag, modification time), for the next poll.
        members: The files inside, in order.
        blocks: SHA-256 (hex) of each block of the bytes, by which readers verify them; see ``landing.digests``. None in
            a manifest that an earlier version wrote, or one without bytes.
        state: Where the next fetch of the partition begins, as JSON values of the extractor; empty if every fetch is of
            everything.
        notes: What people should know of the fetch, each as a sentence.
        statistics: Numbers of the fetch, such as ``requests``, ``pages`` and ``seconds``.
        redacted: Numbers of the records that were redacted. If there are any, the frozen bytes are the other records,
            as ``landing.redacted`` writes them; size and digests are of these.
        fetched_sha256: SHA-256 (hex) of the bytes as fetched, if records were redacted from them; otherwise empty.
    """

    sha256: str
    size: int
    name: str
    origin: str
    validators: dict[str, str] = field(default_factory=dict)
    members: tuple[MemberIndex, ...] = ()
    blocks: tuple[str, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    statistics: dict[str, float] = field(default_factory=dict, compare=False)
    redacted: tuple[int, ...] = ()
    fetched_sha256: str = ""

    @property
    def spans(self) -> tuple[Span, ...]:
        """Every batch of the delivery, in order."""
        return tuple(span for member in self.members for span in member.spans)

    @property
    def records(self) -> int:
        """Number of records in the delivery."""
        return sum(span.records for span in self.spans)

    @property
    def skipped(self) -> int:
        """Number of lines in the delivery that are no records."""
        return sum(span.skipped for span in self.spans)

    @property
    def unterminated(self) -> int:
        """Number of files in the delivery whose last record may have been cut."""
        return sum(member.unterminated for member in self.members)

    def context_of(self, record_no: int) -> str:
        """Return the context of the batch of a record; see `Span`. Empty for a record that the index does not have."""
        spans = self.spans
        place = bisect_right(spans, record_no, key=lambda span: span.first_record) - 1
        return spans[place].context if place >= 0 and record_no <= spans[place].last_record else ""

    def consent(self, share: float) -> int:
        """Return how many records may be rejected, if a share of them may be: 0.0 to 1.0.

        A last record that may have been cut does not count against the share.
        """
        return int(share * self.records) + self.unterminated

    @property
    def names(self) -> tuple[str, ...]:
        """The published column names, each once: those of the first member first."""
        return tuple(dict.fromkeys(name for member in self.members for name in member.names))

    @property
    def catalogue(self) -> dict[str, str]:
        """The types of the columns in the publisher's catalogue, by published name; empty if it has none."""
        return {
            name: f"{type_} not null" if nullable is False else type_
            for name, type_, nullable in self.state.get(CATALOGUE, ())
            if type_
        }

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the manifest that `to_json` wrote."""
        members = tuple(
            MemberIndex(
                member=member["member"],
                size=member["size"],
                names=tuple(member["names"]),
                spans=tuple(Span(**span) for span in member["spans"]),
                unterminated=member.get("unterminated", False),
            )
            for member in values["members"]
        )
        texts = {name: tuple(values.get(name, ())) for name in ("blocks", "notes", "redacted")}
        return cls(**{**values, "members": members, **texts})


@dataclass(frozen=True)
class Delivery:
    """A delivery as stored in the database.

    Attributes:
        id: Number of the delivery; it grows with every delivery of any source.
        source: Name of the source.
        partition: Key of the partition; the empty text when the source has none.
        rank: Rank of the partition among those of the source; see `Partition`.
        manifest: The description of the bytes.
        fetched_at: When it was first fetched, by the database's clock.
        status: ``landed``: not begun. ``loading``: not finished. ``complete``. ``refused``: stopped by its shape or by
            too many rejected records.
        generation: Number of times that it was read from its start: 1, and one more for each change of the declaration
            and each forced run.
        fingerprint: Of the declaration under which the current generation is read; empty before the first.
        needs_reload: Whether it must be reloaded, since it may have other versions of rows that another delivery no
            longer yields, or has changed under another declaration.
    """

    id: int
    source: str
    partition: str
    rank: str
    manifest: Manifest
    fetched_at: datetime
    status: DeliveryStatus = "landed"
    generation: int = 1
    fingerprint: str = ""
    needs_reload: bool = False

    def __str__(self) -> str:
        where = f" ({escape_control_characters(self.partition)})" if self.partition else ""
        return f"delivery {self.id} of {self.source}{where}"
