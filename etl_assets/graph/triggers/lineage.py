"""The order of sources without cycles: which sources each trigger names, and which tables its columns refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.graph.keys import asset_keys
from etl_assets.model.trigger import After

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.source import Source


def named_by_triggers(sources: Mapping[str, Source]) -> dict[str, tuple[str, ...]]:
    """Return the known sources whose assets the trigger of each source names.

    Args:
        sources: All known sources, by name.

    Returns:
        Names of sources, by name of the source; both in alphabetical order.
    """
    owners = {key.to_user_string(): name for name, source in sources.items() for key in asset_keys(source.name)}
    named = {
        name: source.trigger.assets if isinstance(source.trigger, After) else () for name, source in sources.items()
    }
    return {name: tuple(sorted({owners[key] for key in named[name] if key in owners})) for name in sorted(sources)}


def parents(sources: Mapping[str, Source]) -> dict[str, tuple[str, ...]]:
    """Return the known sources whose tables each source refers to, except those that its trigger names.

    A reference that would close a cycle of sources is left out. Its records wait in the quarantine until their parents
    have arrived.

    Args:
        sources: All known sources, by name.

    Returns:
        Names of parents, by name of the source; both in alphabetical order.
    """
    tables = {source.table: name for name, source in sources.items()}
    names = sorted(sources)
    before = named_by_triggers(sources)
    chosen: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    for name in names:
        wanted = sorted(tables[table] for table in sources[name].parents if table in tables)
        for parent in wanted:
            if parent not in before[name] and name not in _ancestors(parent, before):
                chosen[name] = (*chosen[name], parent)
                before[name] = (*before[name], parent)
    return chosen


def comes_after(sources: Mapping[str, Source]) -> dict[str, tuple[str, ...]]:
    """Return all known sources that each source comes after, by name: its parents, and those that its trigger names."""
    named, referred = named_by_triggers(sources), parents(sources)
    return {name: (*named[name], *referred[name]) for name in named}


def all_before(sources: Mapping[str, Source]) -> dict[str, set[str]]:
    """Return all known sources that each source comes after, by name, directly or not."""
    before = comes_after(sources)
    return {name: _ancestors(name, before) - {name} for name in before}


def _ancestors(name: str, before: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Return the source itself and all sources that it comes after, directly or not."""
    ancestors: set[str] = set()
    pending = [name]
    while pending:
        current = pending.pop()
        if current not in ancestors:
            ancestors.add(current)
            pending.extend(before[current])
    return ancestors
