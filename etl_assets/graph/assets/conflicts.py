"""Finds files whose definitions are right one by one, and wrong together."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

from etl_assets.errors import DeclarationError
from etl_assets.source_files import set_aside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from etl_assets.source_files import BrokenFile, SourceFile

Built: TypeAlias = "list[tuple[SourceFile, dg.Definitions]]"
"""The definitions of each file."""


def without_conflicts(built: Built, broken: list[BrokenFile]) -> list[dg.Definitions]:
    """Return the definitions of the files that are right together.

    A file with a check that a file before it has, and every file with an asset of a circle of assets, is added to the
    broken files.
    """
    files = _with_checks_of_their_own(built, broken)
    while circle := _circle(definitions for _, definitions in files):
        text = " after ".join(key.to_user_string() for key in reversed(circle))
        in_circle = {file for file, definitions in files if not set(circle).isdisjoint(_dependencies(definitions))}
        for file in sorted(in_circle, key=lambda file: file.path):
            with set_aside(file, broken):
                remedy = "Take one of them out of the trigger or the inputs of another"
                raise DeclarationError(f"asset {circle[0].to_user_string()}", "deps", f"form a circle: {text}", remedy)
        files = [(file, definitions) for file, definitions in files if file not in in_circle]
    return [definitions for _, definitions in files]


def _with_checks_of_their_own(built: Built, broken: list[BrokenFile]) -> Built:
    taken: set[dg.AssetCheckKey] = set()
    files: Built = []
    for file, definitions in built:
        keys = {key for item in _definitions(definitions) for key in item.check_keys}
        with set_aside(file, broken):
            if twice := sorted(keys & taken):
                asset, check = f"asset {twice[0].asset_key.to_user_string()}", f"check {twice[0].name}"
                raise DeclarationError(asset, check, "exists already", "Give the check another name")
            taken |= keys
            files.append((file, definitions))
    return files


def _circle(built: Iterable[dg.Definitions]) -> list[dg.AssetKey]:
    """Return assets of which each comes before the next, and the last is the first again; none if there are none."""
    dependencies = {key: above for definitions in built for key, above in _dependencies(definitions).items()}
    try:
        TopologicalSorter(dependencies).prepare()
    except CycleError as error:
        circle: list[dg.AssetKey] = error.args[1]
        return circle
    return []


def _dependencies(definitions: dg.Definitions) -> dict[dg.AssetKey, set[dg.AssetKey]]:
    """Return the assets that each asset comes after."""
    specs = [spec for item in _definitions(definitions) for spec in item.specs]
    return {spec.key: {dep.asset_key for dep in spec.deps} - {spec.key} for spec in specs}


def _definitions(definitions: dg.Definitions) -> Iterator[dg.AssetsDefinition]:
    for item in (*(definitions.assets or ()), *(definitions.asset_checks or ())):
        if isinstance(item, dg.AssetsDefinition):
            yield item
