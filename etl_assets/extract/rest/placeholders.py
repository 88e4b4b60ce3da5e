"""Placeholders in the texts of a request: the partition, where the last fetch ended, and the parent's record.

``{key}``, ``{start:%Y-%m-%d}`` and ``{end:%Y-%m-%d}`` are of the partition, ``{since:%Y-%m-%dT%H:%M:%SZ}`` is of
`Incremental`, any other name is a column of the `Parent`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from string import Formatter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from etl_assets.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from etl_assets.model.partitions import Partition

OF_PARTITION: Final = ("key", "start", "end")
SINCE: Final = "since"


def values_of(partition: Partition, since: object = None) -> dict[str, Any]:
    """Return the values of the placeholders that are not of a parent's record.

    Args:
        partition: The partition.
        since: Where the fetch begins; None for everything.
    """
    return {"key": partition.key, "start": partition.start, "end": partition.end, SINCE: since}


def fill(text: str, values: Mapping[str, Any], *, quoted: bool = False) -> str | None:
    """Return a text with its placeholders replaced; None if one of them has no value.

    Args:
        text: With placeholders.
        values: Of the placeholders.
        quoted: Whether the values are written as parts of an address.
    """
    if any(values.get(name) in (None, "") for name in names_in(text)):
        return None
    return _Quoting().vformat(text, (), values) if quoted else text.format_map(values)


def fill_json(value: Any, values: Mapping[str, Any]) -> Any:
    """Return a JSON value with the placeholders in its texts replaced.

    A member of an object whose placeholder has no value is left out.
    """
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, dict):
        filled = {name: fill_json(inner, values) for name, inner in value.items()}
        return {name: inner for name, inner in filled.items() if inner is not None or value[name] is None}
    return [fill_json(inner, values) for inner in value] if isinstance(value, list | tuple) else value


def names_in(text: str) -> set[str]:
    """Return the names of the placeholders in a text.

    Raises:
        ValueError: If a brace has no counterpart.
    """
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)


def check_placeholders(texts: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Raise a `DeclarationError` unless every placeholder is known and can be filled in.

    Args:
        texts: Name of an argument to its value.
        known: Names of the placeholders.
        where: How the error names the source.
    """
    moment = datetime(2000, 1, 1, tzinfo=UTC)
    examples = {name: moment if name in ("start", "end", SINCE) else "key" for name in known}
    remedy = f"Use {', '.join(f'{{{name}}}' for name in sorted(known))}; write a brace itself twice"
    for argument, value in texts.items():
        for text in texts_in(value):
            try:
                if unknown := sorted(names_in(text) - set(known)):
                    problem = f"has {{{unknown[0]}}}, which is no placeholder here"
                    raise DeclarationError(where, argument, problem, remedy)
                text.format_map(examples)
            except (ValueError, LookupError, AttributeError) as error:
                raise DeclarationError(where, argument, f"cannot be filled in ({error})", remedy) from error


class _Quoting(Formatter):
    """Writes values as parts of an address."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return a value in its notation, with every character escaped that means something in an address."""
        return quote(str(super().format_field(value, format_spec)), safe="")
