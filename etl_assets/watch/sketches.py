"""Small summaries of a column's values that can be merged: distinct values, quantiles, frequent values.

The size of a summary does not grow with the number of values. A summary merged from parts equals a summary of the
whole, within its stated error. Module `profiles` decides which columns get which summaries, and serializes them.
"""

from __future__ import annotations

import math
import platform
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from datasketches import frequent_items_error_type, frequent_strings_sketch, kll_doubles_sketch

if TYPE_CHECKING:
    from collections.abc import Sequence

    Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]
    Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

KEPT_HASHES: Final = 1024
HASH_METHOD: Final = f"polars {pl.__version__} {platform.machine()}"
"""Only hashes of the same method can be merged: Polars guarantees equal hashes only within one version."""

_SEED: Final = 20_130_101
_HASHES: Final = 2**64
_BOUNDS: Final = (_HASHES // 32, _HASHES // 4)
_SORTED_AT_ONCE: Final = 4096
"""So many hashes are sorted before any is left out."""
_SKETCH_SIZE: Final = 200
_LOG_COUNTERS: Final = 10
_SHARE_OF_TOP: Final = 0.01
_FEWEST_OF_TOP: Final = 2
_LONGEST_TOP: Final = 10


def without_nulls(values: pl.Series) -> pl.Series:
    """Return a column's values without nulls; most have none, so that nothing is filtered."""
    return values.drop_nulls() if values.null_count() else values


def smallest_hashes(values: pl.Series) -> Hashes:
    """Return the smallest distinct hashes of a column's values, sorted: a sample of its distinct values.

    In a column with many distinct values, the hashes below a small bound are enough; with few distinct values, it is
    fast to sort all hashes.
    """
    hashes = without_nulls(values).hash(_SEED)
    if hashes.len() <= _SORTED_AT_ONCE:
        return np.unique(hashes.to_numpy())[:KEPT_HASHES]
    for bound in _BOUNDS:
        different = hashes.filter(hashes < bound).unique()
        if different.len() >= KEPT_HASHES:
            break
    else:
        different = hashes.unique()
    return np.sort(different.to_numpy())[:KEPT_HASHES]


def merge_hashes(some: Hashes, more: Hashes) -> Hashes:
    """Merge two parts, each sorted, into their smallest distinct hashes."""
    if len(some) == KEPT_HASHES:
        more = more[more < some[-1]]
    return np.union1d(some, more)[:KEPT_HASHES] if len(more) else some


def distinct(hashes: Hashes) -> float:
    """Return the number of distinct values: exact while all hashes are kept, then estimated from their density."""
    if len(hashes) < KEPT_HASHES:
        return float(len(hashes))
    return (KEPT_HASHES - 1) * _HASHES / float(hashes[-1])


class Quantiles:
    """The order of a column's numbers, from samples of its batches.

    Batches may have been sampled at different rates. Batches of the same rate share a KLL sketch, and each value of a
    sketch counts for as many rows as its rate says.
    """

    def __init__(self) -> None:
        self._sketches: dict[int, Any] = {}

    def add(self, step: int, sketch: bytes) -> None:
        """Add the `summary` of a batch from which one row in ``step`` was sampled."""
        part = kll_doubles_sketch.deserialize(sketch)
        if step in self._sketches:
            self._sketches[step].merge(part)
        else:
            self._sketches[step] = part

    def at(self, ranks: Sequence[float]) -> list[float]:
        """Return the values at some ranks; empty if nothing was added."""
        weighted = [(value, weight * step) for step, sketch in self._sketches.items() for value, weight in list(sketch)]
        if not weighted:
            return []
        values, weights = np.array(sorted(weighted)).T
        reached = np.cumsum(weights)
        places = np.searchsorted(reached, np.multiply(ranks, reached[-1]))
        return [float(value) for value in values[np.minimum(places, len(values) - 1)]]

    @staticmethod
    def summary(numbers: Floats) -> bytes:
        """Return the serialized sketch of some numbers; empty if there are none."""
        if not len(numbers):
            return b""
        sketch = kll_doubles_sketch(_SKETCH_SIZE)
        sketch.update(numbers)
        return bytes(sketch.serialize())


class FrequentValues:
    """The most frequent values of a column, merged from the most frequent values of its batches."""

    def __init__(self) -> None:
        self._sketch = frequent_strings_sketch(_LOG_COUNTERS)

    def add(self, value: str, rows: int) -> None:
        """Add rows that have a value to its count."""
        self._sketch.update(value, rows)

    def top(self, values: int) -> tuple[tuple[str, int], ...]:
        """Return the values in at least one row of a hundred, most frequent first, with their numbers of rows.

        Args:
            values: Number of rows that have a value.
        """
        fewest = max(_FEWEST_OF_TOP, math.ceil(values * _SHARE_OF_TOP))
        counted = self._sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES)
        frequent = [(str(value), int(rows)) for value, rows, *_ in counted if rows >= fewest]
        return tuple(sorted(frequent, key=lambda pair: (-pair[1], pair[0]))[:_LONGEST_TOP])
