"""Maps published columns to declared columns, and finds missing and additional columns.

It compares names only: it does not read cells, and does not record drift.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from etl_assets.errors import ShapeError
from etl_assets.model.text import names_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.schema import Column, Schema

_MOST_DESCRIBED: Final = 20
"""Of more missing columns, an error only lists the names: each is compared with every unmapped name."""
_MOST_COMPARED: Final = 1_000
"""Only so many unmapped names are compared with a missing column."""


@dataclass(frozen=True)
class Shape:
    """How a delivery's columns match the declaration.

    Attributes:
        columns: Column name to published name, in the order of the schema.
        unmapped: Published names that are neither mapped nor ignored, in the publisher's order: drift.
        missing: Optional columns that the delivery does not have; they become null or their default.
    """

    columns: Mapping[str, str]
    unmapped: tuple[str, ...]
    missing: tuple[str, ...]


def resolve(schema: Schema, names: Sequence[str], what: str, *, records: int) -> Shape:
    """Find the published columns of a delivery.

    Args:
        schema: The contract.
        names: The published names, in order.
        what: Name of the delivery in an error, e.g. ``delivery 7 of flights``.
        records: Number of its records. If there are none, and no names either, nothing is missing: records of JSON and
            XML bring their names with them.

    Raises:
        ShapeError: If a required column without a default is missing, or all columns are.
    """
    if not names and not records:
        return Shape(MappingProxyType({}), (), ())
    present = frozenset(names)
    columns: dict[str, str] = {}
    absent: list[Column] = []
    for column in schema.published:
        published = next((name for name in column.published_names if name in present), None)
        if published is None:
            absent.append(column)
        else:
            columns[column.name] = published
    known = {*columns.values(), *schema.ignored}
    unmapped = tuple(name for name in names if name not in known)
    needed = [column for column in absent if column.required and column.default is None]
    if needed:
        lacking = f"{what} lacks required columns: {', '.join(column.name for column in needed)}."
        raise ShapeError(_missing_text(lacking, needed, names, unmapped))
    if absent and not columns:
        raise ShapeError(_missing_text(f"{what} has none of the declared columns.", absent, names, unmapped))
    return Shape(MappingProxyType(columns), unmapped, tuple(column.name for column in absent))


def _missing_text(lacking: str, missing: Sequence[Column], names: Sequence[str], unmapped: Sequence[str]) -> str:
    lines = [f"{lacking} Nothing was written."]
    if not names:
        lines.append("No name is published: the records have none, or none of them can be read as declared.")
        lines.append("If the publisher changed the format, declare the new one; if not, ask the publisher.")
        return " ".join(lines)
    compared = unmapped[:_MOST_COMPARED]
    for column in missing[:_MOST_DESCRIBED]:
        expected = " or ".join(repr(name) for name in column.published_names)
        nearest = _nearest(column, compared)
        hint = f"; the nearest published name is {nearest!r}" if nearest else ""
        lines.append(f"Column {column.name!r} was expected as {expected}{hint}.")
    lines.append(f"Published names that no column uses: {names_text(unmapped) or 'none'}.")
    lines.append(_remedy(missing, unmapped))
    return " ".join(lines)


def _remedy(missing: Sequence[Column], unmapped: Sequence[str]) -> str:
    """Return what to do: a single name that has all the expected ones in it is a header that was not divided."""
    if len(unmapped) == 1 and all(any(_is_part(name, unmapped[0]) for name in c.published_names) for c in missing):
        return "If the publisher changed the delimiter, declare the new one; if not, ask the publisher."
    return "If the publisher renamed a column, add the new name to its published_as; if not, ask the publisher."


def _is_part(name: str, header: str) -> bool:
    """Return whether a header that was not divided has a name in it, between characters that are in no word."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", header) is not None


def _nearest(column: Column, unmapped: Sequence[str]) -> str | None:
    folded = {name.casefold(): name for name in reversed(unmapped)}
    for name in (*column.published_names, column.name):
        close = get_close_matches(name.casefold(), list(folded), n=1)
        if close:
            return folded[close[0]]
    return None
