"""Drift: a difference between what was published and what was published before, or declared. Values only.

How deliveries are compared is ``validate``'s business, what is remembered of them ``postgres``'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DriftKind = Literal["added", "removed", "renamed", "reordered", "retyped", "format", "null_word", "category"]
DRIFT_KINDS: Final[tuple[str, ...]] = get_args(DriftKind)
STRUCTURE_KINDS: Final = ("added", "removed", "renamed", "reordered")
"""Kinds that the published names alone tell of; known when a delivery has landed."""
CELL_KINDS: Final = ("retyped", "format", "null_word", "category")
"""Kinds that only cells tell of; known when every batch of a delivery has been looked at."""
_CELLS_SAY: Final = {
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
        kind: What kind it is.
        subject: Of what published names tell, the name concerned as it was before, of an added column its name, of a
            reordering nothing; of what cells tell, the declared column's name.
        replacement: Of a renaming the new name; empty otherwise.
        foreseen: Whether the declaration provides for it, so that nobody need be told.
        blocking: Whether the delivery is refused for it.
        detail: Numbers, names, patterns and null words; under ``members`` the new members of a category, which are
            contents of records and nobody's but the reviewer's to see.
        proposal: How the declaration would have to be changed, as Python; empty when it need not be. It holds names,
            and ``...`` where members of a category go.
    """

    kind: DriftKind
    subject: str
    replacement: str = ""
    foreseen: bool = False
    blocking: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)
    proposal: str = ""

    def __str__(self) -> str:
        """What changed, in words without any contents of records."""
        match self.kind:
            case "renamed":
                return f"{self.subject!r} was renamed to {self.replacement!r}"
            case "reordered":
                return "the columns were reordered"
            case "added" | "removed":
                return f"{self.subject!r} was {self.kind}"
            case _:
                return f"{_CELLS_SAY[self.kind]} of {self.subject!r} changed"

    @property
    def slot(self) -> tuple[str, str, str]:
        """What at most one open event of a source may be about."""
        return self.kind, self.subject, self.replacement

    @property
    def identity(self) -> tuple[Any, ...]:
        """Equal for changes that are the same whatever numbers they came with."""
        told = [self.detail.get(name) for name in ("before", "after", "words", "members")]
        if self.kind in STRUCTURE_KINDS:
            return self.slot
        return (*self.slot, *(tuple(part) if isinstance(part, list) else part for part in told))

    @property
    def inverse(self) -> tuple[Any, ...] | None:
        """The identity of the change that takes this one back; None where no change does by itself."""
        match self.kind:
            case "added":
                return "removed", self.subject, ""
            case "removed":
                return "added", self.subject, ""
            case "renamed":
                return "renamed", self.replacement, self.subject
            case "retyped" | "format":
                detail = {**self.detail, "before": self.detail["after"], "after": self.detail["before"]}
                return replace(self, detail=detail).identity
            case _:
                return None


@dataclass(frozen=True)
class Values:
    """A small likeness of the values of a column, by which two columns can be compared.

    Attributes:
        distinct: Number of different values that were looked at.
        hashes: Their hashes, in ascending order: all, or the smallest of them.
    """

    distinct: int
    hashes: tuple[int, ...]

    def shortened(self, most: int) -> Values:
        """The same with so many hashes at most."""
        return replace(self, hashes=self.hashes[:most])


@dataclass(frozen=True)
class Published:
    """What a delivery published, as far as it is remembered.

    Attributes:
        names: The published names, in order.
        values: Likenesses of the values, by name; none for a column without values and for sensitive ones.
    """

    names: tuple[str, ...]
    values: Mapping[str, Values] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """What is remembered of a delivery, as ``etl.observation`` has it.

    Attributes:
        delivery_id: Its id.
        published: What it published.
        cells: What its cells looked like, as JSON values; None until every batch has passed.
    """

    delivery_id: int
    published: Published
    cells: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class DriftEvent:
    """A change that is remembered, as ``etl.drift`` has it.

    Attributes:
        id: Its number.
        source: Name of the source.
        change: What changed.
        status: ``open`` until someone accepts or ignores it, or a later delivery takes it back (``resolved``).
        first_delivery: Id of the delivery that brought it.
        last_delivery: Id of the newest delivery that still had it.
        opened_at: When it was first seen.
        closed_at: When it was closed; None while it is open.
        closed_delivery: Id of the delivery that took it back.
        reviewer: Who closed it; ``the declaration`` when it was foreseen.
        note: Why.
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
