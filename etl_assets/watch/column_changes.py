"""Find changes between the published names and the files of two deliveries, and which ones the declaration foresees.

Module `cell_changes` compares the cells. Nothing is stored here.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from etl_assets.model.drift import Change
from etl_assets.watch.renames import find_renames

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from etl_assets.model.drift import Published
    from etl_assets.schema import Column, Schema


def first_changes(schema: Schema, now: Published) -> list[Change]:
    """Return the names of a first delivery that the declaration does not provide for, as changes."""
    terms = NameChanges(schema, now.names)
    return [change for name in now.names if not (change := terms.added(name)).foreseen]


def changes(schema: Schema, before: Published, now: Published, open_: Iterable[Change] = ()) -> list[Change]:
    """Return what changed in the published names.

    Args:
        schema: The declaration.
        before: What the delivery before published.
        now: What this delivery publishes.
        open_: Earlier changes that are not closed. A name that takes one of them back is reported as its inverse,
            before any names are paired as renamings.

    Returns:
        Renamings, removals and additions in the order of the names, and last a reordering.
    """
    terms = NameChanges(schema, now.names)
    removed = _without(before.names, now.names)
    added = _without(now.names, before.names)
    returned = {change.inverse: change for change in open_}
    renamed = _renamed_back(returned.values(), frozenset(removed), frozenset(added))
    taken = frozenset(renamed.values())
    old_names = [name for name in removed if name not in renamed and ("removed", name, "") not in returned]
    new_names = [name for name in added if name not in taken and ("added", name, "") not in returned]
    renamed |= find_renames(schema, old_names, new_names, before.values, now.values)
    taken = frozenset(renamed.values())
    found = [terms.renamed(old, renamed[old]) for old in removed if old in renamed]
    found += [terms.removed(name) for name in removed if name not in renamed]
    found += [terms.added(name) for name in added if name not in taken]
    if moved := moved_names(before.names, now.names):
        found.append(Change("reordered", "", foreseen=True, detail={"names": moved}))
    return found


def _without(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return the names that are not among the others, in their order."""
    unwanted = frozenset(others)
    return [name for name in names if name not in unwanted]


def _renamed_back(open_: Iterable[Change], removed: frozenset[str], added: frozenset[str]) -> dict[str, str]:
    """Return the renamings, old name to new name, that take an open renaming back."""
    return {
        change.replacement: change.subject
        for change in open_
        if change.kind == "renamed" and change.replacement in removed and change.subject in added
    }


def file_changes(before: Published, now: Published, *, declared: bool) -> list[Change]:
    """Return what changed in the end of the files and in the lines that are no records.

    Args:
        before: What the delivery before published.
        now: What this delivery publishes.
        declared: Whether the declaration provides for files without a line end at their end.
    """
    found: list[Change] = []
    if None not in (before.unterminated, now.unterminated) and before.unterminated != now.unterminated:
        state = "missing" if now.unterminated else "present"
        found.append(Change("line_end", state, foreseen=declared or not now.unterminated))
    if None not in (before.skipped, now.skipped) and before.skipped != now.skipped:
        found.append(Change("skipped_lines", "some" if now.skipped else "none", foreseen=not now.skipped))
    return found


def catalogue_changes(before: Published, now: Published) -> list[Change]:
    """Return what changed in the types that the publisher's catalogue has for the columns of both deliveries."""
    return [
        Change("catalogue", name, detail={"before": before.types[name], "after": type_})
        for name, type_ in now.types.items()
        if before.types.get(name, type_) != type_
    ]


def moved_names(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """Return the fewest names that must move to turn the old order into the new one; empty if the order is the same."""
    place = {name: index for index, name in enumerate(now)}
    common = [name for name in before if name in place]
    ends: list[int] = []
    lengths: list[int] = []
    for name in common:
        length = bisect_left(ends, place[name])
        ends[length : length + 1] = [place[name]]
        lengths.append(length)
    staying: set[str] = set()
    wanted = len(ends) - 1
    for name, length in zip(reversed(common), reversed(lengths), strict=True):
        if length == wanted:
            staying.add(name)
            wanted -= 1
    return [name for name in common if name not in staying]


def is_declared_now(schema: Schema, change: Change) -> bool:
    """Whether the declaration now provides for a change of names that it did not provide for before.

    Args:
        schema: The present declaration.
        change: An added, removed or renamed name; for any other kind the result is False.
    """
    columns = {name: column for column in schema.published for name in column.published_names}
    match change.kind:
        case "added":
            return change.subject in columns or change.subject in schema.ignored
        case "removed":
            was_declared = bool(change.proposal)
            return change.subject in schema.ignored or (was_declared and change.subject not in columns)
        case "renamed":
            after = columns.get(change.replacement)
            if after is None:
                return change.replacement in schema.ignored and change.subject not in columns
            return columns.get(change.subject, after) == after
        case _:
            return False


class NameChanges:
    """Decides for changes of published names whether a declaration provides for them, and whether they block."""

    def __init__(self, schema: Schema, now: Sequence[str]) -> None:
        """Take the declaration, and the names of the delivery to compare."""
        self._columns: Mapping[str, Column] = {
            name: column for column in schema.published for name in column.published_names
        }
        self._ignored = frozenset(schema.ignored)
        self._now = frozenset(now)

    def added(self, name: str) -> Change:
        """Return the change that added a name."""
        return Change("added", name, foreseen=name in self._columns or name in self._ignored)

    def removed(self, name: str) -> Change:
        """Return the change that removed a name."""
        column = self._columns.get(name)
        if column is None:
            return Change("removed", name, foreseen=name in self._ignored)
        return Change("removed", name, foreseen=not self._lacks(column), blocking=self._needs(column))

    def renamed(self, old: str, new: str) -> Change:
        """Return the change that renamed a column."""
        before, after = self._columns.get(old), self._columns.get(new)
        if before is None:
            return Change("renamed", old, new, foreseen=after is None and {old, new} <= self._ignored)
        return Change("renamed", old, new, foreseen=before == after, blocking=self._needs(before))

    def _lacks(self, column: Column) -> bool:
        """Whether none of a column's names is published now."""
        return self._now.isdisjoint(column.published_names)

    def _needs(self, column: Column) -> bool:
        """Whether the delivery is refused because it lacks the column."""
        return self._lacks(column) and column.required and column.default is None
