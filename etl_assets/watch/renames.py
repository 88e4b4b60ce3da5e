"""Find renamed columns: pairs of a removed and an added name that mean the same column.

Three things are evidence of a renaming: the declaration has both names for one column, the names are similar, or the
columns contain the same values. This module only suggests pairs; its callers decide what to do with them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from difflib import SequenceMatcher
from hashlib import blake2b
from itertools import product
from typing import TYPE_CHECKING, Final

from etl_assets.model.drift import Values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import polars as pl

    from etl_assets.schema import Schema

_HASH_BYTES: Final = 6
MOST_PAIRS: Final = 4_000
"""From this number of pairs on, names are compared only where the declaration or equal words suggest a renaming."""
_MOST_EQUALS: Final = 5
_DIFFERENT: Final = 0.99
"""The largest similarity of names that differ in more than case and separators."""
_COMPARED: Final = 100
"""Only so many first characters of different names are compared: the time grows with the square of their length."""
_FEW: Final = 10
"""With fewer distinct values, equal values prove little; different values still count against a renaming."""
_MANY: Final = 50
"""From this number of distinct values on, equal values are enough, whatever the names."""
_DECLARED: Final = 4.0
_SAME_NAME: Final = 3.0
_ABBREVIATED: Final = 0.7
_EXTENDED: Final = 0.9
_NEARLY: Final = 0.85
_OTHER_NUMBER: Final = 0.3
_IGNORED: Final = ""


def sketch(cells: pl.Series) -> Values | None:
    """Return a sketch of a column's values; None when it has no values.

    The hashes are the same on every machine and with every version of the engine.

    Args:
        cells: Of type String.
    """
    distinct = {value.encode() for value in cells.to_list() if value is not None}
    if not distinct:
        return None
    digests = sorted([blake2b(value, digest_size=_HASH_BYTES).digest() for value in distinct])
    return Values(len(distinct), tuple([int.from_bytes(digest, "big") for digest in digests]))


def overlap(one: Values, other: Values) -> tuple[float, float]:
    """Estimate from their sketches how many values two columns share.

    Returns:
        The share of all distinct values that both columns have, and the share of the smaller column's values that the
        larger column has.
    """
    bounds = [values.hashes[-1] for values in (one, other) if values.distinct > len(values.hashes)]
    bound = min(bounds, default=1 << 8 * _HASH_BYTES)
    mine, theirs = ({hash_ for hash_ in values.hashes if hash_ <= bound} for values in (one, other))
    common = len(mine & theirs) / len(mine | theirs)
    both = common * (one.distinct + other.distinct) / (1 + common)
    return common, min(1.0, both / min(one.distinct, other.distinct))


def similarity(one: str, other: str) -> float:
    """Return how similar two names are, from 0.0 to 1.0. Names with 1.0 differ at most in case and separators."""
    if _plain(one) == _plain(other):
        return 1.0
    words = [_words(name[:_COMPARED]) for name in (one, other)]
    plain = ["".join(parts) for parts in words]
    shorter, longer = sorted(plain, key=lambda name: (len(name), name))
    both_ways = ((shorter, longer), (longer, shorter))
    alike = min(_DIFFERENT, max(SequenceMatcher(None, *pair, autojunk=False).ratio() for pair in both_ways))
    fewer, more = sorted(map(set, words), key=len)
    numbers = [re.findall("[0-9]+", name) for name in plain]
    if all(numbers) and numbers[0] != numbers[1]:
        return min(alike, _OTHER_NUMBER)
    if len(fewer) > 1 and fewer < more:
        return max(alike, _EXTENDED)
    if len(shorter) > 2 and longer.startswith(shorter):  # noqa: PLR2004 -- letters of an abbreviation
        return max(alike, _ABBREVIATED)
    return alike


def find_renames(
    schema: Schema,
    removed: Sequence[str],
    added: Sequence[str],
    before: Mapping[str, Values],
    after: Mapping[str, Values],
) -> dict[str, str]:
    """Pair removed names with added names, the best pair first. Each name is in at most one pair.

    Args:
        schema: The declaration.
        removed: Names that are gone.
        added: Names that are new.
        before: Sketches of the values, by removed name.
        after: Sketches of the values, by added name.

    Returns:
        Old name to new name.
    """
    meaning = _meanings(schema)
    scored = [
        (score, old, new)
        for old, new in _candidates(removed, added, meaning)
        if (score := _score(old, new, meaning, before.get(old), after.get(new))) is not None
    ]
    pairs: dict[str, str] = {}
    taken: set[str] = set()
    for _, old, new in sorted(scored, key=lambda pair: (-pair[0], sorted(pair[1:]))):
        if old not in pairs and new not in taken:
            pairs[old] = new
            taken.add(new)
    return pairs


def _candidates(removed: Sequence[str], added: Sequence[str], meaning: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Return the pairs to score: all, or, if those are too many, only pairs of one declared column or of equal words.

    Of the names that are equal to each other in that way, only the first few are paired.
    """
    if len(removed) * len(added) <= MOST_PAIRS:
        return product(removed, added)
    by_trait: dict[tuple[str, str], list[str]] = defaultdict(list)
    for new in added:
        for trait in _traits(new, meaning):
            by_trait[trait].append(new)
    return dict.fromkeys(
        (old, new) for old in removed for trait in _traits(old, meaning) for new in by_trait[trait][:_MOST_EQUALS]
    )


def _traits(name: str, meaning: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what makes two names candidates for a renaming by itself."""
    yield "words", _plain(name)
    if column := meaning.get(name):
        yield "column", column


def _score(old: str, new: str, meaning: Mapping[str, str], before: Values | None, after: Values | None) -> float | None:
    """Return how strong the evidence of a renaming is; None when it is not enough."""
    alike = similarity(old, new)
    if old in meaning and new in meaning:
        if meaning[old] != meaning[new]:
            return None
        if meaning[old] != _IGNORED:
            return _DECLARED + alike
    if before is None or after is None:
        common, contained = 0.0, 0.0
        convincing = alike >= _NEARLY
    else:
        common, contained = overlap(before, after)
        convincing = _is_convincing(alike, common, contained, min(before.distinct, after.distinct))
    if alike == 1.0:
        return _SAME_NAME + contained
    return alike + contained if convincing else None


def _is_convincing(alike: float, common: float, contained: float, distinct: int) -> bool:
    """Whether different names, together with their values, are enough evidence of a renaming.

    Args:
        alike: Similarity of the names.
        common: Share of all values that both columns have.
        contained: Share of the smaller column's values that the larger column has.
        distinct: Number of distinct values of the smaller column.
    """
    if distinct < _FEW:
        return alike >= _NEARLY and contained >= 0.5  # noqa: PLR2004
    by_name = alike >= _ABBREVIATED and contained >= 0.4  # noqa: PLR2004
    by_both = alike >= 0.5 and common >= 0.5  # noqa: PLR2004
    by_values = distinct >= _MANY and common >= 0.8  # noqa: PLR2004
    return by_name or by_both or by_values


def _meanings(schema: Schema) -> dict[str, str]:
    """Map each declared published name to its column's name, and each ignored name to an empty text."""
    columns = {name: column.name for column in schema.published for name in column.published_names}
    return {**dict.fromkeys(schema.ignored, _IGNORED), **columns}


def _plain(name: str) -> str:
    """Return a name without separators, in lower case."""
    return "".join(_words(name))


def _words(name: str) -> list[str]:
    """Split a name into words, in lower case: at characters that are no letter or digit, and before inner capitals."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W_]+", parted.casefold()) or [name]
