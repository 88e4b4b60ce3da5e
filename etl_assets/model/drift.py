"""Values that describe drift: a difference between what was published and what was published before, or declared.

Package ``watch`` compares deliveries; package ``postgres.watch`` stores observations and events.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DriftKind = Literal[
    "added",
    "removed",
    "renamed",
    "reordered",
    "line_end",
    "skipped_lines",
    "catalogue",
    "retyped",
    "format",
    "null_word",
    "category",
]
STRUCTURE_KINDS: Final = ("added", "removed", "renamed", "reordered", "line_end", "skipped_lines", "catalogue")
"""Kinds that the published names, the catalogue and the index of a delivery show; known when it has landed."""
_OPPOSITE: Final = {"missing": "present", "present": "missing", "some": "none", "none": "some"}
CELL_KINDS: Final = ("retyped", "format", "null_word", "category")
"""Kinds that only the cells show; known when every batch of a delivery has been observed."""
AMENDED_KINDS: Final = (*CELL_KINDS, "catalogue")
"""Kinds of which an open event goes on if a later delivery changes the same column once more."""
_CHANGED_PROPERTY: Final = {
    "catalogue": "the type in the catalogue",
    "retyped": "the type",
    "format": "the format",
    "null_word": "the null words",
    "category": "the members",
}
DriftStatus = Literal["open", "accepted", "ignored", "resolved"]
DRIFT_STATUSES: Final[tuple[str, ...]] = get_args(DriftStatus)


@dataclass(frozen=True)
class Change:
    """One difference between a delivery and the one before it.

    Attributes:
        kind: The kind of change.
        subject: Which name or column changed. For a change of published names: the name as it was before, the new name
            of an added column, or an empty text for a reordering. For a change of cells: the declared column's name.
            For a change of the line end: ``missing`` or ``present``; of skipped lines: ``some`` or ``none``.
        replacement: The new name, for a renaming; empty otherwise.
        foreseen: Whether the declaration provides for it. Nobody is alerted about a foreseen change.
        blocking: Whether the delivery is refused because of it.
        detail: Numbers, names, types, patterns and null words. The new members of a category are under ``members``;
            they are contents of records, and only the reviewer may see them.
        proposal: Python that shows how to change the declaration; empty when no change is needed. It contains names,
            and ``...`` in the place of members of a category.
    """

    kind: DriftKind
    subject: str
    replacement: str = ""
    foreseen: bool = False
    blocking: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)
    proposal: str = ""

    def __str__(self) -> str:
        """Describe the change in words, without contents of records."""
        match self.kind:
            case "renamed":
                return f"{self.subject!r} was renamed to {self.replacement!r}"
            case "reordered":
                return "the columns were reordered"
            case "line_end":
                return f"the line end after the last record is {self.subject}"
            case "skipped_lines":
                return f"there are {self.subject} of the lines that are no records, such as comments"
            case "added" | "removed":
                return f"{self.subject!r} was {self.kind}"
            case _:
                return f"{_CHANGED_PROPERTY[self.kind]} of {self.subject!r} changed"

    @property
    def slot(self) -> tuple[str, str, str]:
        """Kind, subject and replacement. A source has at most one open event for each slot."""
        return self.kind, self.subject, self.replacement

    @property
    def identity(self) -> tuple[Any, ...]:
        """A value that is equal for equal changes, even if their numbers of cells differ."""
        contents = [self.detail.get(name) for name in ("before", "after", "words", "members")]
        if self.kind not in AMENDED_KINDS:
            return self.slot
        return (*self.slot, *(tuple(part) if isinstance(part, list) else part for part in contents))

    @property
    def inverse(self) -> tuple[Any, ...] | None:
        """The identity of the change that takes this one back; None if no single change can."""
        match self.kind:
            case "added":
                return "removed", self.subject, ""
            case "removed":
                return "added", self.subject, ""
            case "renamed":
                return "renamed", self.replacement, self.subject
            case "line_end" | "skipped_lines":
                return self.kind, _OPPOSITE[self.subject], ""
            case "retyped" | "format" | "catalogue":
                detail = {**self.detail, "before": self.detail["after"], "after": self.detail["before"]}
                return replace(self, detail=detail).identity
            case _:
                return None


@dataclass(frozen=True)
class Values:
    """A small sketch of a column's values, by which two columns can be compared.

    Attributes:
        distinct: Number of distinct values that were read.
        hashes: Their hashes, in ascending order: all, or only the smallest.
    """

    distinct: int
    hashes: tuple[int, ...]

    def shortened(self, most: int) -> Values:
        """Return a copy with at most ``most`` hashes."""
        return replace(self, hashes=self.hashes[:most])


@dataclass(frozen=True)
class Published:
    """The remembered part of what a delivery published.

    Attributes:
        names: The published names, in order.
        values: Sketches of the values, by name; none for columns without values and for sensitive columns.
        unterminated: Whether a file did not end with a line end; None if an earlier version did not observe it.
        skipped: Whether there were lines that are no records; None if an earlier version did not observe it.
        types: The types of the columns in the publisher's catalogue, by name; none for most publishers.
    """

    names: tuple[str, ...]
    values: Mapping[str, Values] = field(default_factory=dict)
    unterminated: bool | None = None
    skipped: bool | None = None
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """What is remembered of a delivery: a row of ``etl.observation``.

    Attributes:
        delivery_id: Id of the delivery.
        published: Its names, and sketches of its values.
        cells: The summary of its cells, as JSON values; None until every batch has been observed.
    """

    delivery_id: int
    published: Published
    cells: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class DriftEvent:
    """A remembered change: a row of ``etl.drift``.

    Attributes:
        id: The id of the event.
        source: Name of the source.
        change: What changed.
        status: ``open`` until a person accepts or ignores it, or a later delivery takes it back (``resolved``).
        first_delivery: Id of the first delivery with the change.
        last_delivery: Id of the newest delivery that still had the change.
        opened_at: When the change was first observed.
        closed_at: When the event was closed; None while it is open.
        closed_delivery: Id of the delivery that took the change back.
        reviewer: Who closed the event; ``the declaration`` when the change was foreseen.
        note: The reviewer's reason.
    """

    id: int
    source: str
    change: Change
    status: DriftStatus
    first_delivery: int
    last_delivery: int
    opened_at: datetime
    closed_at: datetime | None = None
    closed_delivery: int | None = None
    reviewer: str = ""
    note: str = ""

    def __str__(self) -> str:
        return str(self.change)
