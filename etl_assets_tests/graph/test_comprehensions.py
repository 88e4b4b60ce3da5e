"""Python 3.13.0 and 3.13.1 crash if the locals of some comprehensions are read, as Dagster does."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from etl_assets_tests.documented import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULES = sorted((ROOT / "etl_assets" / "graph").rglob("*.py"))
INLINED = (ast.ListComp, ast.SetComp, ast.DictComp)
CLOSURES = (ast.GeneratorExp, ast.Lambda)


def names(tree: ast.AST, context: type[ast.expr_context]) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, context)}


def shared(tree: ast.AST) -> Iterator[str]:
    """The variables of comprehensions that a closure inside them uses."""
    for comprehension in (node for node in ast.walk(tree) if isinstance(node, INLINED)):
        bound = {name for generator in comprehension.generators for name in names(generator.target, ast.Store)}
        for closure in (node for node in ast.walk(comprehension) if isinstance(node, CLOSURES)):
            yield from bound & (names(closure, ast.Load) - names(closure, ast.Store))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_variable_of_a_comprehension_is_shared_with_a_closure(path: Path) -> None:
    assert list(shared(ast.parse(path.read_text("utf-8")))) == []
