"""Compares the types that a file itself has with the declared ones. Text may be read as any type, by its notation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.model.batch import PublishedType
    from etl_assets.schema import Column, DataType, Schema

_READABLE: Final[Mapping[str, frozenset[str]]] = {
    "integer": frozenset({"integer", "float", "decimal"}),
    "float": frozenset({"integer", "float", "decimal"}),
    "decimal": frozenset({"integer", "float", "decimal"}),
    "boolean": frozenset({"boolean"}),
    "date": frozenset({"date", "timestamp"}),
    "timestamp": frozenset({"date", "timestamp"}),
    "instant": frozenset({"timestamp"}),
    "time": frozenset({"time"}),
    "json": frozenset({"json", "text"}),
    "uuid": frozenset({"uuid", "text"}),
}
"""The declared types that can hold values of a published type exactly, if a value fits at all."""


def check_published_types(schema: Schema, published: Mapping[str, str], types: Mapping[str, PublishedType]) -> None:
    """Raise a `ShapeError` if a column has another type in the file than in the declaration.

    A number, a date or a truth value that is declared as text is refused too: text that the publisher once wrote, such
    as leading zeros, may be lost in it.

    Args:
        schema: The declaration.
        published: Name of each column to the name under which it is published.
        types: Published name to the type in the file, for columns that have one.
    """
    wrong = [
        f"{published[column.name]!r} is {_words(types[published[column.name]])} and declared {_declared(column.type)}"
        for column in schema.published
        if published.get(column.name) in types and not _is_readable(column, types[published[column.name]])
    ]
    if wrong:
        raise ShapeError(
            f"The file has columns of another type than declared: {'; '.join(wrong)}. Nothing of the batch was "
            "written. Declare the type that the file has, or ask the publisher why it changed."
        )


def _is_readable(column: Column, published: PublishedType) -> bool:
    if published == "text":
        return True
    if published == "instant" and not column.type.is_instant:
        return False
    return column.type.name in _READABLE[published]


def _words(published: PublishedType) -> str:
    return "a timestamp with a zone" if published == "instant" else published


def _declared(type_: DataType) -> str:
    without_zone = type_.name == "timestamp" and not type_.is_instant
    return "timestamp, without the zone='UTC' that its values would be stored in" if without_zone else type_.name
