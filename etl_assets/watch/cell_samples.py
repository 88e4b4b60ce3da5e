"""Summarize the cells of a delivery: count in a sample of each batch, merge over batches, store as JSON.

Only columns that the delivery has and the declaration maps are observed. No contents of sensitive cells are kept.
Module `cell_changes` compares the summaries of deliveries.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import polars as pl

from etl_assets.schema import canonical_type
from etl_assets.schema.expressions import among
from etl_assets.schema.rules.allowed import Allowed
from etl_assets.schema.type_inference import (
    format_matches,
    in_format,
    is_boolean,
    is_integer,
    is_moment,
    is_null_word,
    is_number,
    pattern,
)
from etl_assets.validate.casts import cast, prepare
from etl_assets.validate.intermediate_columns import IntermediateColumns
from etl_assets.validate.shape import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from etl_assets.model.batch import RawBatch
    from etl_assets.schema import Column, Schema

SAMPLE: Final = 4096
"""Maximum number of records sampled from a batch."""
OF_DELIVERY: Final = 8192
"""Approximate maximum number of records sampled from all batches of a delivery."""
CELLS: Final = 50_000
"""Approximate maximum number of cells sampled from a batch."""
FEWEST: Final = 512
"""Minimum number of records to sample from a batch, however many columns there are."""
MOST_MEMBERS: Final = 20
"""A column with more distinct values is no category."""
_LONGEST_MEMBER: Final = 100
_MOST_PATTERNS: Final = 20
_STRAYS: Final = 0.05
"""From that share of a sample on, cells that are not written as declared are examined closely."""
_GOLDEN: Final = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class ColumnCells:
    """A summary of the cells of one column; every number counts cells of the sample.

    Attributes:
        published: The name under which the column was published.
        cells: Cells with a value, after declared stripping of blanks and declared null words.
        nulls: All other cells.
        declared: Cells written as declared.
        integer: Whole numbers. These and the next three are counted for texts, and for other columns where many cells
            are not as declared.
        number: Numbers, whole or not.
        boolean: Words for true and false.
        moment: Cells that look like a date, a timestamp or a time.
        formats: Number of cells in each declared format, for dates, timestamps and times.
        patterns: Number of cells of each digit pattern, where many cells fit no declared format; None for too many
            patterns.
        readings: Number of cells that fit each known format, where many cells fit no declared format.
        words: Number of cells of each null word that is not declared, as written.
        members: Number of cells of each value: all values of a text that may be a category, or, with declared
            ``allowed``, those that are not allowed. None for too many, and wherever values are not kept.
    """

    published: str
    cells: int = 0
    nulls: int = 0
    declared: int = 0
    integer: int = 0
    number: int = 0
    boolean: int = 0
    moment: int = 0
    formats: Mapping[str, int] = field(default_factory=dict)
    patterns: Mapping[str, int] | None = field(default_factory=dict)
    readings: Mapping[str, int] = field(default_factory=dict)
    words: Mapping[str, int] = field(default_factory=dict)
    members: Mapping[str, int] | None = None

    def __add__(self, other: Self) -> Self:
        return replace(
            self,
            cells=self.cells + other.cells,
            nulls=self.nulls + other.nulls,
            declared=self.declared + other.declared,
            integer=self.integer + other.integer,
            number=self.number + other.number,
            boolean=self.boolean + other.boolean,
            moment=self.moment + other.moment,
            formats=_sum(self.formats, other.formats),
            patterns=_sum_of_few(self.patterns, other.patterns, _MOST_PATTERNS),
            readings=_sum(self.readings, other.readings),
            words=_sum(self.words, other.words),
            members=_sum_of_few(self.members, other.members, MOST_MEMBERS),
        )


def observe(schema: Schema, raw: RawBatch, batches: int = 1) -> dict[str, Any]:
    """Summarize the cells of one batch from a sample.

    Args:
        schema: The declaration, which the batch's names satisfy.
        raw: The batch as published. It is not changed.
        batches: How many batches the delivery has; all are sampled alike.

    Returns:
        JSON values: column name to the attributes of `ColumnCells`. To be merged with `merge`.
    """
    published = resolve(schema, raw.names, "The delivery", records=raw.span.records).columns
    columns = tuple(column for column in schema.published if column.name in published)
    records = max(FEWEST, min(SAMPLE, OF_DELIVERY // batches, CELLS // max(1, len(columns))))
    texts = raw.texts([published[column.name] for column in columns], spread_places(raw.texts(()).height, records))
    sample = pl.DataFrame([texts.to_series(number).alias(f"#{number}") for number in range(len(columns))])
    counter = _counter(columns, raw.decimal, schema.key, raw.canonical)
    return {
        column.name: asdict(replace(cells, published=published[column.name]))
        for column, cells in zip(columns, counter.count(sample), strict=True)
    }


def allowed_values(column: Column) -> tuple[str | int, ...] | None:
    """Return the only values that a column allows; None if it allows any."""
    rule = column.find(Allowed)
    return None if rule is None else rule.values


def spread_places(height: int, most: int) -> pl.Series:
    """Return places of records: one from each of equally long stretches, in step with no period in the data.

    Args:
        height: Number of all records.
        most: Number of places to return; all records when there are no more.
    """
    stretch = np.arange(min(height, most))
    first, after = stretch * height // most, (stretch + 1) * height // most
    within = (stretch * _GOLDEN % 1 * (after - first)).astype(np.int64)
    return pl.Series(first + within if height > most else stretch, dtype=pl.UInt32)


def merge(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge what `observe` returned for several batches, in any order, into the summary of one batch."""
    merged: dict[str, ColumnCells] = {}
    for part in parts:
        for name, cells in from_json(part).items():
            merged[name] = merged[name] + cells if name in merged else cells
    return {name: asdict(cells) for name, cells in merged.items()}


def from_json(summary: Mapping[str, Any]) -> dict[str, ColumnCells]:
    """Read what `observe` or `merge` returned, by column name."""
    return {name: ColumnCells(**cells) for name, cells in summary.items()}


@lru_cache(maxsize=64)
def _counter(columns: tuple[Column, ...], decimal: str, key: tuple[str, ...], canonical: bool) -> _SampleCounter:  # noqa: FBT001 -- from `observe` alone
    if canonical:
        columns = tuple(_canonical(column) for column in columns)
    return _SampleCounter(columns, decimal, frozenset(key))


def _canonical(column: Column) -> Column:
    """Return the column with a type that also reads the canonical notation."""
    type_ = canonical_type(column.type)
    if type_.name == "boolean":
        return column.replace(true=type_.true, false=type_.false)
    return column.replace(formats=type_.declared_formats) if type_.declared_formats else column


class _SampleCounter:
    """Counts cells in samples of certain columns: cheap counts for all columns, the others where they matter."""

    def __init__(self, columns: Sequence[Column], decimal: str, key: frozenset[str]) -> None:
        self._columns = columns
        self._decimal = decimal
        self._key = key
        self._intermediate = IntermediateColumns()
        self._cells = [
            prepare(column.replace(default=None), pl.col(f"#{number}")).alias(f"#{number}")
            for number, column in enumerate(columns)
        ]
        self._counts = [
            count.alias(f"{number} {name}")
            for number, column in enumerate(columns)
            for name, count in self._counts_of(column, pl.col(f"#{number}")).items()
        ]

    def count(self, sample: pl.DataFrame) -> list[ColumnCells]:
        """Summarize each column of a sample; the sample's columns are named by number."""
        sample = sample.with_columns(self._cells)
        if sample.is_empty():
            return [ColumnCells("", members={} if self._keeps(column) else None) for column in self._columns]
        counted = (
            self._intermediate.added_to(sample.lazy())
            .select(self._counts)
            .collect(engine="in-memory")
            .row(0, named=True)
        )
        counts: list[dict[str, int]] = [{} for _ in self._columns]
        for label, count in counted.items():
            number, _, name = label.partition(" ")
            counts[int(number)][name] = count
        return [
            self._cells_of(column, column_counts, sample.get_column(f"#{number}"))
            for number, (column, column_counts) in enumerate(zip(self._columns, counts, strict=True))
        ]

    def _counts_of(self, column: Column, cell: pl.Expr) -> dict[str, pl.Expr]:
        """Return the expressions that count cells of a column in every sample, by name."""
        counts = {"cells": cell.is_not_null().sum()}
        if column.type.name == "text":
            counts |= _families(cell, self._decimal)
            counts["words"] = is_null_word(cell).sum()
            value = cell
        else:
            value = self._intermediate.add(cast(column.type, cell, self._intermediate, self._decimal))
            counts["declared"] = value.is_not_null().sum()
        rest = value.is_not_null()
        for format_ in column.type.formats:
            counts[f"format {format_}"] = (fits := rest & in_format(cell, format_)).sum()
            rest = rest & ~fits
        if (allowed := allowed_values(column)) is not None:
            counts["distinct"] = value.filter(~among(value, allowed)).n_unique()
        elif self._keeps(column):
            counts["distinct"] = value.drop_nulls().n_unique()
        return counts

    def _keeps(self, column: Column) -> bool:
        """Whether values of the column are kept, if they are few."""
        if column.sensitive:
            return False
        return allowed_values(column) is not None or (column.type.name == "text" and column.name not in self._key)

    def _cells_of(self, column: Column, counts: Mapping[str, int], sample: pl.Series) -> ColumnCells:
        cells = sample.drop_nulls()
        summary = ColumnCells(
            published="",
            cells=counts["cells"],
            nulls=len(sample) - counts["cells"],
            declared=counts.get("declared", counts["cells"]),
            formats={f: matches for f in column.type.formats if (matches := counts[f"format {f}"])},
            members={} if self._keeps(column) else None,
        )
        if column.type.name == "text":
            families: dict[str, Any] = {name: counts[name] for name in ("integer", "number", "boolean", "moment")}
            summary = replace(summary, **families)
            if counts["words"]:
                summary = replace(summary, words=_words(column, cells))
        elif summary.declared < summary.cells:
            summary = self._with_strays(column, summary, cells)
        if summary.members is not None and counts["distinct"]:
            summary = replace(summary, members=_members(column, cells, counts["distinct"]))
        return summary

    def _with_strays(self, column: Column, summary: ColumnCells, cells: pl.Series) -> ColumnCells:
        """Complete a summary whose column has cells that are not written as declared."""
        frame = cells.alias("cell").to_frame()
        cell, intermediate = pl.col("cell"), IntermediateColumns()
        value = intermediate.add(cast(column.type, cell, intermediate, self._decimal), "value")
        strays = (
            intermediate.added_to(frame.lazy()).filter(value.is_null()).collect(engine="in-memory").get_column("cell")
        )
        words = _words(column, strays)
        if len(strays) < _STRAYS * len(cells):
            return replace(summary, words=words)
        families: dict[str, Any] = frame.select(**_families(cell, self._decimal)).row(0, named=True)
        summary = replace(summary, **families, words=words)
        strays = strays.filter(~strays.is_in(list(words))) if words else strays
        if not column.type.formats:
            return summary
        return replace(summary, patterns=_patterns(strays), readings=format_matches(strays, column.type.name))


def _families(cell: pl.Expr, decimal: str) -> dict[str, pl.Expr]:
    return {
        "integer": is_integer(cell).sum(),
        "number": is_number(cell, decimal).sum(),
        "boolean": is_boolean(cell).sum(),
        "moment": is_moment(cell).sum(),
    }


def _words(column: Column, cells: pl.Series) -> dict[str, int]:
    """Count the null words among cells, as written, except those that the column allows."""
    frame = cells.alias("cell").to_frame()
    words = frame.filter(is_null_word(pl.col("cell"))).get_column("cell").value_counts()
    allowed = set(map(str, allowed_values(column) or ()))
    return {word: count for word, count in sorted(words.iter_rows()) if word not in allowed}


def _patterns(cells: pl.Series) -> dict[str, int] | None:
    """Count the cells of each digit pattern, for cells with at least two digits; None for too many patterns."""
    frame = cells.alias("cell").to_frame()
    counted = frame.filter(pl.col("cell").str.contains("[0-9].*[0-9]")).select(pattern(pl.col("cell")))
    if counted.get_column("cell").n_unique() > _MOST_PATTERNS:
        return None
    return dict(sorted(counted.get_column("cell").value_counts().iter_rows()))


def _members(column: Column, cells: pl.Series, distinct: int) -> dict[str, int] | None:
    """Count each value of a category that is not an allowed value; None if the column is no category."""
    if distinct > MOST_MEMBERS:
        return None
    if column.type.name == "integer":
        cells = cells.cast(pl.Int64, strict=False).drop_nulls().cast(pl.String)
    allowed = allowed_values(column)
    unexpected = cells if allowed is None else cells.filter(~cells.is_in(list(map(str, allowed))))
    counted = dict(sorted(unexpected.value_counts().iter_rows()))
    return None if any(len(value) > _LONGEST_MEMBER or "\0" in value for value in counted) else counted


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(one) + Counter(other)).items()))


def _sum_of_few(one: Mapping[str, int] | None, other: Mapping[str, int] | None, most: int) -> dict[str, int] | None:
    """Return the sum of both; None if either is None or the sum has too many entries."""
    if one is None or other is None:
        return None
    both = _sum(one, other)
    return both if len(both) <= most else None
