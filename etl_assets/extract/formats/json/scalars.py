"""Finds which of many JSON values are numbers or words, without a call for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from etl_assets.extract.formats.csv.bits import Flags
    from etl_assets.extract.formats.json.columns import Values

_WORDS: Final = (b"null", b"true", b"false")
_MINUS: Final = ord("-")
_ZERO: Final = ord("0")
_NINE: Final = ord("9")


def scalars(values: Values) -> Flags:
    """Return which values, none of which is a text, are words or numbers of JSON."""
    flags = _numbers(values)
    codes = np.frombuffer(values.data, np.uint8)
    for word in _WORDS:
        begins = (codes[values.starts] == word[0]) & (values.ends - values.starts == len(word))
        places = np.flatnonzero(begins)
        letters = [codes[values.starts[places] + ahead] == letter for ahead, letter in enumerate(word)]
        flags[places] = np.logical_and.reduce(letters)
    return flags


def _numbers(values: Values) -> Flags:
    """Return which values are numbers.

    Polars reads numbers that JSON does not have: with a plus or zeros before them, without a digit on either side of
    the point, and words. The first two digits, the last byte and what follows the point exclude them.
    """
    codes = np.frombuffer(values.data, np.uint8)
    published = values.published
    last = len(codes) - 1
    first = np.minimum(values.starts + (codes[values.starts] == _MINUS), last)
    second = np.minimum(first + 1, last)
    leading_zero = (codes[first] == _ZERO) & _is_digit(codes[second]) & (first + 1 < values.ends)
    read = published.cast(pl.Float64(), strict=False).is_not_null()
    if b".e" in values.data or b".E" in values.data:
        read &= ~published.str.contains(r"\.[eE]")
    flags: Flags = read.to_numpy() & _is_digit(codes[first]) & _is_digit(codes[values.ends - 1]) & ~leading_zero
    return flags


def _is_digit(codes: np.ndarray) -> Flags:
    flags: Flags = (codes >= _ZERO) & (codes <= _NINE)
    return flags
