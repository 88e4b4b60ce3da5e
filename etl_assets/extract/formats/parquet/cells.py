"""Columns of any Arrow type as text: of scalars, dictionaries and extension types, and nested ones as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal

import polars as pl
import pyarrow as pa

from etl_assets.extract.formats.canonical_text import is_bytes, scalar_texts
from etl_assets.extract.formats.row_batch import text_series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from etl_assets.model.batch import PublishedType

BinaryNotation = Literal["text", "hex"]
"""How bytes are written: as the text that they are in UTF-8, or two hexadecimal digits for each."""
_UUID: Final = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))
_PUBLISHED: Final[tuple[tuple[Callable[[pa.DataType], bool], PublishedType], ...]] = (
    (pa.types.is_integer, "integer"),
    (pa.types.is_floating, "float"),
    (pa.types.is_decimal, "decimal"),
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (pa.types.is_nested, "json"),
)


def published_type(type_: Any) -> PublishedType | None:
    """Return the kind of values of a column; None if it has none, as all of them are null."""
    if isinstance(type_, pa.BaseExtensionType):
        known: dict[str, PublishedType] = {"arrow.uuid": "uuid", "arrow.json": "json"}
        return known.get(type_.extension_name) or published_type(type_.storage_type)
    if pa.types.is_dictionary(type_):
        return published_type(type_.value_type)
    if pa.types.is_timestamp(type_):
        return "timestamp" if type_.tz is None else "instant"
    if pa.types.is_null(type_):
        return None
    return next((published for is_type, published in _PUBLISHED if is_type(type_)), "text")


def texts_of(array: Any, binary: BinaryNotation) -> pl.Series:
    """Return the values of an array as text.

    Returns:
        String; Binary if some of its texts are not UTF-8.

    Raises:
        NotImplementedError: If the type has no notation.
    """
    type_ = array.type
    if isinstance(type_, pa.BaseExtensionType):
        if type_.extension_name == "arrow.uuid":
            return _uuids(array.storage)
        return texts_of(array.storage, binary)
    if pa.types.is_dictionary(type_):
        return texts_of(array.dictionary, binary).gather(pl.Series(array.indices).cast(pl.UInt32))
    if pa.types.is_nested(type_):
        return text_series(_fragments(array, binary))
    if is_bytes(type_) and binary == "hex":
        return _hexadecimal(array)
    texts = scalar_texts(array)
    if texts is None:
        raise NotImplementedError(str(type_))
    return texts


def _hexadecimal(array: pa.Array[Any]) -> pl.Series:
    return pl.Series(array.cast(pa.binary()).cast(pa.large_binary())).bin.encode("hex")


def _uuids(array: pa.Array[Any]) -> pl.Series:
    digits = pl.col("digits")
    parts = pl.concat_str([digits.str.slice(start, length) for start, length in _UUID], separator="-")
    return _hexadecimal(array).alias("digits").to_frame().select(parts).to_series()


def _fragments(array: Any, binary: BinaryNotation) -> Sequence[str | None]:
    """Return the values of an array as JSON; None for null."""
    type_ = array.type
    if isinstance(type_, pa.BaseExtensionType):
        if type_.extension_name != "arrow.uuid":
            return _fragments(array.storage, binary)
    elif pa.types.is_dictionary(type_):
        values = _fragments(array.dictionary, binary)
        return [None if index is None else values[index] for index in array.indices.to_pylist()]
    elif pa.types.is_struct(type_):
        return _objects(array, binary)
    elif pa.types.is_nested(type_):
        return _arrays(array, binary)
    return _scalars(array, binary)


def _scalars(array: Any, binary: BinaryNotation) -> Sequence[str | None]:
    texts = [
        text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text for text in texts_of(array, binary)
    ]
    if published_type(array.type) in ("integer", "float", "decimal", "boolean"):
        return texts
    return [None if text is None else json.dumps(text, ensure_ascii=False) for text in texts]


def _objects(array: Any, binary: BinaryNotation) -> Sequence[str | None]:
    """Return structs as objects; all have all fields."""
    names = [json.dumps(array.type.field(index).name, ensure_ascii=False) for index in range(array.type.num_fields)]
    columns = [_fragments(field, binary) for field in array.flatten()]
    rows = zip(*columns, strict=True) if columns else iter([()] * len(array))
    objects = ["{" + ", ".join(map(_pair, names, row)) + "}" for row in rows]
    return [json_ if valid else None for json_, valid in zip(objects, array.is_valid().to_pylist(), strict=True)]


def _arrays(array: Any, binary: BinaryNotation) -> Sequence[str | None]:
    """Return lists as arrays, and maps as objects."""
    if pa.types.is_map(array.type):
        keys = [_key(key) for key in _fragments(array.keys, binary)]
        items, opening, closing = list(map(_pair, keys, _fragments(array.items, binary))), "{", "}"
    else:
        items, opening, closing = [item or "null" for item in _fragments(array.values, binary)], "[", "]"
    if pa.types.is_fixed_size_list(array.type):
        ends = [(array.offset + index) * array.type.list_size for index in range(len(array) + 1)]
    else:
        ends = array.offsets.to_pylist()
    return [
        opening + ", ".join(items[start:end]) + closing if valid else None
        for start, end, valid in zip(ends, ends[1:], array.is_valid().to_pylist(), strict=False)
    ]


def _key(fragment: str | None) -> str:
    """Return the key of a map as JSON writes keys, which are texts."""
    return fragment if fragment and fragment.startswith('"') else json.dumps(fragment)


def _pair(name: str, value: str | None) -> str:
    return f"{name}: {value or 'null'}"
