"""Declared values as Python text, and such a text as the values again, without executing it.

A text may hold literals, tuples, lists, mappings, and calls of the classes that a declaration is made of.
"""

from __future__ import annotations

import ast
import datetime as dt
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import etl_assets
from etl_assets.errors import ContractError, DeclarationError
from etl_assets.extract.location import without_secrets
from etl_assets.infer.python import expression
from etl_assets.model.declaration import Declaration
from etl_assets.model.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST: Final = 100_000
_MOMENTS: Final = {name: getattr(dt, name) for name in ("date", "datetime", "time", "timedelta")}


def write_value(value: Any) -> str | None:
    """Return a declared value as Python; None if this cannot be read back, or may contain a secret.

    Code of one's own, such as a transformer or a function, cannot.
    """
    if any(without_secrets(text) != text for text in _texts(value) if "://" in text):
        return None
    text = str(expression(value))
    try:
        return text if read_value(text) == value else None
    except ContractError:
        return None


def read_value(text: str) -> Any:
    """Return the value that a text declares.

    Raises:
        ContractError: If it is more than a declaration, or no sound one.
    """
    if len(text) > _LONGEST:
        raise ContractError(f"A value has more than {_LONGEST:,} characters.")
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ContractError(f"A value is no declaration that can be read: {type(error).__name__}.") from None
    except DeclarationError as error:
        raise ContractError(str(error)) from None


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Tuple():
            return tuple(map(_value, node.elts))
        case ast.List():
            return list(map(_value, node.elts))
        case ast.Dict() if all(node.keys):
            return {_value(key): _value(part) for key, part in zip(node.keys, node.values, strict=True) if key}
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Call() if all(keyword.arg for keyword in node.keywords):
            named = {keyword.arg: _value(keyword.value) for keyword in node.keywords if keyword.arg}
            return _class(node.func)(*map(_value, node.args), **named)
    raise ContractError(f"A value has a part that declares nothing: {type(node).__name__}.")


def _class(node: ast.expr) -> Any:
    """Return the class that a call names; only those that a declaration is made of may be called."""
    match node:
        case ast.Attribute(value=ast.Name(id="datetime"), attr=name) if name in _MOMENTS:
            return _MOMENTS[name]
        case ast.Name(id="Decimal"):
            return Decimal
        case ast.Name(id=name) if name in etl_assets.__all__:
            class_ = getattr(etl_assets, name)
            if isinstance(class_, type) and (issubclass(class_, Declaration) or class_ is Secret):
                return class_
    raise ContractError(f"A value calls {ast.unparse(node)[:80]!r}, which no declaration is made of.")


def names_in(text: str) -> set[str]:
    """Return the names that a file must import for some Python; ``datetime`` is a module."""
    nodes = ast.walk(ast.parse(text, mode="eval"))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a declared value."""
    if isinstance(value, str):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _texts(getattr(value, field.name))
    elif isinstance(value, dict):
        yield from _texts([*value, *value.values()])
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _texts(part)
