"""Profile the columns of a delivery: summarize each batch into a part, and merge the parts of all batches.

A part is written as bytes together with its batch, so a resumed load loses no part. Counts, extremes, means and
deviations are exact, over all rows; quantiles and frequent values come from an even sample of large batches, which is
smaller if the delivery has many. The sketches are in `sketches`, ``postgres.watch.profiles`` stores the parts,
`anomaly` evaluates the profiles.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from etl_assets.model.profile import RANKS, ColumnProfile
from etl_assets.watch.sketches import (
    HASH_METHOD,
    FrequentValues,
    Quantiles,
    distinct,
    merge_hashes,
    smallest_hashes,
    without_nulls,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from etl_assets.schema import Column, Schema
    from etl_assets.watch.sketches import Hashes

FORMAT: Final = 1
"""Version of the parts' format. Parts of any other version are not read."""
SAMPLED_FROM: Final = 8192
"""From this number of rows on, a batch's quantiles and frequent values come from a sample of at least half as many."""
SAMPLED_OF_DELIVERY: Final = 16_384
"""If the batches of a delivery would have more sampled rows than that, fewer are sampled of each, but not fewer than
`FEWEST_SAMPLED` / 2."""
FEWEST_SAMPLED: Final = 2048

_LONGEST_TEXT: Final = 200
_FREQUENT_OF_BATCH: Final = 256
_COUNTED_ONLY: Final = frozenset({"json", "uuid"})
_MEASURED: Final = frozenset({"integer", "float", "decimal", "date", "timestamp", "time"})
_UNITS: Final = {"timestamp": 1_000_000, "time": 1_000_000_000}
_LENGTH: Final = struct.Struct(">I")


def profile_batch(schema: Schema, rows: pl.DataFrame, batches: int = 1) -> bytes:
    """Summarize the columns of a batch.

    Args:
        schema: The contract; only its columns are profiled.
        rows: Typed, as in `Batch`.
        batches: How many batches the delivery has; all are sampled alike.

    Returns:
        One part, for `merge`.
    """
    floats = [_unsigned_zeros(column.name) for column in schema.columns if column.type.name == "float"]
    rows = rows.with_columns(floats) if floats else rows
    most = max(FEWEST_SAMPLED, min(SAMPLED_FROM, SAMPLED_OF_DELIVERY // max(1, batches)))
    step = 1 << max(0, (2 * rows.height // most).bit_length() - 1)
    sampled = _sample_rows(rows.height, step)
    numbers = rows.select(_number(column) for column in schema.columns if _shows_values(column))
    facts: dict[str, dict[str, Any]] = {}
    blobs: list[bytes] = []
    for column in schema.columns:
        cells, quantiles = rows.get_column(column.name), b""
        facts[column.name] = {"nulls": cells.null_count()}
        if column.name in numbers.columns:
            number = numbers.get_column(column.name)
            few = cells if sampled is None else cells[sampled]
            facts[column.name] |= {**_exact(column, cells, number), "top": _frequent(few, step, batches)}
            if column.type.name in _MEASURED:
                measured = number if sampled is None else number[sampled]
                quantiles = Quantiles.summary(without_nulls(measured).to_numpy(writable=True))
        blobs += (smallest_hashes(cells).tobytes(), quantiles)
    header = {"format": FORMAT, "hashes": HASH_METHOD, "rows": rows.height, "step": step, "columns": facts}
    return _pack(header, blobs)


def merge(schema: Schema, parts: Iterable[bytes]) -> tuple[ColumnProfile, ...]:
    """Merge the parts of a delivery, in any order.

    Args:
        schema: The contract under which the parts were made.
        parts: From `profile_batch`, each part once.

    Returns:
        The profile of each column, in the order of the schema. Empty when there is no part, or when another version of
        this package wrote a part in a format that this version cannot read.
    """
    sums = {column.name: _Sum(column) for column in schema.columns}
    methods: set[str] = set()
    for part in parts:
        header, blobs = _unpack(part)
        if header["format"] != FORMAT:
            return ()
        methods.add(header["hashes"])
        for column in schema.columns:
            sums[column.name].add(header, next(blobs), next(blobs))
    if not methods:
        return ()
    return tuple(sum_.profile(comparable=len(methods) == 1) for sum_ in sums.values())


@dataclass
class _Sum:
    """The running totals of one column over the parts that were added."""

    column: Column
    rows: int = 0
    nulls: int = 0
    least: Any = None
    most: Any = None
    moments: list[tuple[int, float | None, float | None]] = field(default_factory=list)
    hashes: Hashes = field(default_factory=lambda: np.array([], dtype=np.uint64))
    quantiles: Quantiles = field(default_factory=Quantiles)
    frequent: FrequentValues = field(default_factory=FrequentValues)

    def add(self, header: dict[str, Any], hashes: bytes, quantiles: bytes) -> None:
        """Add a part."""
        facts, step = header["columns"][self.column.name], header["step"]
        self.rows += header["rows"]
        self.nulls += facts["nulls"]
        self.hashes = merge_hashes(self.hashes, np.frombuffer(hashes, dtype=np.uint64))
        if facts.get("least") is not None:
            self.least = facts["least"] if self.least is None else min(self.least, facts["least"])
            self.most = facts["most"] if self.most is None else max(self.most, facts["most"])
        if facts.get("numbers"):
            self.moments.append((facts["numbers"], facts["mean"], facts["variance"]))
        if quantiles:
            self.quantiles.add(step, quantiles)
        for value, rows in facts.get("top", ()):
            self.frequent.add(value, rows * step)

    def profile(self, *, comparable: bool) -> ColumnProfile:
        """Return the profile of the column.

        Args:
            comparable: Whether the hashes of all parts were made by the same method.
        """
        mean, deviation = _moments(self.moments)
        shown = self.least is not None
        return ColumnProfile(
            column=self.column.name,
            rows=self.rows,
            nulls=self.nulls,
            distinct=distinct(self.hashes) if comparable else None,
            minimum=_text(self.column, self.least) if shown else None,
            maximum=_text(self.column, self.most) if shown else None,
            mean=mean,
            deviation=deviation,
            quantiles=self._quantiles(),
            top=self.frequent.top(self.rows - self.nulls),
        )

    def _quantiles(self) -> dict[float, float]:
        if self.column.type.name not in _MEASURED or self.least is None:
            return {}
        unit = (
            10 ** (self.column.type.scale or 0)
            if self.column.type.name == "decimal"
            else _UNITS.get(self.column.type.name, 1)
        )
        least, most = self.least / unit, self.most / unit
        between = [min(max(value, least), most) for value in self.quantiles.at(RANKS[1:-1])]
        return dict(zip(RANKS, [least, *between, most], strict=True)) if between else {0.0: least, 1.0: most}


def _shows_values(column: Column) -> bool:
    """Whether values of a column are kept, not only counts."""
    return not column.sensitive and column.type.name not in _COUNTED_ONLY


def _number(column: Column) -> pl.Expr:
    """Turn a column's values into the numbers from which means and quantiles are computed; see `ColumnProfile`."""
    cell = pl.col(column.name)
    match column.type.name:
        case "text":
            return cell.str.len_bytes().cast(pl.Float64)
        case "float":
            return pl.when(cell.is_finite()).then(cell)
        case "date" | "timestamp" | "time":
            return cell.to_physical().cast(pl.Float64) / _UNITS.get(column.type.name, 1)
        case _:
            return cell.cast(pl.Float64)


def _unsigned_zeros(name: str) -> pl.Expr:
    """Replace -0.0 by 0.0 in a column of floats: they are equal, but their texts differ."""
    return pl.when(pl.col(name) == 0).then(0.0).otherwise(pl.col(name)).alias(name)


def _exact(column: Column, cells: pl.Series, numbers: pl.Series) -> dict[str, Any]:
    """Return extremes (as JSON values), mean and variance of a column of a batch."""
    stored = numbers if column.type.name == "float" else cells.to_physical()
    extremes = {"least": stored.min(), "most": stored.max()}
    if column.type.name == "text":
        extremes = {name: text and str(text)[:_LONGEST_TEXT] for name, text in extremes.items()}
    moments = {"mean": numbers.mean(), "variance": numbers.var(ddof=0)}
    if any(not isinstance(moment, float) or not math.isfinite(moment) for moment in moments.values()):
        moments = {"mean": None, "variance": None}
    return {**extremes, **moments, "numbers": numbers.count()}


def _text(column: Column, stored: Any) -> str:
    """Return the text of an extreme that `_exact` stored."""
    match column.type.name:
        case "text":
            return str(stored)
        case "decimal":
            digits = tuple(int(digit) for digit in str(abs(stored)))
            return f"{Decimal((int(stored < 0), digits, -(column.type.scale or 0))):f}"
        case "date" | "timestamp" | "time":
            physical = pl.Int32 if column.type.name == "date" else pl.Int64
            return str(_texts(pl.Series([stored], dtype=physical).cast(column.type.polars)).item())
        case "integer":
            return str(int(stored))
        case _:
            return str(_texts(pl.Series([stored], dtype=column.type.polars)).item())


def _texts(values: pl.Series) -> pl.Series:
    return values.dt.to_string("iso:strict") if values.dtype == pl.Datetime else values.cast(pl.String)


def _sample_rows(rows: int, step: int) -> pl.Series | None:
    """Draw one row at random from every ``step`` consecutive rows: periodic values are counted correctly.

    Returns:
        The numbers of the rows; None for all of them.
    """
    if step == 1:
        return None
    strata = rows // step
    return pl.Series(np.arange(strata) * step + np.random.default_rng(step).integers(0, step, size=strata))


def _frequent(sample: pl.Series, step: int, batches: int) -> list[tuple[str, int]]:
    """Return the most frequent values of a sample, with their numbers of sampled rows.

    A value that is in the sample only once says nothing about the rest of the batch; and if there is no other batch, it
    is not frequent.
    """
    counted = sample.value_counts(name="rows")
    enough = counted["rows"] >= max(1 + (step > 1 or batches == 1), sample.len() // _FREQUENT_OF_BATCH)
    if not enough.any():
        return []
    texts, rows = _texts(counted[sample.name].filter(enough)), counted["rows"].filter(enough)
    return [(text, number) for text, number in zip(texts, rows, strict=True) if text and len(text) <= _LONGEST_TEXT]


def _moments(parts: list[tuple[int, float | None, float | None]]) -> tuple[float | None, float | None]:
    """Merge the count, mean and variance of each part into the mean and standard deviation of all, in any order.

    The result is unknown (None) if a part's mean or variance is, because it was too large for a float.
    """
    known = [(count, average, spread) for count, average, spread in parts if average is not None and spread is not None]
    if not known or len(known) < len(parts):
        return None, None
    numbers = sum(count for count, _, _ in known)
    mean = math.fsum(count / numbers * average for count, average, _ in known)
    try:
        variance = math.fsum(count / numbers * (spread + (average - mean) ** 2) for count, average, spread in known)
    except OverflowError:
        return mean, None
    return mean, math.sqrt(variance)


def _pack(header: dict[str, Any], blobs: list[bytes]) -> bytes:
    encoded = json.dumps({**header, "lengths": [len(blob) for blob in blobs]}, allow_nan=False).encode()
    return b"".join((_LENGTH.pack(len(encoded)), encoded, *blobs))


def _unpack(part: bytes) -> tuple[dict[str, Any], Iterator[bytes]]:
    (length,) = _LENGTH.unpack_from(part)
    begin = _LENGTH.size + length
    header = json.loads(part[_LENGTH.size : begin])
    return header, _split(part[begin:], header["lengths"])


def _split(blobs: bytes, lengths: list[int]) -> Iterator[bytes]:
    for length in lengths:
        yield blobs[:length]
        blobs = blobs[length:]
