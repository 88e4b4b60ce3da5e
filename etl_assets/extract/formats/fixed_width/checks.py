"""Checks that the declared parts of fixed-width records fit together."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from etl_assets.errors import DeclarationError
from etl_assets.extract.formats.fixed_width.fields import Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.formats.fixed_width.fields import Filler
    from etl_assets.extract.formats.fixed_width.format import FixedWidth


def check_records(format_: FixedWidth) -> None:
    """Raise a `DeclarationError` unless every field has a place of its own in the record, and every code is known."""
    if not any(isinstance(part, Field) for part in format_.fields):
        raise _wrong("fields", "have no Field", "Write Field(name, start, end) for each column to publish")
    if format_.length is not None and format_.length < 1:
        raise _wrong("length", f"is {format_.length}", "Write the number of characters of a record")
    _check_layout(format_.fields, format_.width, "fields")
    if format_.header:
        _check_layout(format_.header.fields, format_.width, "header")
        twins = {part.name for part in format_.header.fields} & {part.name for part in format_.fields}
        if twins:
            raise _wrong("header", f"has a field {min(twins)!r} as the records do", "Give it a name of its own")
    if format_.trailer and format_.trailer.count:
        _check_layout((format_.trailer.count,), format_.width, "trailer")
    if format_.trailer and "header" in format_.trailer.includes and not format_.header:
        raise _wrong("trailer", "includes a header, but none is declared", "Write header=HeaderRecord(code)")
    _check_codes(format_)


def _check_layout(parts: Sequence[Field | Filler], width: int, argument: str) -> None:
    names = [part.name for part in parts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise _wrong(argument, f"have more than one {twice[0]!r}", "Give each field a name of its own")
    ordered = sorted(parts, key=lambda part: part.start)
    for before, part in pairwise(ordered):
        if part.start <= before.last:
            problem = f"overlap: {before.name!r} ends at {before.last}, {part.name!r} starts at {part.start}"
            raise _wrong(argument, problem, "Correct the positions; they count from 1")
    for part in parts:
        if part.last > width:
            problem = f"end outside the record: {part.name!r} ends at {part.last}, the record at {width}"
            raise _wrong(argument, problem, "Correct the position, or the length of the record")


def _check_codes(format_: FixedWidth) -> None:
    code, enclosing = format_.code, {"header": format_.header, "trailer": format_.trailer}
    codes = [(argument, record.code) for argument, record in enclosing.items() if record]
    if code is None:
        for argument, _ in codes:
            raise _wrong(argument, "has a code, whose position is not declared", "Write code=RecordCode(start, end)")
        return
    if code.last > format_.width:
        remedy = "Correct the position, or the length of the record"
        raise _wrong("code", f"ends at {code.last}, outside the record of {format_.width}", remedy)
    codes += [("code", each) for each in (*(code.records or ()), *code.skipped)]
    for argument, each in codes:
        if len(each) != code.width:
            remedy = f"Write a code of {code.width}, or correct its position"
            raise _wrong(argument, f"{each!r} is not as long as the position of the code", remedy)
    every = [each for _, each in codes]
    for argument, each in codes:
        if every.count(each) > 1:
            raise _wrong(argument, f"{each!r} is declared twice", "Write each code once")


def _wrong(argument: str, problem: str, remedy: str) -> DeclarationError:
    return DeclarationError("format FixedWidth", argument, problem, remedy)
