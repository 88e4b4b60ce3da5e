"""What changed between what the cells of deliveries looked like: types, formats, null words, categories.

Strict on purpose: a change that is missed shows in rejected records or in a distribution, a change that is none makes
people look away from all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from etl_assets.model.drift import Change
from etl_assets.watch.cell_samples import MOST_MEMBERS, allowed_values
from etl_assets.watch.type_inference import best_format

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.schema import Column, Schema
    from etl_assets.watch.cell_samples import ColumnCells

FEWEST_CELLS: Final = 20
"""With fewer cells in the sample of a delivery nothing is said of its column, and it is nobody's baseline."""
STEADY: Final = 5
"""For so many deliveries a category that is not declared must have kept its members before a new one is told."""
_AGREED: Final = 0.95
_GONE: Final = 0.5
_IN_USE: Final = 0.05
_NUMEROUS: Final = 0.02
_FEW: Final = 3
_EXPECTED: Final = 5
"""How often something must have been seen before, had it been as frequent as now, to be called new."""


def cell_changes(
    schema: Schema, earlier: Sequence[Mapping[str, ColumnCells]], now: Mapping[str, ColumnCells]
) -> list[Change]:
    """What changed in the cells.

    Args:
        schema: The declaration.
        earlier: What was observed of the deliveries before, by column name, the nearest first.
        now: What was observed of this one.
    """
    found: list[Change] = []
    for column in schema.published:
        history = [cells for told in earlier if (cells := told.get(column.name)) and cells.cells >= FEWEST_CELLS]
        cells = now.get(column.name)
        if cells is None or cells.cells < FEWEST_CELLS or not history:
            continue
        retyped = list(_retyped(column, history[0], cells))
        found += retyped or _reformatted(column, history[0], cells)
        found += _null_words(column, history, cells)
        found += _members(column, schema, history, cells)
    return found


def taken_back(schema: Schema, change: Change, now: Mapping[str, ColumnCells]) -> bool:
    """Whether cells look as they did before an earlier change; False where they do not tell."""
    column = next((column for column in schema.published if column.name == change.subject), None)
    cells = now.get(change.subject)
    if column is None or cells is None or cells.cells < FEWEST_CELLS:
        return False
    match change.kind:
        case "retyped":
            return bool(_type(column, cells) == change.detail["before"])
        case "format":
            came = set(change.detail["after"]) - set(change.detail["before"])
            return came.isdisjoint(_written(cells))
        case "null_word":
            return not set(change.detail["words"]) & set(cells.words)
        case "category":
            return cells.members is not None and not set(change.detail["members"]) & set(cells.members)
        case _:
            return False


def declared_since(schema: Schema, change: Change, now: Mapping[str, ColumnCells]) -> bool:
    """Whether the declaration has come to provide for a change of cells that it did not provide for.

    Args:
        schema: The declaration as it is now.
        change: Of cells.
        now: What cells look like under that declaration.
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


def amended(former: Change, change: Change) -> Change:
    """An earlier change of a column that nobody has closed, together with one of the same kind that came after it."""
    detail = {**former.detail, **change.detail}
    for name in ("words", "members"):
        if name in detail:
            detail[name] = sorted({*former.detail[name], *change.detail[name]})
    if "before" in detail:
        detail["before"] = former.detail["before"]
    return Change(change.kind, change.subject, detail=detail, proposal=change.proposal)


def _retyped(column: Column, before: ColumnCells, now: ColumnCells) -> Iterator[Change]:
    former, new = _type(column, before), _type(column, now)
    if former is None or new is None or former == new:
        return
    if column.type.formats and (new == "moment" or best_format(column.type.name, now.readings, _strays(now))):
        return
    foreseen = column.type.name not in {"text", former} and new == column.type.name
    yield Change("retyped", column.name, foreseen=foreseen, detail={**_detail(now), "before": former, "after": new})


def _type(column: Column, cells: ColumnCells) -> str | None:
    """What nearly all cells of a column are: as declared, or a family of types; None when they do not agree.

    Of a text column it is always a family. Null words are left out of account.
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
    found = next((name for name, count in families.items() if count >= _AGREED * present), None)
    other = cells.boolean + cells.moment + cells.number
    return found or ("text" if other <= (1 - _AGREED) * present else None)


def _reformatted(column: Column, before: ColumnCells, now: ColumnCells) -> Iterator[Change]:
    former, new = _in_use(before), _in_use(now)
    came = new - _written(before).keys()
    went = former - _written(now).keys()
    if not came and not went:
        return
    foreseen = came <= set(column.type.formats)
    detail = {**_detail(now), "before": sorted(former), "after": sorted(new)}
    if not foreseen:
        detail |= {"readings": dict(now.readings), "strays": _strays(now)}
    yield Change("format", column.name, foreseen=foreseen, detail=detail)


def _written(cells: ColumnCells) -> dict[str, int]:
    """Declared formats, and patterns of cells that none of them fits, with how many cells have each."""
    return {**cells.formats, **(cells.patterns or {})}


def _strays(cells: ColumnCells) -> int:
    """How many cells no declared format fits."""
    return sum((cells.patterns or {}).values())


def _in_use(cells: ColumnCells) -> set[str]:
    least = max(_FEW, _IN_USE * cells.cells)
    return {way for way, count in _written(cells).items() if count >= least}


def _null_words(column: Column, history: Sequence[ColumnCells], now: ColumnCells) -> Iterator[Change]:
    known = {*(word for cells in history for word in cells.words), *column.null}
    new = [word for word, count in now.words.items() if word not in known and _is_significant(count, now, history)]
    if new:
        yield Change("null_word", column.name, detail={**_detail(now), "words": sorted(new)})


def _members(column: Column, schema: Schema, history: Sequence[ColumnCells], now: ColumnCells) -> Iterator[Change]:
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
    """Whether a column's values have long been the same few."""
    last = history[:STEADY]
    if len(last) < STEADY or column.type.name != "text" or column.name in schema.key:
        return False
    sets = [frozenset(cells.members or ()) for cells in last]
    steady = len(set(sets)) == 1 and 0 < len(sets[0]) <= MOST_MEMBERS
    return steady and all(cells.cells >= FEWEST_CELLS * len(sets[0]) for cells in last)


def _is_significant(count: int, now: ColumnCells, history: Sequence[ColumnCells]) -> bool:
    """Whether so many cells are numerous, and would have been seen before had they been as frequent."""
    share = count / now.cells
    seen = share * sum(cells.cells for cells in history)
    return count >= _FEW and share >= _NUMEROUS and seen >= _EXPECTED


def _detail(cells: ColumnCells) -> dict[str, Any]:
    return {"published": cells.published, "cells": cells.cells}
