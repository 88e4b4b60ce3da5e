"""Drift: a difference between what was published and what was published before, or declared. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DriftKind = Literal["added", "removed", "renamed", "reordered", "retyped", "format", "null_word", "category"]
DRIFT_KINDS: Final[tuple[str, ...]] = get_args(DriftKind)
DriftStatus = Literal["open", "accepted", "ignored", "resolved"]
DRIFT_STATUSES: Final[tuple[str, ...]] = get_args(DriftStatus)


@dataclass(frozen=True)
class Change:
    """One difference between a delivery and the one before it.

    Attributes:
        kind: What kind it is.
        subject: The published name concerned, as it was before; of an added column, its name; of a reordering, empty.
        replacement: Of a renaming the new name; empty otherwise.
        foreseen: Whether the declaration provides for it, so that nobody need be told.
        blocking: Whether the delivery is refused for it.
        detail: Numbers and patterns, and new members of a category; no other contents of records.
        proposal: How the declaration would have to be changed, as Python; empty when it need not be.
    """

    kind: DriftKind
    subject: str
    replacement: str = ""
    foreseen: bool = False
    blocking: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)
    proposal: str = ""


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
