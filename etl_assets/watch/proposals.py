"""Propose, as Python, how to change a declaration for what is published now.

A proposal is for people: they read it, copy it and decide. It is never executed. It contains no contents of cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from etl_assets.schema import Column
from etl_assets.schema.names import column_name
from etl_assets.schema.type_inference import Guess, best_format, guess
from etl_assets.watch.cell_samples import allowed_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from etl_assets.model.drift import Change
    from etl_assets.schema import Schema

_OF_ANY_TYPE: Final = ("required", "published_as", "default", "description", "sensitive", "null", "strip")


def propose(schema: Schema, change: Change, sample: pl.DataFrame | None = None, decimal: str = ".") -> str:
    """Return what to declare for a change, or what to remove from the declaration.

    Args:
        schema: The present declaration.
        change: What changed.
        sample: Records of the delivery, String columns by published name; used to guess the types of new columns.
        decimal: The character before the fraction of a number.

    Returns:
        Python; empty when the declaration need not change.
    """
    if change.foreseen:
        return ""
    match change.kind:
        case "added":
            return _new_column(schema, change.subject, sample, decimal)
        case "removed":
            return _without_column(schema, change.subject)
        case "renamed":
            return _with_new_name(schema, change.subject, change.replacement, sample, decimal)
        case "reordered" | "skipped_lines" | "line_end" | "catalogue":
            return "unterminated='report'" if change.kind == "line_end" else ""
        case _:
            column = next((column for column in schema.published if column.name == change.subject), None)
            return "" if column is None else _changed_column(column, change.kind, change.detail)


def with_members(column: Column, members: Sequence[str]) -> str:
    """Return Python for a column that allows more members. It contains the members: show it to a reviewer only."""
    new = map(int, members) if column.type.name == "integer" else members
    return repr(column.replace(allowed=(*(allowed_values(column) or ()), *new)))


def _new_column(schema: Schema, published: str, sample: pl.DataFrame | None, decimal: str) -> str:
    best = Guess("text")
    if sample is not None and (cells := sample.get_column(published, default=None)) is not None:
        best = guess(cells, decimal)
    name = column_name(published, [*schema.names, *(column.name for column in schema.inputs)])
    return repr(Column(name, best.type, published_as=None if name == published else published, formats=best.formats))


def _without_column(schema: Schema, published: str) -> str:
    column = _find_column(schema, published)
    if column is None:
        return ""
    if column.name in {*schema.key, schema.order_by}:
        return f"# Every row needs {column.name!r}: ask the publisher, or declare another key."
    if column.required and column.default is None:
        return repr(column.replace(required=False))
    return f"# If it does not come back, remove this column: {column!r}"


def _with_new_name(schema: Schema, old: str, new: str, sample: pl.DataFrame | None, decimal: str) -> str:
    column = _find_column(schema, old)
    if column is not None:
        names = dict.fromkeys((new, *column.published_names))
        return repr(column.replace(published_as=tuple(names)))
    if old in schema.ignored:
        return f"ignored=(..., {new!r})"
    return _new_column(schema, new, sample, decimal)


def _find_column(schema: Schema, published: str) -> Column | None:
    return next((column for column in schema.published if published in column.published_names), None)


def _changed_column(column: Column, kind: str, detail: Mapping[str, Any]) -> str:
    match kind:
        case "retyped":
            return _with_type(column, detail["after"])
        case "format":
            return _with_format(column, detail)
        case "null_word":
            return repr(column.replace(null=(*column.null, *detail["words"])))
        case _:
            known = "".join(f"{member!r}, " for member in allowed_values(column) or ())
            return f"{repr(column.replace(allowed=None)).removesuffix(')')}, allowed=({known}...))"


def _with_type(column: Column, after: str) -> str:
    """Return the column with its new type; only attributes that every type allows are kept."""
    types: dict[str, Any] = {"number": "float", "moment": "timestamp"}
    kept = {name: getattr(column, name) for name in _OF_ANY_TYPE}
    return "" if after == column.type.name else repr(Column(column.name, types.get(after, after), **kept))


def _with_format(column: Column, detail: Mapping[str, Any]) -> str:
    found = best_format(column.type.name, detail["readings"], detail["strays"])
    if found is None:
        return ""
    return repr(column.replace(formats=(*column.type.formats, found)))
