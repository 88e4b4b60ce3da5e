"""Find renamed columns: pairs of a removed and an added name that mean the same column.

Three things are evidence of a renaming: the declaration has both names for one column, the names are similar, or the
columns contain the same values. This module only suggests pairs; its callers decide what to do with them.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from etl_assets.model.drift import Values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from etl_assets.schema import Schema

_HASH_BYTES: Final = 6
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
    distinct = cells.drop_nulls().unique().to_list()
    if not distinct:
        return None
    hashes = sorted(
        int.from_bytes(blake2b(value.encode(), digest_size=_HASH_BYTES).digest(), "big") for value in distinct
    )
    return Values(len(distinct), tuple(hashes))


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
    words = [_words(name) for name in (one, other)]
    plain = ["".join(parts) for parts in words]
    if plain[0] == plain[1]:
        return 1.0
    shorter, longer = sorted(plain, key=lambda name: (len(name), name))
    alike = max(SequenceMatcher(None, *pair, autojunk=False).ratio() for pair in ((shorter, longer), (longer, shorter)))
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
        for old in removed
        for new in added
        if (score := _score(old, new, meaning, before.get(old), after.get(new))) is not None
    ]
    pairs: dict[str, str] = {}
    for _, old, new in sorted(scored, key=lambda pair: (-pair[0], sorted(pair[1:]))):
        if old not in pairs and new not in pairs.values():
            pairs[old] = new
    return pairs


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


def _words(name: str) -> list[str]:
    """Split a name into words, in lower case: at characters that are no letter or digit, and before inner capitals."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W_]+", parted.casefold()) or [name]
