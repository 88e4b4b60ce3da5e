"""What the oracle knows: what was done, and which row a record gives under a declaration.

Plain Python over the standard library; it imports nothing of the package.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl_assets_tests.chaos.history import Cut, Declared, Mode

Fields = dict[str, str | None]
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Content:
    """Bytes that were published for a partition.

    Attributes:
        partition: Key of the partition.
        names: The published names.
        records: The bytes of each record, in order, without the line's end.
        data: All bytes of the file.
    """

    partition: str
    names: tuple[str, ...]
    records: tuple[bytes, ...]
    data: bytes


@dataclass
class Log:
    """What the harness has done; the oracle knows nothing else about the history.

    Attributes:
        source: Name of the source in ``etl.delivery``.
        table: ``schema.table``.
        cut: How the source is cut.
        replaces: For a DataFrame asset: whether a frame replaces the rows of its partition.
        mode: The write mode of the source.
        declared: The last declaration.
        published: Everything that was published, by partition and SHA-256.
        current: The SHA-256 of what is published now, by partition.
        landed: Partition and SHA-256 of every landing that succeeded.
        corrections: What a person entered, in order, by delivery id and record number.
        acknowledged: The records for which a replay succeeded after their last correction, if nobody dismissed them
            since.
        tries: How many replays of a single record there were, by delivery id and record number.
        tries_of_all: How many replays there were of all records that waited.
        dismissed: The records that a person dismissed and did not correct afterwards.
        killed: How many runs were killed.
    """

    source: str
    table: str
    cut: Cut
    replaces: bool
    mode: Mode
    declared: Declared
    published: dict[tuple[str, str], Content] = field(default_factory=dict)
    current: dict[str, str] = field(default_factory=dict)
    landed: list[tuple[str, str]] = field(default_factory=list)
    corrections: defaultdict[tuple[int, int], list[Fields]] = field(default_factory=lambda: defaultdict(list))
    acknowledged: set[tuple[int, int]] = field(default_factory=set)
    tries: Counter[tuple[int, int]] = field(default_factory=Counter)
    tries_of_all: int = 0
    dismissed: set[tuple[int, int]] = field(default_factory=set)
    killed: int = 0


def names_of(log: Log) -> tuple[str, ...]:
    """Return the columns of the table, those of the key first."""
    if log.cut == "frames":
        return ("part", "id", "amount")
    day = ("day::text",) if log.cut == "days" else ()
    return (*day, "code", "amount", "version", "pad", *(("extra",) if log.declared.extra else ()))


def fields_of(content: Content, number: int) -> Fields | None:
    """Return the published fields of a record; None if their number is wrong."""
    fields = content.records[number - 1].decode().split(",")
    return dict(zip(content.names, fields, strict=True)) if len(fields) == len(content.names) else None


def merged(entered: list[Fields]) -> Fields:
    """Return what several corrections of a record say together."""
    return {name: value for correction in entered for name, value in correction.items()}


def row_of(fields: Fields | None, log: Log, partition: str) -> Row | str | None:
    """Return the row of a record; None if the transformer leaves it out, a text if it is invalid."""
    if fields is None:
        return "cannot be parsed"
    if log.cut == "frames":
        return partition, int(fields["id"] or 0), int(fields["amount"] or 0)
    row = _transformed(fields, log.declared)
    if log.cut == "files" or not isinstance(row, tuple):
        return row
    return (partition, *row) if fields.get("day") == partition else "is of another day"


def key_of(fields: Fields | None, log: Log) -> Row | None:
    """Return the key that an invalid record was published with; None if nobody can tell.

    A transformer may give any record another key.
    """
    if fields is None or log.declared.merged:
        return None
    return (fields.get("day"), fields.get("code")) if log.cut == "days" else (fields.get("code"),)


def _transformed(fields: Fields, declared: Declared) -> Row | str | None:
    """Return the row without its day; None if the transformer leaves it out, a text if it is invalid."""
    code, amount, version = fields.get("code"), _number(fields.get("amount")), _number(fields.get("version"))
    if amount == "bad" or not code or not isinstance(version, int):
        return "breaks a rule"
    if amount == 2 and declared.two_is_null:
        amount = None
    if isinstance(amount, int) and declared.maximum is not None and amount > declared.maximum:
        return "is above the maximum"
    if declared.merged and version >= 3:
        return None
    if declared.merged and code == "b":
        code = "a"
    return (code, amount, version, fields.get("pad"), *((fields.get("extra"),) if declared.extra else ()))


def _number(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdigit() else text and "bad"
