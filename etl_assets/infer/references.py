"""Finds likely references of columns to the tables of other sources, by names and types alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.infer.columns import InferredColumn
    from etl_assets.source import Source


def likely_references(columns: Sequence[InferredColumn], sources: Mapping[str, Source], name: str) -> Mapping[str, str]:
    """Return, for columns named like the only key column of a declared source, what to declare if they refer to it.

    Args:
        columns: The inferred columns.
        sources: The declared sources.
        name: Of the source that is inferred; it does not refer to itself.
    """
    found: dict[str, str] = {}
    for source in sources.values():
        if source.name == name or len(source.schema.key) != 1:
            continue
        key = source.schema[source.schema.key[0]]
        names = {key.name, *(published.lower() for published in key.published_names)}
        for inferred in columns:
            column = inferred.column
            same_name = column.name in names or inferred.published.lower() in names
            if same_name and column.type.name == key.type.name and column.name not in found:
                reference = f"{source.table}.{key.name}"
                found[column.name] = (
                    f'named like the key of {source.table}: references="{reference}" if it refers to it'
                )
    return found
