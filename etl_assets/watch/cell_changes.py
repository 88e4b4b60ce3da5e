"""Find changes between the cells of deliveries: types, formats, null words, categories.

The thresholds are strict on purpose. A change that is missed still shows in rejected records or in a distribution; a
false alarm makes people ignore all other changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from etl_assets.model.drift import Change
from etl_assets.schema.type_inference import best_format
from etl_assets.watch.cell_samples import MOST_MEMBERS, allowed_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.schema import Column, Schema
    from etl_assets.watch.cell_samples import ColumnCells

FEWEST_CELLS: Final = 20
"""A column with fewer cells in a delivery's sample is not compared, and is no baseline for later deliveries."""
STEADY: Final = 5
"""Number of deliveries in which an undeclared category must have had the same members before a new one is reported."""
_AGREED: Final = 0.95
_GONE: Final = 0.5
_IN_USE: Final = 0.05
_NUMEROUS: Final = 0.02
_FEW: Final = 3
_EXPECTED: Final = 5
"""A word or member is new only if, at its present share, the history should have at least this many cells of it."""


def cell_changes(
    schema: Schema, earlier: Sequence[Mapping[str, ColumnCells]], now: Mapping[str, ColumnCells]
) -> list[Change]:
    """Return what changed in the cells.

    Args:
        schema: The declaration.
        earlier: The observed cells of the deliveries before, by column name, the nearest delivery first.
        now: The observed cells of this delivery, by column name.
    """
    found: list[Change] = []
    for column in schema.published:
        history = [cells for past in earlier if (cells := past.get(column.name)) and cells.cells >= FEWEST_CELLS]
        cells = now.get(column.name)
        if cells is None or cells.cells < FEWEST_CELLS or not history:
            continue
        retyped = list(_type_changes(column, history[0], cells))
        found += retyped or _format_changes(column, history[0], cells)
        found += _new_null_words(column, history, cells)
        found += _new_members(column, schema, history, cells)
    return found


def is_undone(schema: Schema, change: Change, now: Mapping[str, ColumnCells]) -> bool:
    """Whether the cells are again as they were before an earlier change; False when they are too few to decide."""
    column = next((column for column in schema.published if column.name == change.subject), None)
    cells = now.get(change.subject)
    if column is None or cells is None or cells.cells < FEWEST_CELLS:
        return False
    match change.kind:
        case "retyped":
            return bool(_type(column, cells) == change.detail["before"])
        case "format":
            came = set(change.detail["after"]) - set(change.detail["before"])
            return came.isdisjoint(_written_forms(cells))
        case "null_word":
            return not set(change.detail["words"]) & set(cells.words)
        case "category":
            return cells.members is not None and not set(change.detail["members"]) & set(cells.members)
        case _:
            return False


def is_declared_now(schema: Schema, change: Change, now: Mapping[str, ColumnCells]) -> bool:
    """Whether the declaration now provides for a change of cells that it did not provide for before.

    Args:
        schema: The present declaration.
        change: A change of cells.
        now: The cells as observed under that declaration.
    """
    column = next((column for column in schema.published if column.name == change.subject), None)
    if column is None:
        return True
    cells = now.get(column.name)
    match change.kind:
        case "retyped":
            return column.type.name == change.detail["after"] or (
                cells is not None and _type(column, cells) == column.type.name
            )
        case "format":
            return cells is not None and cells.cells > 0 and not _strays(cells)
        case "null_word":
            return set(change.detail["words"]) <= set(column.null)
        case "category":
            return set(change.detail["members"]) <= set(map(str, allowed_values(column) or ()))
        case _:
            return False


def merge_changes(former: Change, change: Change) -> Change:
    """Merge an open change of a column with a later change of the same kind."""
    detail = {**former.detail, **change.detail}
    for name in ("words", "members"):
        if name in detail:
            detail[name] = sorted({*former.detail[name], *change.detail[name]})
    if "before" in detail:
        detail["before"] = former.detail["before"]
    return Change(change.kind, change.subject, detail=detail, proposal=change.proposal)


def _type_changes(column: Column, before: ColumnCells, now: ColumnCells) -> Iterator[Change]:
    former, new = _type(column, before), _type(column, now)
    if former is None or new is None or former == new:
        return
    if column.type.formats and (new == "moment" or best_format(column.type.name, now.readings, _strays(now))):
        return
    foreseen = column.type.name not in {"text", former} and new == column.type.name
    yield Change("retyped", column.name, foreseen=foreseen, detail={**_detail(now), "before": former, "after": new})


def _type(column: Column, cells: ColumnCells) -> str | None:
    """Return what nearly all cells of a column are: the declared type or a family of types; None if they do not agree.

    For a text column it is always a family. Null words are not counted.
    """
    words = sum(cells.words.values())
    present = cells.cells - words
    if present < FEWEST_CELLS:
        return None
    if column.type.name != "text":
        if cells.declared >= _AGREED * present:
            return column.type.name
        if cells.declared > _GONE * present:
            return None
    if column.type.name == "text":
        families = {"boolean": cells.boolean, "moment": cells.moment, "number": cells.number}
    else:
        families = {
            "integer": cells.integer,
            "float": cells.number,
            "boolean": cells.boolean,
            "moment": cells.moment,
        }
    family = next((name for name, count in families.items() if count >= _AGREED * present), None)
    other = cells.boolean + cells.moment + cells.number
    return family or ("text" if other <= (1 - _AGREED) * present else None)


def _format_changes(column: Column, before: ColumnCells, now: ColumnCells) -> Iterator[Change]:
    former, new = _in_use(before), _in_use(now)
    came = new - _written_forms(before).keys()
    went = former - _written_forms(now).keys()
    if not came and not went:
        return
    foreseen = came <= set(column.type.formats)
    detail = {**_detail(now), "before": sorted(former), "after": sorted(new)}
    if not foreseen:
        detail |= {"readings": dict(now.readings), "strays": _strays(now)}
    yield Change("format", column.name, foreseen=foreseen, detail=detail)


def _written_forms(cells: ColumnCells) -> dict[str, int]:
    """Return the number of cells of each declared format, and of each pattern that fits no declared format."""
    return {**cells.formats, **(cells.patterns or {})}


def _strays(cells: ColumnCells) -> int:
    """Return how many cells fit no declared format."""
    return sum((cells.patterns or {}).values())


def _in_use(cells: ColumnCells) -> set[str]:
    least = max(_FEW, _IN_USE * cells.cells)
    return {format_ for format_, count in _written_forms(cells).items() if count >= least}


def _new_null_words(column: Column, history: Sequence[ColumnCells], now: ColumnCells) -> Iterator[Change]:
    known = {*(word for cells in history for word in cells.words), *column.null}
    new = [word for word, count in now.words.items() if word not in known and _is_significant(count, now, history)]
    if new:
        yield Change("null_word", column.name, detail={**_detail(now), "words": sorted(new)})


def _new_members(column: Column, schema: Schema, history: Sequence[ColumnCells], now: ColumnCells) -> Iterator[Change]:
    watched = allowed_values(column) is not None or _is_category(column, schema, history)
    if now.members is None or column.sensitive or not watched:
        return
    known = {*(member for cells in history for member in cells.members or ()), *now.words}
    new = [
        member for member, count in now.members.items() if member not in known and _is_significant(count, now, history)
    ]
    if new:
        yield Change("category", column.name, detail={**_detail(now), "members": sorted(new)})


def _is_category(column: Column, schema: Schema, history: Sequence[ColumnCells]) -> bool:
    """Whether a column has had the same few values for the last deliveries."""
    last = history[:STEADY]
    if len(last) < STEADY or column.type.name != "text" or column.name in schema.key:
        return False
    sets = [frozenset(cells.members or ()) for cells in last]
    steady = len(set(sets)) == 1 and 0 < len(sets[0]) <= MOST_MEMBERS
    return steady and all(cells.cells >= FEWEST_CELLS * len(sets[0]) for cells in last)


def _is_significant(count: int, now: ColumnCells, history: Sequence[ColumnCells]) -> bool:
    """Whether a number of cells is large, and the history would have such cells if they had been as frequent before."""
    share = count / now.cells
    expected = share * sum(cells.cells for cells in history)
    return count >= _FEW and share >= _NUMEROUS and expected >= _EXPECTED


def _detail(cells: ColumnCells) -> dict[str, Any]:
    return {"published": cells.published, "cells": cells.cells}
