"""Summaries of a column's values that can be added up: different values, quantiles, frequent values.

Each is small whatever it is made of, and what is made of parts is what would have been made of the whole, within the
error that it states. Which columns get which, and how they are written down, is `profile`'s business.
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
"""Hashes of one method can be added up: Polars promises equal ones only within one version."""

_SEED: Final = 20_130_101
_HASHES: Final = 2**64
_BOUNDS: Final = (_HASHES // 32, _HASHES // 4)
_SKETCH_SIZE: Final = 200
_LOG_COUNTERS: Final = 10
_SHARE_OF_TOP: Final = 0.01
_FEWEST_OF_TOP: Final = 2
_LONGEST_TOP: Final = 10


def smallest_hashes(values: pl.Series) -> Hashes:
    """The smallest different hashes of a column's values, sorted: a sample of its different values.

    Looking at few of the hashes is enough for a column with many different values; where there are few, it is
    fast to look at all.
    """
    hashes = values.drop_nulls().hash(_SEED)
    for bound in _BOUNDS:
        different = hashes.filter(hashes < bound).unique()
        if different.len() >= KEPT_HASHES:
            break
    else:
        different = hashes.unique()
    return np.sort(different.to_numpy())[:KEPT_HASHES]


def added_hashes(some: Hashes, more: Hashes) -> Hashes:
    """The smallest different hashes of two parts, each sorted."""
    if len(some) == KEPT_HASHES:
        more = more[more < some[-1]]
    return np.union1d(some, more)[:KEPT_HASHES] if len(more) else some


def distinct(hashes: Hashes) -> float:
    """How many different values there were: exact while all their hashes are kept, then by how dense these lie."""
    if len(hashes) < KEPT_HASHES:
        return float(len(hashes))
    return (KEPT_HASHES - 1) * _HASHES / float(hashes[-1])


class Quantiles:
    """The order of a column's numbers, from samples of its batches.

    Batches may have been sampled at different rates; those of one rate share a KLL sketch, and each value of a sketch
    stands for as many rows as its rate says.
    """

    def __init__(self) -> None:
        self._sketches: dict[int, Any] = {}

    def add(self, step: int, sketch: bytes) -> None:
        """Add what `summary` made of a batch of which one row in ``step`` was taken."""
        part = kll_doubles_sketch.deserialize(sketch)
        if step in self._sketches:
            self._sketches[step].merge(part)
        else:
            self._sketches[step] = part

    def at(self, ranks: Sequence[float]) -> list[float]:
        """The values at some ranks; none where nothing was added."""
        weighed = [(value, weight * step) for step, sketch in self._sketches.items() for value, weight in list(sketch)]
        if not weighed:
            return []
        values, weights = np.array(sorted(weighed)).T
        reached = np.cumsum(weights)
        places = np.searchsorted(reached, np.multiply(ranks, reached[-1]))
        return [float(value) for value in values[np.minimum(places, len(values) - 1)]]

    @staticmethod
    def summary(numbers: Floats) -> bytes:
        """The sketch of some numbers; empty for none."""
        if not len(numbers):
            return b""
        sketch = kll_doubles_sketch(_SKETCH_SIZE)
        sketch.update(numbers)
        return bytes(sketch.serialize())


class FrequentValues:
    """The most frequent values of a column, from the most frequent ones of its batches."""

    def __init__(self) -> None:
        self._sketch = frequent_strings_sketch(_LOG_COUNTERS)

    def add(self, value: str, rows: int) -> None:
        """Count a value in some more rows."""
        self._sketch.update(value, rows)

    def top(self, values: int) -> tuple[tuple[str, int], ...]:
        """The values that stand in at least one row of a hundred, most frequent first, with their numbers of rows.

        Args:
            values: Number of rows that have a value.
        """
        fewest = max(_FEWEST_OF_TOP, math.ceil(values * _SHARE_OF_TOP))
        counted = self._sketch.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES)
        found = [(str(value), int(rows)) for value, rows, *_ in counted if rows >= fewest]
        return tuple(sorted(found, key=lambda one: (-one[1], one[0]))[:_LONGEST_TOP])
