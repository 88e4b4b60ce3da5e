"""Suggests the nearest name for one that does not exist: of commands, sources, partitions and rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from etl_assets.model.text import escape_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MOST_COMPARED: Final = 10_000
"""Of more names, only the first are compared."""
_MOST_LISTED: Final = 10
"""Of more names, only the first are listed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the question whether the nearest of some names was meant, with a space before it; else the empty text."""
    from difflib import get_close_matches
    from itertools import islice

    folded = {other.casefold(): other for other in islice(known, _MOST_COMPARED)}
    close = get_close_matches(name.casefold(), list(folded), n=1)
    return f" Did you mean {escape_control_characters(folded[close[0]])!r}?" if close else ""


def named_option(what: str, value: str | None, known: Iterable[str]) -> None:
    """Raise a usage error, with the nearest of those known or the first of them, if a value is given that is none.

    Args:
        what: What it names: ``rule``.
        value: As it was typed; None if it was not.
        known: The names that there are.
    """
    names = list(known)
    if value is not None and value not in names:
        raise click.UsageError(f"There is no {what} {value!r}.{did_you_mean(value, names) or _known(names)}")


def _known(names: Sequence[str]) -> str:
    """Return a sentence that has the first of some names, with a space before it."""
    if not names:
        return " There is none at all."
    more = f" and {len(names) - _MOST_LISTED:,} more" if len(names) > _MOST_LISTED else ""
    return f" Known are {escape_control_characters(', '.join(names[:_MOST_LISTED]))}{more}."
