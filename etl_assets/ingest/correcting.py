"""Corrects records of the quarantine: judges each correction by the current declaration, and stores it.

The corrections of one call are stored in one transaction. Who has many calls it with a part of them at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from etl_assets.ingest.replaying import published_correction
from etl_assets.postgres.ledger import decisions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from etl_assets.ingest.judging import Judge, Judgement
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.schema import Column
    from etl_assets.source import Source

CORRECTABLE: Final = ("open", "parked", "dismissed", "known")
"""The statuses of records that can be corrected."""


@dataclass(frozen=True)
class Wanted:
    """A correction that somebody wants.

    Attributes:
        record: The record, as it was read.
        changes: Column or published name to the text that the publisher should have sent; None for no value.
        confirms: Whether the correction is entered even if the record reads so already: it is right as it came.
    """

    record: Rejected
    changes: Mapping[str, str | None]
    confirms: bool = False


@dataclass(frozen=True)
class Corrected:
    """What became of a correction.

    Attributes:
        record: The record, as it was read.
        outcome: ``corrected``; ``unchanged``, if the record reads so already; or ``refused``.
        why: Why it was refused.
        correction: What was entered, by published names.
        judgement: What a replay of the corrected record would do.
    """

    record: Rejected
    outcome: Literal["corrected", "unchanged", "refused"]
    why: str = ""
    correction: Mapping[str, str | None] = field(default_factory=dict)
    judgement: Judgement | None = None


@dataclass(frozen=True)
class Decider:
    """Who decides, and why.

    Attributes:
        reviewer: Who.
        note: Why; None keeps the note that a record has.
    """

    reviewer: str
    note: str | None = None


def correct(
    connection: Connection, source: Source, judge: Judge, wanted: Iterable[Wanted], by: Decider | None
) -> list[Corrected]:
    """Judge corrections, and store them in one transaction.

    Args:
        connection: To the warehouse.
        source: The declaration.
        judge: Of the source.
        wanted: The corrections, one for each record.
        by: Who decides; None to judge only, and to store nothing.

    Returns:
        What became of each, in the same order.
    """
    planned = [_planned(source, one) for one in wanted]
    to_judge = [_as_corrected(one) for one in planned if one.outcome == "corrected"]
    judged = judge.judge(to_judge) if to_judge else {}
    planned = [replace(one, judgement=judged.get(one.record.id)) for one in planned]
    entered = [one for one in planned if one.outcome == "corrected"]
    if by is None or not entered:
        return planned
    stored = decisions.correct_several(
        connection,
        {one.record.id: one.correction for one in entered},
        by.reviewer,
        by.note,
        {one.record.id: one.record for one in entered},
    )
    return [
        one if one.outcome != "corrected" or one.record.id in stored else _changed_meanwhile(one) for one in planned
    ]


def effective_fields(record: Rejected) -> dict[str, str | None]:
    """Return the fields of a record as it was published, with its corrections."""
    return {**(record.fields or {}), **(record.correction or {})}


def value_of(record: Rejected, column: Column) -> str | None:
    """Return the text of a column of a record as it was corrected, or else published; None if it has none."""
    for fields in (record.correction or {}, record.fields or {}):
        for name in column.published_names:
            if name in fields:
                return fields[name]
    return None


def _planned(source: Source, wanted: Wanted) -> Corrected:
    record = wanted.record
    if record.status not in CORRECTABLE:
        return Corrected(record, "refused", f"it is {record.status}")
    try:
        correction = published_correction(source, record, wanted.changes)
    except ValueError as error:
        return Corrected(record, "refused", str(error))
    present = effective_fields(record)
    if not wanted.confirms and all(name in present and present[name] == value for name, value in correction.items()):
        return Corrected(record, "unchanged")
    return Corrected(record, "corrected", correction=correction)


def _as_corrected(planned: Corrected) -> Rejected:
    record = planned.record
    return replace(record, correction={**(record.correction or {}), **planned.correction})


def _changed_meanwhile(planned: Corrected) -> Corrected:
    return replace(planned, outcome="refused", why="it has changed meanwhile", correction={}, judgement=None)


def chunks(records: Iterable[Rejected], size: int = 10_000, most_bytes: int = 16 * 1024**2) -> Iterator[list[Rejected]]:
    """Yield records in parts that are bounded in number and in bytes.

    Args:
        records: The records.
        size: The largest number of records of a part.
        most_bytes: A part has no further record once it has so many bytes.
    """
    part: list[Rejected] = []
    length = 0
    for record in records:
        part.append(record)
        length += len(record.raw)
        if len(part) >= size or length >= most_bytes:
            yield part
            part, length = [], 0
    if part:
        yield part
