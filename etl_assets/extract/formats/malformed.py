"""Frames of the records that cannot be parsed; see `RawBatch.malformed`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from etl_assets.model.batch import NONE_MALFORMED, REJECTED_RECORD_NO, REJECTED_RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from etl_assets.extract.formats.bits import Flags, Positions


def malformed_of(broken: Iterable[tuple[int, Sequence[str]]]) -> pl.DataFrame:
    """Return the frame of some records, given the number of each and the rules that it breaks."""
    return pl.DataFrame(list(broken), schema=NONE_MALFORMED.schema, orient="row")


def any_broken(broken: Mapping[str, Flags], records: int) -> Flags:
    """Return whether each of some records breaks any rule."""
    flags: Flags = np.zeros(records, bool)
    for each in broken.values():
        flags |= each
    return flags


def malformed_by_rule(numbers: Positions, bad: Flags, broken: Mapping[str, Flags]) -> pl.DataFrame:
    """Return the frame of the bad ones of some records.

    Args:
        numbers: The number of each record.
        bad: Whether each record breaks any rule; see `any_broken`.
        broken: For each rule, whether each record breaks it.
    """
    if not broken:
        return NONE_MALFORMED
    frame = pl.DataFrame({REJECTED_RECORD_NO: numbers[bad], **{rule: flags[bad] for rule, flags in broken.items()}})
    rules = pl.concat_list([pl.when(pl.col(rule)).then(pl.lit(rule)) for rule in broken])
    return frame.select(REJECTED_RECORD_NO, rules.list.drop_nulls().alias(REJECTED_RULES))
