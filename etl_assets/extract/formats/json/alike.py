"""Records that are written alike are cut into their values all at once, by a regular expression.

Most feeds are written by one serializer: all records have the same keys in the same order, with the same blanks. Then
each is the same pieces of text with other values between them. The expression is made of the pieces of the first record
and of the grammar of JSON values, so that a record it matches is a well-formed object. The others are parsed alone.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from etl_assets.extract.formats.backslashes import with_backslash
from etl_assets.extract.formats.json.columns import unescaped, without_words
from etl_assets.extract.formats.json.extent import COLON, text_end
from etl_assets.extract.formats.json.objects import object_of
from etl_assets.extract.formats.slices import binary_column
from etl_assets.extract.formats.utf8 import is_utf8

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FEWEST: Final = 16
"""The smallest number of records that are cut at once."""
_SAMPLE: Final = 16
"""Number of records that show which kinds of values a column has."""
_MOST_GROUPS: Final = 14
"""The largest number of groups before the last column of an expression: one of more than 16 groups is slow."""
_LONGEST: Final = 4_000
"""The largest number of characters in the pieces of a record."""

_HEX: Final = "[0-9a-fA-F]"
_UNIT: Final = rf"[0-9a-ce-fA-CE-F]{_HEX}{{3}}|[dD](?:[0-7]{_HEX}{{2}}|[89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}})"
_CHARACTERS: Final = rf'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u(?:{_UNIT})))*'
_PLAIN: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false"
_BLANKS: Final = r"[ \t\r\n]*"
_SCALAR: Final = f'(?:"{_CHARACTERS}"|{_PLAIN}|null){_BLANKS}'
_MEMBER: Final = f'"{_CHARACTERS}"{_BLANKS}:{_BLANKS}{_SCALAR}'
_NESTED: Final = (
    rf"\[{_BLANKS}(?:{_SCALAR}(?:,{_BLANKS}{_SCALAR})*)?\]|\{{{_BLANKS}(?:{_MEMBER}(?:,{_BLANKS}{_MEMBER})*)?\}}"
)
"""An array or object of scalar values; those of others are too many states for a fast expression."""


class Alike(NamedTuple):
    """The records of a batch that are written alike.

    Attributes:
        columns: The values of each column as text, in the order of the keys.
        matched: For each record of the batch, whether it is one of them.
    """

    columns: dict[str, pl.Series]
    matched: pl.Series


class Expression(NamedTuple):
    """What matches some columns of a record.

    Attributes:
        pattern: A regular expression, whose last group is the rest of the record.
        groups: The key of each other group, and whether it is the characters of a text.
    """

    pattern: str
    groups: list[tuple[str, bool]]


class Column(NamedTuple):
    """How the values of a column are written.

    Attributes:
        name: Its key.
        piece: The text before each value.
        kinds: The first bytes of some of the values.
    """

    name: str
    piece: str
    kinds: set[int]


def alike(records: Sequence[bytes], null: tuple[str, ...]) -> Alike | None:
    """Return the columns of the records that are written like the first; None if that is malformed, or has no key.

    Args:
        records: The bytes of each.
        null: Texts that mean no value.
    """
    columns, end = _columns(records) if len(records) >= _FEWEST else ([], "")
    if not columns or sum(len(column.piece) for column in columns) > _LONGEST:
        return None
    expressions = list(_expressions(columns))
    *found, rest = _groups(_texts(records), expressions)
    groups = list(chain(*(each.groups for each in expressions)))
    escaped = iter(with_backslash([group for (_, is_text), group in zip(groups, found, strict=True) if is_text]))
    cells: dict[str, pl.Series] = {}
    for (name, is_text), group in zip(groups, found, strict=True):
        values = unescaped(group) if is_text and next(escaped) else group
        cells[name] = values.zip_with(values.is_not_null(), cells[name]) if name in cells else values
    matched = (rest == end).fill_null(value=False)
    if not matched.all():
        cells = {name: values.filter(matched) for name, values in cells.items()}
    return Alike({name: without_words(values, null) for name, values in cells.items()}, matched)


def _texts(records: Sequence[bytes]) -> pl.Series:
    """Return records as text; null for those that are not UTF-8."""
    try:
        return binary_column(records).cast(pl.String())
    except pl.exceptions.ComputeError:
        known = [record if is_utf8(record) else None for record in records]
        return pl.Series(known, dtype=pl.Binary()).cast(pl.String())


def _groups(texts: pl.Series, expressions: Sequence[Expression]) -> list[pl.Series]:
    """Return the groups of all expressions, each of which matches what the one before left, and what the last left.

    Each thread matches a part of the records.
    """
    rows = -(-len(texts) // pl.thread_pool_size())
    frames = [texts.slice(start, rows).alias("rest").to_frame().lazy() for start in range(0, len(texts), rows)]
    for number, expression in enumerate(expressions):
        names = [f"{number}.{group}" for group in range(len(expression.groups))]
        found = pl.col("rest").str.extract_groups(expression.pattern).struct.rename_fields([*names, "rest"])
        frames = [frame.with_columns(found.alias("found")).drop("rest").unnest("found") for frame in frames]
    return pl.concat(pl.collect_all(frames)).get_columns()


def _columns(records: Sequence[bytes]) -> tuple[list[Column], str]:
    """Return how the columns of the first record are written, and the text after the last; none if it is malformed."""
    record = records[0]
    sample = records[:: -(-len(records) // _SAMPLE)]
    objects = [object_of(other) if is_utf8(other) else "" for other in sample]
    first = objects[0]
    if isinstance(first, str):
        return [], ""
    columns, at = [], 0
    for name, value in first.items():
        colon = COLON.match(record, text_end(record, record.index(b'"', at)))
        start = colon.end() if colon else at
        same = (object_ for object_ in objects if not isinstance(object_, str) and name in object_)
        kinds = {memoryview(object_[name])[0] for object_ in same}
        columns.append(Column(name, record[at:start].decode(), kinds))
        at = start + len(value)
    return columns, record[at:].decode()


def _expressions(columns: Sequence[Column]) -> Iterator[Expression]:
    """Yield expressions that match a record one after another."""
    pattern, groups = "", list[tuple[str, bool]]()
    for column in columns:
        if len(groups) >= _MOST_GROUPS:
            yield Expression(f"^{pattern}((?s:.*))$", groups)
            pattern, groups = "", []
        values = _values(column.kinds)
        groups += [(column.name, is_text) for is_text in values]
        pattern += f"{pl.escape_regex(column.piece)}(?:{'|'.join(values.values())}|null)"
    yield Expression(f"^{pattern}((?s:.*))$", groups)


def _values(kinds: set[int]) -> dict[bool, str]:
    """Return the groups that match the values of a column but null: those of texts, and those of other values."""
    others = kinds - set(b'"n')
    nested = f"|{_NESTED}" if others & set(b"[{") else ""
    every = {True: f'"({_CHARACTERS})"', False: f"({_PLAIN}{nested})"}
    seen = {True: ord('"') in kinds, False: bool(others)}
    return {is_text: group for is_text, group in every.items() if seen[is_text] or not any(seen.values())}
