"""Elements of an array in an object become records of their own, with the other fields of the object repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from etl_assets.extract.formats.json.columns import table
from etl_assets.extract.formats.json.objects import ARRAY, TWICE, flattened, object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from etl_assets.extract.formats.json.objects import Object
    from etl_assets.extract.formats.json.options import ObjectOptions

MOST_ELEMENTS: Final = 1_000_000
"""The largest number of elements that an array may have to be exploded."""
MOST_REPEATED: Final = 256 * 1024 * 1024
"""The largest number of bytes that the elements of one object, or of the objects of one batch, may repeat."""
_OPENING: Final = ord("{")
_DECODE_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Element(NamedTuple):
    """One record of an object whose array is exploded.

    Attributes:
        parent: Index of the object in its batch.
        place: Index of the element in its array.
        value: The element as published; None if the record is the whole object, which is malformed.
        fields: The columns of the element; or the rule that it or its object breaks.
    """

    parent: int
    place: int
    value: msgspec.Raw | None
    fields: Object | str


def elements_of(
    objects: Sequence[Object | str], sizes: Sequence[int], options: ObjectOptions, *, one_each: bool
) -> Iterator[Element]:
    """Yield the records of objects: one for each element, one for a malformed object, none for an empty array or null.

    Args:
        objects: The columns of each object, or the rule that it breaks.
        sizes: Number of bytes of each object.
        options: Which array is exploded.
        one_each: Whether each object must give exactly one record, as those of the quarantine do.
    """
    for parent, (object_, size) in enumerate(zip(objects, sizes, strict=True)):
        elements = object_ if isinstance(object_, str) else _array(object_, size, options.explode or "")
        if one_each and len(elements) != 1 and not isinstance(elements, str):
            elements = ARRAY
        if isinstance(elements, str) or isinstance(object_, str):
            yield Element(parent, 0, None, str(elements))
            continue
        for place, value in enumerate(elements):
            yield Element(parent, place, value, _fields(value, object_, options))


def repeated(objects: Sequence[Object | str], elements: Sequence[Element], explode: str) -> int:
    """Return how many bytes of values are repeated in the records of some objects."""
    sizes = [
        0 if isinstance(object_, str) else sum(map(len, object_.values())) - len(object_.get(explode, b""))
        for object_ in objects
    ]
    return sum(sizes[element.parent] for element in elements)


def names_of(objects: Sequence[Object | str], elements: Sequence[Element], explode: str) -> tuple[str, ...]:
    """Return the published names: those of the objects without the array, then those of the elements."""
    outer = dict.fromkeys(name for object_ in objects if not isinstance(object_, str) for name in object_)
    outer.pop(explode, None)
    fields = (element.fields for element in elements)
    return tuple(outer | dict.fromkeys(name for columns in fields if not isinstance(columns, str) for name in columns))


def columns_of(
    objects: Sequence[Object | str], elements: Sequence[Element], names: Sequence[str], options: ObjectOptions
) -> list[pl.Series]:
    """Return the well-formed records as text: a column for each name."""
    good = [(element.parent, element.fields) for element in elements if not isinstance(element.fields, str)]
    inner = table([fields for _, fields in good], names, options.null)
    outer = table([_without_array(object_, options.explode) for object_ in objects], names, options.null)
    parents = [parent for parent, _ in good]
    # A name may be of the objects in some records and of the elements in others, but never of both in one record.
    return [
        own.zip_with(own.is_not_null(), repeated_.gather(parents)) for own, repeated_ in zip(inner, outer, strict=True)
    ]


def raw_of(object_: Object, element: msgspec.Raw, explode: str, key_name: str | None) -> bytes:
    """Return an object whose array has one element only; as a member under its key, if the key is published."""
    members = [
        b"".join((msgspec.json.encode(key), b": ", *((b"[", element, b"]") if key == explode else (value,))))
        for key, value in object_.items()
        if key != key_name
    ]
    body = b"".join((b"{", b", ".join(members), b"}"))
    return body if key_name is None else b"".join((object_[key_name], b": ", body))


def _array(object_: Object, size: int, explode: str) -> Sequence[msgspec.Raw] | str:
    """Return the elements of the array; none for null; the rule, if there is no array, or one that is too large."""
    array = object_.get(explode)
    if array is None:
        return ARRAY
    if bytes(array) == b"null":
        return ()
    try:
        elements = _DECODE_ARRAY(array)
    except (msgspec.DecodeError, RecursionError):
        return ARRAY
    too_many = len(elements) > MOST_ELEMENTS or len(elements) * (size - len(array)) > MOST_REPEATED
    return ARRAY if too_many else elements


def _fields(value: msgspec.Raw, object_: Object, options: ObjectOptions) -> Object | str:
    """Return the columns of an element: the fields of an object, or one column under the name of the array."""
    explode = options.explode or ""
    if memoryview(value)[0] != _OPENING:
        return {explode: value}
    inner = object_of(bytes(value))
    fields = inner if isinstance(inner, str) else flattened(inner, options, f"{explode}.")
    return fields if isinstance(fields, str) or object_.keys().isdisjoint(fields) else TWICE


def _without_array(object_: Object | str, explode: str | None) -> Object:
    return {} if isinstance(object_, str) else {name: value for name, value in object_.items() if name != explode}
