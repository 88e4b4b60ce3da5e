"""Finds the columns whose values together identify a record: candidates for the key, the likeliest first."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.infer.readings import read_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.infer.columns import InferredColumn

_MOST_TOGETHER: Final = 3
_MOST_COLUMNS: Final = 14
"""Only so many columns, the likeliest, are combined with one another."""
_SAMPLE: Final = 20_000
_MOST_CANDIDATES: Final = 5
_WEIGHT_OF_PLACE: Final = 0.02
"""Between columns that are alike, the first is the likelier."""
_WEIGHT_OF_NULLS: Final = 1.0
_LONGEST_CODE: Final = 24
"""Longer texts are descriptions."""
_MEASURES: Final = frozenset({"float", "decimal", "boolean", "json"})
_OF_SEVERAL_TEXTS: Final = frozenset({"integer", "date", "timestamp", "time", "uuid"})
"""Types of which two texts may be one value."""
_NAMES_OF_KEYS: Final = frozenset(
    {"id", "key", "code", "no", "nr", "number", "num", "uuid", "guid", "isbn", "iban", "symbol"}
)
_NAMES_OF_CONTACTS: Final = frozenset({"postal", "postcode", "zip", "phone", "fax", "mobile", "email", "address"})
"""Several people or firms can share one, even if those of a file do not."""
_NAMES_OF_PARTS: Final = frozenset({"date", "day", "time", "hour", "month", "year", "week", "currency", "country"})


def key_candidates(frame: pl.DataFrame, columns: Sequence[InferredColumn]) -> list[tuple[str, ...]]:
    """Return the sets of columns that no two records share the values of, the smallest and then the likeliest first.

    A set that contains a smaller one is left out. Of one record, which any column identifies, the likeliest column is
    the only candidate.

    Args:
        frame: The records, under the published names.
        columns: The inferred columns.

    Returns:
        Names of columns, as declared. Columns with empty cells are in them only if nothing else identifies a record.
    """
    is_single = frame.height == 1
    usable = [column for column in columns if column.distinct > (0 if is_single else 1) and can_identify(column)]
    filled = [column for column in usable if not column.nulls]
    found = _unique_sets(frame, filled) or _unique_sets(frame, usable)
    shown = found[: 1 if is_single else _MOST_CANDIDATES]
    return [tuple(column.column.name for column in chosen) for chosen in shown]


def can_identify(column: InferredColumn) -> bool:
    """Return whether a column may be part of a key: no measure, and a text without blanks if it has empty cells.

    Only a text has a default for them that is no value of its own.
    """
    type_ = column.column.type.name
    return type_ not in _MEASURES and (not column.nulls or (type_ == "text" and not column.column.strip))


def may_be_measure(column: InferredColumn) -> bool:
    """Return whether a column has integers, and a name that is no usual one for a part of a key."""
    words = set(re.findall("[a-z]+", column.column.name.lower()))
    return column.column.type.name == "integer" and not words & (_NAMES_OF_KEYS | _NAMES_OF_PARTS)


def _unique_sets(frame: pl.DataFrame, columns: Sequence[InferredColumn]) -> list[tuple[InferredColumn, ...]]:
    order = {column.published: place for place, column in enumerate(columns)}
    likely = sorted(columns, key=lambda column: _unlikeliness(column, order[column.published]))[:_MOST_COLUMNS]
    codes = pl.DataFrame({column.published: _codes(frame.get_column(column.published), column) for column in likely})
    sample = codes.head(_SAMPLE)
    found: list[tuple[InferredColumn, ...]] = []
    for size in range(1, _MOST_TOGETHER + 1):
        sized = sorted(combinations(likely, size), key=lambda chosen: _unlikeliness_of(chosen, order))
        for chosen in sized:
            if any(set(smaller) <= set(chosen) for smaller in found):
                continue
            names = [column.published for column in chosen]
            if _is_unique(sample, names) and (len(codes) <= _SAMPLE or _is_unique(codes, names)):
                found.append(tuple(sorted(chosen, key=lambda column: order[column.published])))
    return found


def _codes(cells: pl.Series, column: InferredColumn) -> pl.Series:
    """Return a number for each value of a column, the same one for texts that are read as the same value."""
    texts = cells.str.strip_chars().fill_null("")
    if column.column.type.name in _OF_SEVERAL_TEXTS:
        read = read_values(column.column, cells).get_column("value").cast(pl.String)
        texts = read.fill_null(texts)
    return texts.rank("dense")


def _is_unique(codes: pl.DataFrame, names: Sequence[str]) -> bool:
    return not codes.select(names).is_duplicated().any()


def _unlikeliness_of(chosen: Sequence[InferredColumn], order: dict[str, int]) -> tuple[float, ...]:
    return (
        sum(_unlikeliness(column, order[column.published])[0] for column in chosen),
        *(order[c.published] for c in chosen),
    )


def _unlikeliness(column: InferredColumn, place: int) -> tuple[float, int]:
    """Return how unlikely a column is a part of the key: by the words of its name, its type and its place."""
    words = set(re.findall("[a-z]+", column.column.name.lower()))
    rank = 2.0
    if words & _NAMES_OF_CONTACTS:
        rank = 3.0
    elif words & _NAMES_OF_KEYS:
        rank = 0.0
    elif words & _NAMES_OF_PARTS or column.column.type.name in {"date", "timestamp", "uuid"}:
        rank = 1.0
    if column.column.type.name == "text":
        rank += 1.0 if column.longest > _LONGEST_CODE else 0.0
        rank -= 0.5 if column.same_length else 0.0
    rank += _WEIGHT_OF_NULLS * (column.nulls > 0)
    return rank + min(place, _MOST_COLUMNS) * _WEIGHT_OF_PLACE, place
