"""Builds a code location of everything, or of the files that some assets need.

These are the files of the assets and of everything upstream of them, so that the assets have the same definitions as in
the code location of everything. A file is found by its name, which is that of its source or of its asset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from etl_assets import catalog
from etl_assets.graph import last_good
from etl_assets.graph.assets.by_hand import definitions_of, upstream_of
from etl_assets.graph.build import location
from etl_assets.graph.keys import asset_keys
from etl_assets.graph.triggers.conditions import partitions_of
from etl_assets.graph.wanted import Wanted
from etl_assets.model.trigger import After
from etl_assets.source import CORE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets.catalog import Catalog
    from etl_assets.graph.build import Location
    from etl_assets.settings import Settings


def of_everything(settings: Settings) -> Location:
    """Load every file, and build the code location."""
    return of_catalog(catalog.of_settings(settings), settings)


def of_catalog(known: Catalog, settings: Settings) -> Location:
    """Build the code location of everything, from what all files declare."""
    remembered = last_good.read(settings.home) if known.broken else {}
    return location(known.sources, known.modules, known.broken.values(), remembered)


def of_wanted(settings: Settings, wanted: Wanted) -> Location | None:
    """Load the files that some assets need, and build the code location of these files.

    Args:
        settings: They name the folders and packages of the files.
        wanted: The assets, and the asset checks that are executed with them.

    Returns:
        None if a file is broken, if an asset or a check is in a file with another name, or if an asset upstream is:
        then nobody knows what is needed without loading everything.
    """
    names = {key.path[-1] for key in wanted.assets}
    while True:
        known = catalog.of_settings(settings, names)
        if known.broken:
            return None
        above = _upstream(known)
        more = {key.path[-1] for key in above} | _parents(known)
        if more <= names:
            break
        names |= more
    found = location(known.sources, known.modules)
    present = partitions_of(found.definitions.assets or ()).keys()
    return found if not found.broken and above <= present and wanted.is_in(found.definitions) else None


def named(known: Catalog, names: Iterable[str]) -> Wanted | None:
    """Return the assets that names stand for: a name of a source for its assets, a key of an asset for itself.

    Args:
        known: What all files declare.
        names: Names of sources, and keys of assets that were written by hand; such a key goes before a source.

    Returns:
        The assets, and every check about them that was written by hand; None if a name is neither.
    """
    items = [item for module in known.modules.values() for item in definitions_of(module)]
    by_hand = partitions_of(item for item in items if not isinstance(item, dg.AssetChecksDefinition)).keys()
    assets: set[dg.AssetKey] = set()
    for name in names:
        key = dg.AssetKey.from_user_string(name)
        if key not in by_hand and name not in known.sources:
            return None
        assets |= {key} if key in by_hand else set(asset_keys(name))
    checks = {key for item in items if isinstance(item, dg.AssetsDefinition) for key in item.check_keys}
    return Wanted(assets, {check for check in checks if check.asset_key in assets})


def _upstream(known: Catalog) -> set[dg.AssetKey]:
    """Return the assets that triggers name, and those that assets and checks written by hand come after."""
    triggers = [source.trigger for source in known.sources.values()]
    named = {name for trigger in triggers if isinstance(trigger, After) for name in trigger.assets}
    read = {key for module in known.modules.values() for key in upstream_of(module)}
    return {*map(dg.AssetKey.from_user_string, named), *read}


def _parents(known: Catalog) -> set[str]:
    """Return the names of the sources whose tables are referred to, if there are such sources."""
    tables = {table for source in known.sources.values() for table in source.parents}
    return {table.removeprefix(f"{CORE}.") for table in tables if table.startswith(f"{CORE}.")}
