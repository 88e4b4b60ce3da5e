"""Values as published become columns of text: all values of a batch at once."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, cast

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from etl_assets.schema.expressions import among

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from etl_assets.extract.formats.json.objects import Object

_NULL: Final = msgspec.Raw(b"null")
_QUOTE: Final = '"'
_ESCAPES: Final = {
    '\\"': '"',
    "\\\\": "\\",
    "\\/": "/",
    "\\b": "\b",
    "\\f": "\f",
    "\\n": "\n",
    "\\r": "\r",
    "\\t": "\t",
}
"""The escapes of one character, and what they mean."""


def table(objects: Sequence[Object], names: Sequence[str], null: tuple[str, ...]) -> list[pl.Series]:
    """Return values as text: texts without quotes and escapes, null as no value, everything else as published.

    Args:
        objects: The values of each record by name.
        names: Of the columns.
        null: Texts that mean no value.

    Returns:
        A String column for each name, with a value or null for each record.
    """
    present = set(chain.from_iterable(objects))
    columns = [name for name in names if name in present]
    cells = without_words(_cells(list(chain.from_iterable(_rows(objects, columns)))), null)
    series = {name: cells.gather_every(len(columns), place) for place, name in enumerate(columns)}
    absent = pl.repeat(None, len(objects), dtype=pl.String(), eager=True)
    return [series.get(name, absent) for name in names]


def unescaped(texts: pl.Series) -> pl.Series:
    """Return the texts whose characters between the quotes are given, by decoding those with an escape."""
    places = texts.str.contains("\\", literal=True).arg_true()
    if places.is_empty():
        return texts
    escaped = texts.gather(places)
    has_units = escaped.str.contains("\\u", literal=True)
    decoded = escaped.str.replace_many(_ESCAPES)
    if has_units.any():
        joined = '","'.join(escaped.filter(has_units).to_list())
        units = pl.Series(msgspec.json.decode(f'["{joined}"]', type=list[str]), dtype=pl.String())
        decoded = decoded.scatter(has_units.arg_true(), units)
    return texts.scatter(places, decoded)


def without_words(cells: pl.Series, null: tuple[str, ...]) -> pl.Series:
    """Return cells in which some texts mean no value."""
    if not null:
        return cells
    return cells.alias("cell").to_frame().select(pl.when(~among(pl.col("cell"), null)).then("cell")).to_series()


def _rows(objects: Sequence[Object], columns: Sequence[str]) -> Iterable[Iterable[msgspec.Raw]]:
    """Yield the values of each record in the order of the columns."""
    for object_ in objects:
        yield object_.values() if list(object_) == columns else [object_.get(name, _NULL) for name in columns]


def _cells(values: Sequence[msgspec.Raw]) -> pl.Series:
    """Return JSON values as text; see `table`."""
    offsets = np.cumsum(np.fromiter(chain((0,), map(len, values)), np.int64, len(values) + 1))
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(values))]
    published = cast("pl.Series", pl.from_arrow(pa.Array.from_buffers(pa.large_string(), len(values), buffers)))
    is_text = published.str.starts_with(_QUOTE)
    texts = published.set(~is_text, None).str.strip_prefix(_QUOTE).str.strip_suffix(_QUOTE)
    return unescaped(texts).zip_with(is_text, published.set(published == "null", None))
