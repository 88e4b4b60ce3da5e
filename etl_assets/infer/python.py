"""Writes values as Python, in the lines that a formatter would make of them."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from etl_assets.model.secret import Secret

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
    written_value = expression(value)
    if isinstance(written_value, str):
        return f"{name}={written_value}"
    return Brackets(f"{name}={written_value.begin}", written_value.parts, written_value.end, written_value.comma)


def expression(value: Any) -> Expression:
    """Return a declared value, without arguments that have their defaults; the first ones have no names."""
    if isinstance(value, Secret):
        return call("Secret", [text_of(value.name)])
    if hasattr(value, "__dataclass_fields__"):
        given = [
            argument(field.name, getattr(value, field.name))
            for field in fields(value)
            if field.init and getattr(value, field.name) != _default(field)
        ]
        return call(type(value).__name__, given)
    if isinstance(value, tuple):
        return Brackets("(", tuple(expression(part) for part in value), comma=True)
    return text_of(value) if isinstance(value, str) else repr(value)


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
