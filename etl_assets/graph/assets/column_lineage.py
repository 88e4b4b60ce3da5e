"""From which columns each column of an asset comes, for Dagster's lineage of columns.

A column of a table comes from its published names, and from the column that it refers to. A derived column comes from
the inputs: nobody declares which of them the transformer reads for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets.errors import DeclarationError
from etl_assets.graph.keys import core_key, key_of, landing_key
from etl_assets.model.trigger import After
from etl_assets.source import CORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from etl_assets.schema import Column
    from etl_assets.source import Source

LINEAGE: Final = "dagster/column_lineage"


def published_columns(source: Source) -> dg.TableSchema:
    """Return the columns that a delivery may have, under their published names."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, "text", column.description or None)
            for column in source.schema.published
            for name in column.published_names
        ]
    )


def lineage_of(source: Source, parents: Iterable[str]) -> dg.TableColumnLineage:
    """Return the lineage of the columns of a source's table.

    Args:
        source: The declaration.
        parents: Names of the sources that it refers to and comes after. Other references are left out, since they
            would close a cycle.
    """
    before = {core_key(name): f"{CORE}.{name}" for name in parents}
    if isinstance(source.trigger, After):
        named = (dg.AssetKey.from_user_string(asset) for asset in source.trigger.assets)
        before |= {key: f"{CORE}.{key.path[-1]}" for key in named if key.path[0] == CORE}
    referred: dict[str, list[dg.TableColumnDep]] = {}
    for lookup in source.schema.lookups:
        for key, table in before.items():
            for name, parent in zip(lookup.columns, lookup.parent_columns, strict=True):
                if table == lookup.table:
                    referred.setdefault(name, []).append(dg.TableColumnDep(key, parent))
    inputs = _published(source, source.schema.inputs)
    return dg.TableColumnLineage(
        {
            column.name: [*(inputs if column.derived else _published(source, [column])), *referred.get(column.name, [])]
            for column in source.schema.columns
        }
    )


def from_columns(columns: Mapping[str, str | Sequence[str]]) -> dg.TableColumnLineage:
    """Return the lineage of an asset that was written by hand, to be put into its metadata under `LINEAGE`.

    Args:
        columns: By name of a column: ``schema.table.column`` of each column that it comes from.

    Raises:
        DeclarationError: If one of these is not of that form.
    """
    return dg.TableColumnLineage(
        {
            name: [_dep(place) for place in ([places] if isinstance(places, str) else places)]
            for name, places in columns.items()
        }
    )


def _dep(place: str) -> dg.TableColumnDep:
    if place.count(".") != 2:  # noqa: PLR2004 -- schema.table.column
        raise DeclarationError("lineage of columns", "from_columns", f"has {place!r}", "Write schema.table.column")
    table, _, column = place.rpartition(".")
    return dg.TableColumnDep(key_of(table), column)


def _published(source: Source, columns: Iterable[Column]) -> list[dg.TableColumnDep]:
    key = landing_key(source.name)
    return [dg.TableColumnDep(key, name) for column in columns for name in column.published_names]
