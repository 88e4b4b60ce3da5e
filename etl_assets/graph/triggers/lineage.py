"""Which source must be materialized before which: what triggers name, and what columns refer to, without cycles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.graph.keys import asset_keys
from etl_assets.model.trigger import After

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.source import Source


def awaited(sources: Mapping[str, Source]) -> dict[str, tuple[str, ...]]:
    """The known sources whose assets the trigger of each source names.

    Args:
        sources: All that are known, by name.

    Returns:
        Names, by name, both in the order of the alphabet.
    """
    owners = {key.to_user_string(): name for name, source in sources.items() for key in asset_keys(source)}
    named = {
        name: source.trigger.assets if isinstance(source.trigger, After) else () for name, source in sources.items()
    }
    return {name: tuple(sorted({owners[key] for key in named[name] if key in owners})) for name in sorted(sources)}


def parents(sources: Mapping[str, Source]) -> dict[str, tuple[str, ...]]:
    """The known sources whose tables each source refers to, other than those that its trigger names.

    Where sources come after each other in a circle, the reference that would close it is left out; the records it is
    about wait in the quarantine until their parents are there.

    Args:
        sources: All that are known, by name.

    Returns:
        Names of parents, by name, both in the order of the alphabet.
    """
    tables = {source.table: name for name, source in sources.items()}
    names = sorted(sources)
    above = awaited(sources)
    chosen: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    for name in names:
        wanted = sorted(tables[table] for table in sources[name].parents if table in tables)
        for parent in wanted:
            if parent not in above[name] and name not in _ancestors(parent, above):
                chosen[name] = (*chosen[name], parent)
                above[name] = (*above[name], parent)
    return chosen


def comes_after(sources: Mapping[str, Source]) -> dict[str, tuple[str, ...]]:
    """The known sources that each source comes after, for whatever reason, by name; without circles of references."""
    named, referred = awaited(sources), parents(sources)
    return {name: (*named[name], *referred[name]) for name in named}


def _ancestors(name: str, chosen: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The source itself and everything it comes after."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting.extend(chosen[current])
    return found
