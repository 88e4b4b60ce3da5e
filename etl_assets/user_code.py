"""The Python code that a declaration reaches outside this package: stages, rules and functions, with their modules.

A change of this code may change the rows that the same bytes become, so it is part of a source's fingerprint.
"""

from __future__ import annotations

import ast
import inspect
import io
import sys
import tokenize
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial
from importlib.util import resolve_name
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from etl_assets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = __name__.partition(".")[0]
_USERS = (f"{_PACKAGE}.sources.", f"{_PACKAGE}.marts.")
"""The bundled sources and marts are written as a user writes them."""


def code_of(where: str, *values: Any) -> list[str]:
    """Return the code that some values reach, so that equal lists mean equal code.

    It consists of the modules of each class that derives from one of this package and of each function, and of the
    modules of the same folder that they import. Comments, docstrings, blank lines and the declarations of sources are
    left out.

    Args:
        where: The declared thing, for errors, e.g. ``source 'flights'``.
        values: Stages, rules and other declared values.

    Raises:
        DeclarationError: If the code of a class or function cannot be read.
    """
    modules: dict[str, str] = {}
    lambdas: list[str] = []
    for reached in _reached(values, set()):
        if reached.__name__ == "<lambda>":
            lambdas.append(_source(where, reached))
        module = sys.modules.get(reached.__module__)
        if module is None or getattr(module, "__file__", None) is None:
            modules.setdefault(reached.__qualname__, _significant(_source(where, reached)))
        else:
            _add_module(where, module, modules)
    return [*sorted(modules.values()), *lambdas]


def _reached(values: Any, visited: set[int]) -> Iterator[type[Any] | FunctionType]:
    """Yield the user's classes and functions among some values, and among the values of their fields."""
    for value in values:
        if id(value) in visited:
            continue
        visited.add(id(value))
        if isinstance(value, FunctionType):
            if _is_users(value.__module__):
                yield value
        elif isinstance(value, partial):
            yield from _reached((value.func, *value.args, *value.keywords.values()), visited)
        elif isinstance(value, dict):
            yield from _reached(value.values(), visited)
        elif isinstance(value, tuple | list | set | frozenset):
            yield from _reached(value, visited)
        else:
            bases = type(value).__mro__
            if any(base.__module__.startswith(f"{_PACKAGE}.") for base in bases):
                yield from (base for base in bases if base is not object and _is_users(base.__module__))
            if is_dataclass(value):
                yield from _reached([getattr(value, field.name) for field in fields(value)], visited)


def _is_users(module: str) -> bool:
    """Return whether a module is neither of this package nor of the standard library."""
    if module.partition(".")[0] == _PACKAGE:
        return module.startswith(_USERS)
    return module.partition(".")[0] not in sys.stdlib_module_names


def _add_module(where: str, module: ModuleType, modules: dict[str, str]) -> None:
    """Add the code of a module, and of those of its folder and the folders in it that it imports."""
    if module.__name__ in modules:
        return
    source = _source(where, module)
    modules[module.__name__] = f"{Path(str(module.__file__)).name}\n{_significant(source)}"
    folder = Path(str(module.__file__)).parent
    for name in _imports(source, module.__package__ or ""):
        imported = sys.modules.get(name)
        file = getattr(imported, "__file__", None)
        if imported is not None and file is not None and _is_users(name) and Path(file).is_relative_to(folder):
            _add_module(where, imported, modules)


def _source(where: str, thing: Any) -> str:
    try:
        if isinstance(thing, ModuleType) and Path(str(thing.__file__)).is_file():  # also if it is empty
            with tokenize.open(str(thing.__file__)) as file:
                return file.read()
        return inspect.getsource(thing)
    except (OSError, TypeError, SyntaxError) as error:
        raise DeclarationError(
            where, thing.__name__, "has code that cannot be read", "Define it in a module, which has a file"
        ) from error


@lru_cache(maxsize=1024)
def _imports(source: str, package: str) -> tuple[str, ...]:
    """Return the full names that a module may import, of modules or of things in them."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            base = resolve_name(relative, package) if package or not node.level else relative.lstrip(".")
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(dict.fromkeys(names))


@lru_cache(maxsize=1024)
def _significant(source: str) -> str:
    """Return code without comments, docstrings, blank lines and declarations of sources."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    try:
        tree = ast.parse(source)
    except SyntaxError:  # the indented code of a class or function alone
        return "\n".join(line.rstrip() for line in lines if line.strip())
    for node in ast.walk(tree):
        for statement in _insignificant(node):
            for row in range(statement.lineno - 1, statement.end_lineno or statement.lineno):
                lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _insignificant(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the docstring of a node, and a node that declares a source."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        first = node.body[0] if node.body else None
        is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        if first is not None and is_text and first.lineno > getattr(node, "lineno", 0):
            yield first
    if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
        called = node.value.func
        if (called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")) == "Source":
            yield node
