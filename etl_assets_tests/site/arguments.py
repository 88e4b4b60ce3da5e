"""The arguments of a declared class, with their types, defaults and descriptions, as a table."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ATTRIBUTES: Final = re.compile(r"^Attributes:\n((?:^ +.*\n?|^\n)+)", re.MULTILINE)
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*(?:\n     +.*)*)", re.MULTILINE)


def description(declared: type) -> str:
    """Return the docstring of a class before its sections, as Markdown."""
    text = re.split(r"\n\n(?:Attributes|Args|Raises|Returns):\n", inspect.cleandoc(declared.__doc__ or ""))[0]
    return as_markdown(text)


def as_markdown(text: str) -> str:
    """Return the text of a docstring as Markdown, whose code has single quotes."""
    return text.replace("``", "`")


def table(declared: type) -> str:
    """Return the table of the arguments of a class; empty if it has none."""
    rows = [
        f"| `{field.name}` | {_cell(_described(declared).get(field.name, ''))} | `{_cell(_annotation(field))}` "
        f"| {_default(field)} |\n"
        for field in arguments(declared)
    ]
    return f"| argument | meaning | type | default |\n| --- | --- | --- | --- |\n{''.join(rows)}" if rows else ""


def arguments(declared: type) -> Iterator[dataclasses.Field[object]]:
    """Yield the fields that are arguments: first those of the class itself."""
    fields = [field for field in dataclasses.fields(declared) if field.init]
    own = inspect.get_annotations(declared)
    yield from sorted(fields, key=lambda field: field.name not in own)


def undescribed(declared: type) -> list[str]:
    """Return the arguments that no docstring describes."""
    return [field.name for field in arguments(declared) if field.name not in _described(declared)]


def _described(declared: type) -> dict[str, str]:
    """Return the descriptions of the attributes of a class and of its bases."""
    found: dict[str, str] = {}
    for base in reversed(declared.__mro__):
        if section := _ATTRIBUTES.search(inspect.cleandoc(base.__doc__ or "") + "\n"):
            found |= {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(section[1])}
    return found


def _annotation(field: dataclasses.Field[object]) -> str:
    return field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))


def _default(field: dataclasses.Field[object]) -> str:
    """Return the cell of a default: empty if the argument must be given."""
    if field.default_factory is not dataclasses.MISSING:
        return f"`{_cell(repr(field.default_factory()))}`"
    return "" if field.default is dataclasses.MISSING else f"`{_cell(repr(field.default))}`"


def _cell(text: str) -> str:
    return as_markdown(text).replace("|", "\\|")
