"""Finds what declarations refer to and nothing declares: a column of a declared table, or a table.

A column that its table does not have is an error: no record finds its parent. A table may be made elsewhere, by another
code location or without Dagster, so that it is a warning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from etl_assets.cli.suggestions import did_you_mean
from etl_assets.errors import DeclarationError
from etl_assets.graph.keys import table_of
from etl_assets.postgres.tables.marks import current_view
from etl_assets.schema.names import RESERVED
from etl_assets.source import CORE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from etl_assets.catalog import Catalog
    from etl_assets.graph.build import Location
    from etl_assets.source import Source


class Problem(NamedTuple):
    """What is wrong with a source, or may be."""

    name: str
    file: str
    text: str


def to_unknown_columns(known: Catalog) -> Iterator[Problem]:
    """Yield an error for each reference to a column that the source of the table does not declare."""
    tables = {parent.table: parent for parent in known.sources.values()}
    for path, source in _files(known).items():
        for lookup in source.schema.lookups:
            parent = tables.get(lookup.table)
            for name in lookup.parent_columns:
                if parent is not None and name not in _columns(parent):
                    error = DeclarationError(
                        f"source {source.name!r}",
                        "references",
                        f"name {lookup.table}.{name}, a column that source {parent.name!r} does not declare",
                        f"Name one that it has: {', '.join(parent.row_schema.names)}",
                    )
                    yield Problem(source.name, path, str(error))


def to_unknown_tables(known: Catalog, location: Location) -> Iterator[Problem]:
    """Yield a warning for each table in ``core`` that is referred to, and that nothing in a code location makes.

    A file that is broken may be what makes it: then there are none.
    """
    if location.broken:
        return
    made = {table_of(key) for assets in location.assets.values() for key in assets}
    made |= {table for source in known.sources.values() for table in (source.stored_table, current_view(source.table))}
    for path, source in _files(known).items():
        for table in sorted(source.parents - made):
            if table.startswith(f"{CORE}."):
                text = (
                    f"source {source.name!r}: references name {table}, which no source and no asset here makes. If "
                    f"nothing else makes it, no record finds its parent.{did_you_mean(table, made)}"
                )
                yield Problem(source.name, path, text)


def _files(known: Catalog) -> Mapping[str, Source]:
    """Return each source by the path of its file."""
    return {
        file.path: known.sources[file.name]
        for file, module in known.modules.items()
        if file.name in known.sources and getattr(module, "SOURCE", None) is known.sources[file.name]
    }


def _columns(source: Source) -> set[str]:
    """Return the columns of the table of a source."""
    return {*source.row_schema.names, *RESERVED, *source.extension.columns}
