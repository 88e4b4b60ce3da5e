"""Which source must be materialized before which: what their columns refer to, without cycles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.source import Source


def parents(sources: Mapping[str, Source]) -> dict[str, tuple[str, ...]]:
    """The known sources whose tables each source refers to.

    Where sources refer to each other in a circle, the reference that would close it is left out; the records it is
    about wait in the quarantine until their parents are there.

    Args:
        sources: All that are known, by name.

    Returns:
        Names of parents, by name, both in the order of the alphabet.
    """
    tables = {source.table: name for name, source in sources.items()}
    names = sorted(sources)
    chosen: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    for name in names:
        wanted = sorted(tables[table] for table in sources[name].parents if table in tables)
        for parent in wanted:
            if name not in _ancestors(parent, chosen):
                chosen[name] = (*chosen[name], parent)
    return chosen


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
