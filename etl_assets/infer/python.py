"""Writes values as Python, in the lines that a formatter would make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from etl_assets.extract.formats.one_of import OneOf
from etl_assets.model.expectation import Expectation
from etl_assets.model.secret import Secret
from etl_assets.model.trigger import After
from etl_assets.schema import Column, UniqueTogether

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WIDTH: Final = 120


@dataclass(frozen=True)
class Brackets:
    """An expression with brackets, which is written in one line or with one part a line.

    Attributes:
        begin: What is before the first part, with the bracket.
        parts: What is between the brackets.
        end: The bracket at the end.
        comma: Whether a comma follows the only part in one line, as in a tuple.
    """

    begin: str
    parts: tuple[Expression, ...]
    end: str = ")"
    comma: bool = False

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.parts))
        return f"{self.begin}{inner}{',' if self.comma and len(self.parts) == 1 else ''}{self.end}"


Expression = str | Brackets


def call(name: str, arguments: Sequence[Expression]) -> Brackets:
    """Return a call."""
    return Brackets(f"{name}(", tuple(arguments))


def argument(name: str, value: Any) -> Expression:
    """Return an argument of a call by its name."""
    return _after(f"{name}=", value)


def _after(begin: str, value: Any) -> Expression:
    """Return a declared value after what stands before it."""
    written_value = expression(value)
    if isinstance(written_value, str):
        return f"{begin}{written_value}"
    return Brackets(f"{begin}{written_value.begin}", written_value.parts, written_value.end, written_value.comma)


def expression(value: Any) -> Expression:
    """Return a declared value, without arguments that have their defaults; the first ones have no names."""
    if hasattr(value, "__dataclass_fields__") or isinstance(value, Secret):
        return _call_of(value)
    if isinstance(value, tuple):
        return Brackets("(", tuple(expression(part) for part in value), comma=True)
    if isinstance(value, list):
        return Brackets("[", tuple(expression(part) for part in value), "]")
    if isinstance(value, Mapping):
        return Brackets("{", tuple(_after(f"{text_of(key)}: ", part) for key, part in value.items()), "}")
    return text_of(value) if isinstance(value, str) else repr(value)


def _call_of(value: Any) -> Brackets:
    """Return the call that makes a declared value; some classes take arguments otherwise than by their fields."""
    match value:
        case Secret():
            return call("Secret", [text_of(value.name)])
        case Column():
            named = [argument(name, part) for name, part in value.arguments.items()]
            return call("Column", [text_of(value.name), text_of(value.type.name), *named])
        case Expectation():
            given = {name: getattr(value, name) for name in ("name", "blocking", "description") if getattr(value, name)}
            named = [argument(name, part) for name, part in {**given, **value.arguments}.items()]
            return call("Expectation", [text_of(value.type), *named])
        case After() | OneOf() | UniqueTogether():
            parts = getattr(value, fields(value)[0].name)
            return call(type(value).__name__, [expression(part) for part in parts])
    named = [
        argument(field.name, getattr(value, field.name))
        for field in fields(value)
        if field.init and getattr(value, field.name) != _default(field)
    ]
    return call(type(value).__name__, named)


def written(value: Expression, indent: str) -> Iterator[str]:
    """Yield the lines of an expression that a comma follows."""
    line = f"{indent}{value},"
    if isinstance(value, str) or len(line) <= _WIDTH:
        yield line
        return
    yield f"{indent}{value.begin}"
    for part in value.parts:
        yield from written(part, f"{indent}    ")
    yield f"{indent}{value.end},"


def text_of(text: str) -> str:
    """Return a text in double quotes, unless it contains some."""
    if '"' in text:
        return repr(text)
    return '"' + "".join("'" if character == "'" else repr(character)[1:-1] for character in text) + '"'


def class_names(value: Any) -> set[str]:
    """Return the names of the classes of a declared value and of its parts."""
    found = {type(value).__name__}
    for field in fields(value):
        parts = getattr(value, field.name)
        for part in parts if isinstance(parts, tuple) else (parts,):
            if hasattr(part, "__dataclass_fields__"):
                found |= class_names(part)
    return found


def _default(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default
