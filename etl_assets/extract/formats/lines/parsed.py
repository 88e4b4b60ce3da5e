"""Parses lines: what every line format checks of a record, the call of the format, and its malformed records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from etl_assets.extract.formats.bits import find_all
from etl_assets.extract.formats.encoding import UTF8, decodes
from etl_assets.extract.formats.malformed import any_broken, malformed_by_rule
from etl_assets.extract.formats.utf8 import invalid_utf8, is_utf8
from etl_assets.model.rule import UNTERMINATED, RuleInfo
from etl_assets.schema import RECORD_NO
from etl_assets.schema.expressions import among, named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.extract.formats.bits import Flags, Positions
    from etl_assets.extract.formats.lines.format import LineFormat
    from etl_assets.extract.formats.lines.lines import Lines

ENCODING: Final = "record__encoding"
NUL: Final = "record__nul"
FIELD_COUNT: Final = "record__field_count"
FIELD_COUNT_RULE: Final = RuleInfo(FIELD_COUNT, "the record has as many fields as the format has names")
RULES: Final = (
    RuleInfo(ENCODING, "the record is in the declared encoding"),
    RuleInfo(NUL, "the record holds no NUL byte"),
    RuleInfo(UNTERMINATED, "the record ends with a line end, so that it was not cut"),
)
"""The rules that a record of every line format can break."""


@dataclass(frozen=True)
class ParsedLines:
    """What a format makes of lines.

    Attributes:
        frame: The lines that broke no rule, in order: a String column for each name.
        broken: For each rule that any line broke, whether each of the lines broke it.
    """

    frame: pl.DataFrame
    broken: Mapping[str, Flags] = field(default_factory=dict)


def parse(format_: LineFormat, lines: Lines, numbers: Positions, context: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Parse the records of a batch.

    Args:
        format_: The format.
        lines: The lines of the records.
        numbers: Number of each record.
        context: The context of their span.

    Returns:
        ``frame`` and ``malformed`` of a `RawBatch`.

    Raises:
        FormatError: If the code of the format fails.
    """
    broken = _unreadable(lines)
    is_readable = ~any_broken(broken, len(lines))
    readable = np.flatnonzero(is_readable)
    parsed = format_.parse_lines(lines.select(is_readable), context)
    for rule, flags in parsed.broken.items():
        if flags.any():
            broken[rule] = np.zeros(len(lines), bool)
            broken[rule][readable] = flags
    bad = any_broken(broken, len(lines))
    _check(format_, parsed.frame, broken, len(lines) - int(np.count_nonzero(bad)))
    words = ("", *format_.null)
    cells = parsed.frame.select(pl.when(~among(named(name), words)).then(named(name)) for name in format_.names)
    return cells.with_columns(pl.Series(RECORD_NO, numbers[~bad], dtype=pl.Int64)), malformed_by_rule(
        numbers, bad, broken
    )


def _unreadable(lines: Lines) -> dict[str, Flags]:
    """Return, for each rule that every line format has, which lines break it; only the rules that any line breaks."""
    broken: dict[str, Flags] = {}
    if b"\0" in lines.data:
        broken[NUL] = lines.holding(find_all(np.frombuffer(lines.data, np.uint8), 0))
    if not lines.is_ascii:
        if lines.codec != UTF8:
            broken[ENCODING] = np.zeros(len(lines), bool)
            foreign = lines.beyond_ascii
            broken[ENCODING][foreign] = [not decodes(lines.line(index), lines.codec) for index in foreign.tolist()]
        elif not is_utf8(lines.data):
            broken[ENCODING] = lines.holding(invalid_utf8(lines.data))
    return {rule: flags for rule, flags in broken.items() if flags.any()}


def _check(format_: LineFormat, frame: pl.DataFrame, broken: Mapping[str, Flags], height: int) -> None:
    """Raise a `FormatError` unless a format's own ``parse_lines`` returned what it must."""
    problem = ""
    if unknown := sorted(set(broken) - {rule.name for rule in format_.rules}):
        problem = f"breaks rules that its rules do not list: {', '.join(unknown)}"
    elif set(frame.columns) != set(format_.names) or any(type_ != pl.String for type_ in frame.dtypes):
        problem = "returned a frame that has not one String column for each name"
    elif frame.height != height:
        problem = f"returned {frame.height:,} records for {height:,} lines that broke no rule"
    if problem:
        raise format_.failed("parse_lines", problem)
